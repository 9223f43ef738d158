"""Real processes in throw-away folders, each run in a ROS domain of its own."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from hilrl.graph import TRAIN
from hilrl_hardware.emulator.client import EmulatedBus

# Small and quick, yet through every phase: two demonstrations, hardly any pre-training, then practice.
QUICK = (
    *("--demonstrations", "2", "--duration-s", "20"),
    *("--set", "learner.pretraining_s=1.0", "--set", "learner.imitation_updates=20"),
)
# After QUICK: the time is wall time, and on a busy machine the nodes take much of it to start.
LONGER = ("--duration-s", "60")


class Command:
    """`hilrl` as a user runs it: a process in a session of its own, its output in a file."""

    def __init__(self, folder: Path, *arguments: str, domain: int | None = None) -> None:
        """`domain`: ROS domain of its shell; None: the shell names none."""
        self.folder = folder
        self._seen: set[psutil.Process] = set()
        self.output_file = folder / f"output-{len(list(folder.glob('output-*')))}"
        env = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
        if domain is not None:
            env["ROS_DOMAIN_ID"] = str(domain)
        with open(self.output_file, "w") as output:
            self.process = subprocess.Popen(
                ["hilrl", *arguments],
                cwd=folder,
                env=env,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def type(self, line: str) -> None:
        """As if it were typed."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.output_file.read_text()

    def nodes(self) -> dict[str, psutil.Process]:
        """Its node processes by node name."""
        found = node_processes(self.process.pid)
        self._seen |= set(found.values())
        return found

    def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Fails when the condition does not come, or the command ends before."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, f"ended early:\n{self.output}"
            assert time.monotonic() < deadline, f"not within {timeout_s} s:\n{self.output}"
            time.sleep(0.1)

    def wait_for_nodes(self) -> dict[str, psutil.Process]:
        """All nodes of the training graph, once they run."""
        self.wait_until(lambda: set(self.nodes()) == {node.name for node in TRAIN}, 60)
        return self.nodes()

    def wait(self, timeout_s: float) -> int:
        """Its exit status."""
        return self.process.wait(timeout_s)

    def close(self) -> None:
        """Make sure that nothing of it is left."""
        if self.process.poll() is None:
            self.nodes()
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for process in self._seen:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        all_gone(list(self._seen), 10)


def metrics(run: Path) -> list[dict]:
    """What the learner has written of a run so far, by line."""
    path = run / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


@pytest.fixture
def hilrl(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts `hilrl` with the given arguments in an empty folder."""
    commands: list[Command] = []

    def start(*arguments: str, domain: int | None = None) -> Command:
        commands.append(Command(tmp_path, *arguments, domain=domain))
        return commands[-1]

    yield start
    for command in commands:
        command.close()


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[EmulatedBus]:
    """A board with a follower, its calibration in `follower.json`."""
    with EmulatedBus(tmp_path / "board", "follower", record=tmp_path / "bus") as board:
        (tmp_path / "follower.json").write_text(json.dumps(board.calibration()))
        yield board


def node_processes(parent_pid: int) -> dict[str, psutil.Process]:
    """Processes of nodes under a parent, by node name."""
    found = {}
    for process in psutil.Process(parent_pid).children(recursive=True):
        if name := re.search(r"__node:=(\w+)", command_line(process)):
            found[name[1]] = process
    return found


def command_line(process: psutil.Process) -> str:
    """Empty where it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended; its parent may not have asked for its exit status yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def all_gone(processes: list[psutil.Process], within_s: float) -> bool:
    """Whether all have ended, or do so in time."""
    deadline = time.monotonic() + within_s
    while not all(map(is_gone, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
