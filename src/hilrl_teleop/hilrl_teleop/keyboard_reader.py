"""Looks for a keyboard, reads it until it is unplugged, looks again. Knows evdev's devices, nothing of ROS.

The keyboard is shared with every other program: it is never grabbed.
"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from hilrl_teleop.device_reader import Device, DeviceReader, events_within
from hilrl_teleop.held_keys import HeldKeys
from hilrl_teleop.input_events import EV_KEY
from hilrl_teleop.key_map import DEADMAN_CODES, KEY_OF_CODE
from hilrl_teleop.wish import Wish

AUTO = "auto"
WATCH_S = 0.1
"""Without an event for so long, the keys are told to be as they were [s]."""
ADVICE = (
    "this user needs the group input (`sudo usermod -aG input $USER`, then log in again; in a container "
    "`--device /dev/input --group-add`)"
)


class KeyboardReader(DeviceReader):
    """From a keyboard to wishes and requests. `run` is a thread's, and the rest may be another one's."""

    kind = "a keyboard"

    def __init__(
        self,
        path: str,
        deadman_key: str,
        paths: Callable[[], Iterable[str]],
        open_device: Callable[[str], Device],
        on_keys: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Of the device `path`; "auto": of the only keyboard among `paths`, which lists what there is.

        `deadman_key` is one of `DEADMAN_CODES`. `on_keys` is called whenever keys went up or down. Nothing
        moves before `set_speed`.
        """
        super().__init__(tell)
        self._path = path
        self._paths = paths
        self._open_device = open_device
        self._on_keys = on_keys
        self._codes = {*KEY_OF_CODE, DEADMAN_CODES[deadman_key]}
        self._deadman_key = deadman_key
        self._keys = HeldKeys(DEADMAN_CODES[deadman_key], speed=0.0)
        self._lock = threading.Lock()
        self._is_keyboard: dict[str, bool] = {}
        self.problem = ""
        """Why nothing is read; empty: something is, or nobody has looked yet."""

    def find(self) -> Device:
        """The one that was named, or the only one. Raises ValueError saying why there is none."""
        try:
            device = self._only_one() if self._path == AUTO else self._named()
        except ValueError as error:
            self.problem = str(error)
            raise
        self.problem = ""
        return device

    def read(self, device: Device) -> None:
        """Until `stop`. Raises OSError when it is unplugged; however it ends, all keys are up."""
        try:
            while not self._stop.is_set():
                events = events_within(device, WATCH_S)
                with self._lock:
                    self._keys.feed(events, device.active_keys, time.monotonic())
                if events:
                    self._on_keys()
        finally:
            self.problem = f"{device.name} is gone"
            with self._lock:
                self._keys.all_up()
            self._on_keys()

    def set_speed(self, speed: float) -> None:
        """Share of a full step that a held key asks for."""
        with self._lock:
            self._keys.speed = speed

    def take_requests(self) -> list[str]:
        """What was asked of the actor since the last call."""
        with self._lock:
            return self._keys.take_requests()

    def wish(self, now_s: float) -> Wish:
        """What is wanted at `now_s`, of the monotonic clock."""
        with self._lock:
            return self._keys.wish(now_s)

    def is_deadman_near(self, now_s: float) -> bool:
        """Held, or let go of just now."""
        with self._lock:
            return self._keys.is_deadman_near(now_s)

    def _named(self) -> Device:
        try:
            device = self._open_device(self._path)
        except PermissionError as error:
            raise ValueError(
                f"keys_from: expected a keyboard that may be read, got {self._path}, {error.strerror}; "
                f"{ADVICE}"
            ) from error
        except OSError as error:
            raise ValueError(
                "keys_from: expected a keyboard such as /dev/input/by-id/...-event-kbd, "
                f"got {self._path}, {error.strerror or error}"
            ) from error
        if self._has_keys(device):
            return device
        device.close()
        raise ValueError(
            f"keys_from: expected a keyboard with letters, arrows and {self._deadman_key}, "
            f"got {self._path}, {device.name}, which lacks some; deadman_key names another key to hold"
        )

    def _only_one(self) -> Device:
        paths, refused = sorted(self._paths()), 0
        # Opening a device may show on it (lights), so each is looked at once.
        self._is_keyboard = {path: known for path, known in self._is_keyboard.items() if path in paths}
        for path in paths:
            if path not in self._is_keyboard:
                try:
                    device = self._open_device(path)
                    self._is_keyboard[path] = self._has_keys(device)
                    device.close()
                except PermissionError:
                    refused += 1
                except OSError:
                    pass  # gone again
        keyboards = [path for path, is_one in self._is_keyboard.items() if is_one]
        if len(keyboards) > 1:
            raise ValueError(
                f"keys_from: {AUTO}: expected one keyboard, got {len(keyboards)}, {', '.join(keyboards)}; "
                "name one, best by its path in /dev/input/by-id"
            )
        if keyboards:
            self._is_keyboard = {}
            with suppress(OSError):  # gone again
                return self._open_device(keyboards[0])
        why = f"; {refused} may not be read: {ADVICE}" if refused else ""
        raise ValueError(
            f"keys_from: {AUTO}: expected a keyboard with letters, arrows and {self._deadman_key}, "
            f"got none among {len(paths)} input devices{why}"
        )

    def _has_keys(self, device: Device) -> bool:
        return self._codes <= set(device.capabilities().get(EV_KEY, ()))
