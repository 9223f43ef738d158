"""A line on the terminal that shows how things are."""

import contextlib
import os


class Screen:
    """Drawn on and never waited for: Ctrl-S or a stalled SSH must not hold up the hand."""

    def __init__(self, fd: int) -> None:
        """`fd`: of the terminal; it stays the caller's."""
        self._shown = ""
        self._fd = _without_waiting(fd)

    def show(self, line: str) -> None:
        """The line in place of the last one. What the terminal does not take now is drawn next time."""
        # Back to the line's start, write, clear the rest.
        if line != self._shown:
            self._shown = line if self._write(f"\r{line}\x1b[K") else ""

    def say(self, text: str) -> None:
        """On a line of its own."""
        self._write(f"\r{text}\x1b[K\n")
        self._shown = ""

    def close(self) -> None:
        """Leave what was shown last."""
        self._write("\n")
        os.close(self._fd)

    def _write(self, text: str) -> bool:
        data = text.encode(errors="replace")
        with contextlib.suppress(OSError):  # it takes nothing now, or is gone
            return os.write(self._fd, data) == len(data)
        return False


def _without_waiting(fd: int) -> int:
    """The same terminal, opened anew: set on `fd` itself, not to wait would hold for the shell too."""
    with contextlib.suppress(OSError):  # no terminal, or another user's
        return os.open(os.ttyname(fd), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    return os.dup(fd)
