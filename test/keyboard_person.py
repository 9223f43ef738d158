"""A person at a terminal of their own."""

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

ANSWER_S = 40.0
"""Longest for a request to come through."""
PATIENCE_S = 1.0
"""Before a key is pressed again: sooner, it would be the same press still, as a terminal repeats a key."""


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

    def sees(self, text: str) -> bool:
        """Whether this has been on the screen since it was last looked for."""
        while select.select([self._master], [], [], 0)[0]:
            self._screen += os.read(self._master, 4096).decode(errors="replace")
        if text not in self._screen:
            return False
        self._screen = ""
        return True

    def hold(self, key: str, duration_s: float) -> None:
        """As a terminal repeats a key."""
        until_s = time.monotonic() + duration_s
        while time.monotonic() < until_s:
            self.press(key)
            time.sleep(0.03)

    def press(self, key: str) -> None:
        """Once."""
        os.write(self._master, key.encode())

    def ask(self, key: str, answer: str) -> None:
        """Press it, and again where nobody was there yet to be told, until the answer is on the screen."""
        deadline_s = time.monotonic() + ANSWER_S
        self.sees("")
        self.press(key)
        while not self.sees(answer):
            assert time.monotonic() < deadline_s, self._screen[-1000:]
            time.sleep(0.1)
            if "no actor is there" in self._screen:
                self._screen = ""
                time.sleep(PATIENCE_S)
                self.press(key)

    def leave(self) -> int:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(10)
