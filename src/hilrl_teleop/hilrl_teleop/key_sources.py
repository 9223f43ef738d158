"""Where `keyboard_teleop` has its keys from: the terminal that it runs in, or a keyboard of this machine."""

import glob
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from hilrl_teleop.device_reader import LOOK_AGAIN_S
from hilrl_teleop.key_map import HELP
from hilrl_teleop.keyboard import Keyboard
from hilrl_teleop.keyboard_reader import KeyboardReader
from hilrl_teleop.terminal import Terminal
from hilrl_teleop.wish import Wish

TERMINAL = "terminal"
CTRL_C = b"\x03"


class KeySource(Protocol):
    """Keys as wishes and requests. Times are of the monotonic clock [s]."""

    help: tuple[str, ...]
    """Lines for the person."""

    @property
    def problem(self) -> str:
        """Why no key can come now, or empty."""

    def take_requests(self, now_s: float) -> list[str]:
        """What was asked of the actor since the last call.

        Raises EOFError when the terminal is gone, KeyboardInterrupt where the person wants this to end.
        """

    def wish(self, now_s: float) -> Wish:
        """What is wanted at `now_s`."""

    def retune(self, speed: float, release_s: float) -> None:
        """See the parameters of these names."""

    def close(self) -> None:
        """Give back what was taken."""


class TerminalKeys:
    """What is typed into the terminal."""

    help = HELP
    problem = ""

    def __init__(self) -> None:
        """Raises ValueError where stdin is not a terminal."""
        self._keyboard = Keyboard()
        self._terminal = Terminal()

    def take_requests(self, now_s: float) -> list[str]:
        """See `KeySource`."""
        return self._keyboard.feed(self._terminal.read(), now_s)

    def wish(self, now_s: float) -> Wish:
        """See `KeySource`."""
        return self._keyboard.wish(now_s)

    def retune(self, speed: float, release_s: float) -> None:
        """See `KeySource`."""
        self._keyboard.speed, self._keyboard.release_s = speed, release_s

    def close(self) -> None:
        """See `KeySource`."""
        self._terminal.restore()


class DeviceKeys:
    """What is pressed on a keyboard of this machine, wherever it is typed to.

    Where there is a terminal too, it hears the same keys: there they mean nothing but Ctrl-C, and that only
    with another key than the one that is held to be in control.
    """

    def __init__(
        self, path: str, deadman_key: str, on_keys: Callable[[], None], tell: Callable[[str], None]
    ) -> None:
        """Raises ValueError where evdev is not installed, and where there is no such keyboard to read."""
        try:
            import evdev
        except ImportError as error:
            raise ValueError(
                f"evdev: expected the Python package to read keyboards with, got {error}; "
                f"`pip install evdev`, or leave keys_from at {TERMINAL}"
            ) from error
        self._reader = KeyboardReader(
            path, deadman_key, lambda: glob.glob("/dev/input/event*"), evdev.InputDevice, on_keys, tell
        )
        self._reader.find().close()
        self.help = (*HELP[:2], f"hold {deadman_key.replace('_', ' ')} with all of them   {HELP[2]}")
        self._terminal = Terminal(interrupts=False) if sys.stdin.isatty() else None
        self._thread = threading.Thread(target=self._reader.run, name="keyboard", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """See `KeySource`."""
        return self._reader.problem

    def take_requests(self, now_s: float) -> list[str]:
        """See `KeySource`."""
        typed = self._terminal.read() if self._terminal else b""
        if CTRL_C in typed and not self._reader.is_deadman_near(now_s):
            raise KeyboardInterrupt
        return self._reader.take_requests()

    def wish(self, now_s: float) -> Wish:
        """See `KeySource`."""
        return self._reader.wish(now_s)

    def retune(self, speed: float, release_s: float) -> None:
        """See `KeySource`. The dead-man key says when to let go, so `release_s` means nothing here."""
        self._reader.set_speed(speed)

    def close(self) -> None:
        """See `KeySource`."""
        self._reader.stop()
        self._thread.join(2 * LOOK_AGAIN_S)
        if self._terminal:
            self._terminal.restore()
