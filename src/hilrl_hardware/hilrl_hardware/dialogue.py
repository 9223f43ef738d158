"""Talking with a person at a terminal: questions, answers by the line, a table that follows the arm."""

import contextlib
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Self

POLL_S = 0.02
REDRAW_EVERY = 5
"""Polls between two drawings of a table."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Dialogue:
    """Questions on stdout, answers on stdin, which may be a pipe.

    A context manager: within it Ctrl+C, being ended and losing the terminal raise KeyboardInterrupt while a
    question is open, or in `check`. Never elsewhere: what is being written to a servo is written, and what is
    being undone is undone.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._draws = sys.stdout.isatty()
        self._interrupted = False

    def __enter__(self) -> Self:
        self._handlers = {number: signal.signal(number, self._interrupt) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True

    def check(self) -> None:
        """Raises KeyboardInterrupt where the person, or somebody else, wants this to end."""
        if self._interrupted:
            raise KeyboardInterrupt

    def say(self, text: str = "") -> None:
        """Print, at once. Raises EOFError where the terminal is gone."""
        self._write(text + "\n")

    def complain(self, text: str) -> None:
        """Print to stderr, if anybody is there to read it."""
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)

    def ask(self, question: str, watch: Callable[[], Sequence[str]] | None = None) -> str:
        """The answer, without blanks around it. Raises EOFError where there will be none.

        Meanwhile `watch` is called again and again; the lines that it gives stand above the question, which
        must fit into one line; they stay as many as they are.
        """
        lines = watch() if watch else ()
        if self._draws:
            for line in lines:
                self.say(self._fitting(line))
        self._write(question)
        polls = 0
        while (answer := self._line()) is None:
            lines = watch() if watch else ()
            polls += 1
            if lines and self._draws and polls % REDRAW_EVERY == 0:
                self._redraw(lines)
        if not self._draws:
            self.say("\n".join(["", *lines]))
        return answer

    def confirm(self, question: str) -> bool:
        """Whether the person says yes."""
        return self.ask(f"{question} [y/N] ").lower() in ("y", "yes")

    def _line(self) -> str | None:
        """The next line, or None where none comes for a moment."""
        # Not `input`: what it has read ahead, select does not see.
        while b"\n" not in self._buffer:
            self.check()
            source = sys.stdin.fileno()
            if not select.select([source], [], [], POLL_S)[0]:
                return None
            try:
                data = os.read(source, 1024)
            except OSError as error:
                raise EOFError(str(error)) from error
            if not data:
                raise EOFError("the terminal is gone, or there is no more input")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _redraw(self, lines: Sequence[str]) -> None:
        """Over the lines above the question; what is being typed behind it stays."""
        drawn = "".join(f"\r{self._fitting(line)}\x1b[K\n" for line in lines)
        self._write(f"\x1b7\x1b[{len(lines)}A{drawn}\x1b8")

    def _write(self, text: str) -> None:
        try:
            print(text, end="", flush=True)
        except OSError as error:
            raise EOFError(str(error)) from error

    def _fitting(self, line: str) -> str:
        return line[: shutil.get_terminal_size().columns - 1]
