"""A person at a terminal of their own."""

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path


class Person:
    """At `hilrl keyboard`, in a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
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

    def leave(self) -> int:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(10)
