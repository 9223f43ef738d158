"""A person at a terminal, for the tests of guided commands."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from types import TracebackType

PATIENCE_S = 60.0


class Person:
    """Starts `main` of a module on a terminal of its own, reads what it says and types answers."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._terminal, theirs = pty.openpty()
        program = f"import sys; from {module} import main; sys.exit(main())"

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        self.read = ""
        """All that was said so far."""
        self._unread = 0

    def __enter__(self) -> "Person":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    def waits_for(self, *texts: str) -> str:
        """Until one of `texts` was said, after what was waited for before; which one."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = [(at, text) for text in texts if (at := self.read.find(text, self._unread)) >= 0]
            if found:
                at, text = min(found)
                self._unread = at + len(text)
                return text
            heard = self._hear()
            assert heard and time.monotonic() < deadline, f"never said: {texts}\n{self.read[self._unread :]}"

    def types(self, text: str = "") -> None:
        """An answer, and Enter."""
        os.write(self._terminal, text.encode() + b"\n")

    def answers(self, question: str, text: str = "") -> None:
        """To a question, once it is asked."""
        self.waits_for(question)
        self.types(text)

    def presses_ctrl_c(self) -> None:
        """At the terminal."""
        os.write(self._terminal, b"\x03")

    def hang_up(self) -> None:
        """Close the terminal."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def sees_the_end(self) -> int:
        """The exit status."""
        while self._terminal >= 0 and self._hear():
            pass
        return self.process.wait(PATIENCE_S)

    def ends_it(self, by: signal.Signals) -> None:
        """From elsewhere."""
        self.process.send_signal(by)

    def _hear(self) -> bool:
        """Whether there may be more."""
        if not select.select([self._terminal], [], [], PATIENCE_S)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # all others have left
            return False
        self.read += data.decode().replace("\r\n", "\n")
        return bool(data)
