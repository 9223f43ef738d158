"""A person at a terminal of their own."""

import math
import os
import pty
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

ANSWER_S = 40.0
"""Longest for a request to come through."""
PATIENCE_S = 1.0
"""Before a key is pressed again: sooner, it would be the same press still, as a terminal repeats a key."""
END_S = 10.0
PAUSE = "p"
NOT_TOLD = "no actor is there"
NOT_ANSWERED = "has not answered"
TCP = re.compile(r"tcp (-?\d\.\d+) (-?\d\.\d+) (-?\d\.\d+) m")


class Person:
    """At `hilrl keyboard`, in a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
        environment["COLUMNS"] = "160"  # nothing is cut off
        self._process = subprocess.Popen(
            ["hilrl", "keyboard", *arguments],
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._screen = ""
        """All that has been on it."""
        self._looked_at = 0
        """How much of that."""
        # All the time: a terminal that nobody reads is soon full.
        threading.Thread(target=self._read, name="screen", daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 4096):
                self._screen += data.decode(errors="replace")
        except OSError:
            pass  # nobody writes on it any more

    def sees(self, text: str) -> bool:
        """Whether this has been on the screen since it was last looked for."""
        screen = self._screen
        if text not in screen[self._looked_at :]:
            return False
        self._looked_at = len(screen)
        return True

    def status(self) -> str:
        """The newest line on what is going on; each is drawn over the one before."""
        return next((line for line in reversed(self._screen.split("\r")) if "arm: " in line), "")

    def tcp(self) -> tuple[float, ...]:
        """Where the screen says that the arm is [m]."""
        return tuple(map(float, TCP.findall(self._screen)[-1]))

    def hold(self, key: str, duration_s: float) -> None:
        """As a terminal repeats a key."""
        until_s = time.monotonic() + duration_s
        self._hold_until(key, lambda: time.monotonic() > until_s)

    def move(self, key: str, distance_m: float) -> None:
        """Hold a key until the arm has gone so far."""
        begun, deadline_s = self.tcp(), time.monotonic() + ANSWER_S

        def has_arrived() -> bool:
            assert time.monotonic() < deadline_s, self._screen[-1000:]
            return math.dist(begun, self.tcp()) >= distance_m

        self._hold_until(key, has_arrived)

    def _hold_until(self, key: str, condition: Callable[[], bool]) -> None:
        while not condition():
            self.press(key)
            time.sleep(0.03)

    def press(self, key: str) -> None:
        """Once."""
        os.write(self._master, key.encode())

    def ask(self, key: str, answer: str) -> None:
        """Press it, and again where nobody was there yet to be told, until the answer is on the screen.

        A pause is also asked for again where its answer was lost: a second one changes nothing, while a
        second label would strike the next episode.
        """
        again = (NOT_TOLD, NOT_ANSWERED) if key == PAUSE else (NOT_TOLD,)
        deadline_s = time.monotonic() + ANSWER_S
        self._looked_at = len(self._screen)
        self.press(key)
        pressed_s = time.monotonic()
        while not self.sees(answer):
            assert time.monotonic() < deadline_s, self._screen[-1000:]
            time.sleep(0.1)
            # The newest line alone: a note stays on the screen for seconds and is drawn again.
            if time.monotonic() - pressed_s > PATIENCE_S and any(note in self.status() for note in again):
                self.press(key)
                pressed_s = time.monotonic()

    def leave(self) -> int:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
