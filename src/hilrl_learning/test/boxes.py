"""Two machines on one: each with its own network and shared memory, and a cable between them.

A box is a network namespace, and a mount namespace with a /dev/shm of its own: processes of two boxes would
otherwise meet in shared memory, past the cable.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

SET_UP = "mount -t tmpfs tmpfs /dev/shm && ip link set lo up && echo ready && exec sleep infinity"
HERE = Path(__file__).parent


class Box:
    """A namespace that lives as long as this."""

    def __init__(self) -> None:
        """Raises PermissionError with the reason where it cannot be made."""
        command = ["unshare", "--net", "--mount", "sh", "-c", SET_UP]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise PermissionError(self._holder.communicate()[1].strip())

    @property
    def pid(self) -> int:
        """Of a process inside."""
        return self._holder.pid

    @property
    def enter(self) -> list[str]:
        """In front of a command, has it run inside."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", "--"]

    def close(self) -> None:
        """End it; the namespace goes with its last process."""
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()


class Cable:
    """Carries what the two boxes say to each other."""

    def __init__(self, first: Box, second: Box, options: Sequence[str]) -> None:
        """`options` as of `cable.py`. Raises PermissionError with the reason where it cannot be made."""
        command = [sys.executable, str(HERE / "cable.py"), str(first.pid), str(second.pid), *options]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        if self._process.stdout.readline() != "ready\n":
            raise PermissionError(self._process.communicate()[1].strip())

    def cut(self) -> None:
        """From now on nothing arrives."""
        self._say("cut")

    def heal(self) -> None:
        """What is sent from now on arrives again."""
        self._say("heal")

    def unplug(self) -> tuple[int, int]:
        """End it. Bytes that arrived at the first and at the second box."""
        first, second = self._process.communicate()[0].split()
        return int(first), int(second)

    def close(self) -> None:
        """However the test ends."""
        self._process.kill()
        self._process.communicate()

    def _say(self, word: str) -> None:
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()


@contextmanager
def two_boxes(*options: str) -> Iterator[tuple[Box, Box, Cable]]:
    """Two boxes and the cable between them, with the options of `cable.py`.

    Raises PermissionError where this machine does not allow it.
    """
    if os.geteuid() != 0:
        raise PermissionError("network namespaces need root")
    if not Path("/dev/net/tun").exists():
        raise PermissionError("expected /dev/net/tun, there is none")
    with ExitStack() as stack:
        first, second = (stack.enter_context(closing(Box())) for _ in range(2))
        cable = stack.enter_context(closing(Cable(first, second, options)))
        yield first, second, cable


@contextmanager
def two_boxes_or_skip(*options: str) -> Iterator[tuple[Box, Box, Cable]]:
    """The same for tests."""
    with ExitStack() as stack:
        try:
            boxes = stack.enter_context(two_boxes(*options))
        except (PermissionError, FileNotFoundError) as error:
            pytest.skip(f"no network namespaces here: {error}")
        yield boxes
