"""A terminal that hands out single keys, and is given back as it was found."""

import atexit
import contextlib
import os
import select
import sys
import termios
import tty


class Terminal:
    """Keys from stdin, without echo and without waiting for a line. Ctrl-C still interrupts."""

    def __init__(self, interrupts: bool = True) -> None:
        """Without `interrupts` Ctrl-C is a byte as any other.

        Raises ValueError where stdin is not a terminal.
        """
        if not sys.stdin.isatty():
            raise ValueError(
                "stdin: expected a terminal to read keys from, got something else; run this node in a "
                "terminal of its own, not from a launch file or in the background"
            )
        self._fd = sys.stdin.fileno()
        self._found = termios.tcgetattr(self._fd)
        # However the process ends, short of being killed outright.
        atexit.register(self.restore)
        tty.setcbreak(self._fd)
        if not interrupts:
            mode = termios.tcgetattr(self._fd)
            mode[tty.IFLAG] &= ~termios.IXON
            mode[tty.LFLAG] &= ~termios.ISIG
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, mode)

    def read(self) -> bytes:
        """What was typed since the last call; does not wait. Raises EOFError when the terminal is gone."""
        if not select.select([self._fd], [], [], 0)[0]:
            return b""
        try:
            data = os.read(self._fd, 1024)
        except OSError as error:
            raise EOFError(str(error)) from error
        if not data:
            raise EOFError("end of file")
        return data

    def restore(self) -> None:
        """Give it back; again does no harm."""
        # Where it hung up there is nothing to restore; what it does not take now is not waited for.
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._fd, termios.TCSANOW, self._found)
