"""Looks for a gamepad, reads it until it is unplugged, looks again. Knows evdev's devices, nothing of ROS."""

import select
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from hilrl_teleop.gamepad import EV_ABS, EV_KEY, Event, Gamepad, Snapshot

LOOK_AGAIN_S = 1.0
"""Also longer than `joy_timeout_s`, so that nobody takes a pad that comes back for one that never left."""
COALESCE_S = 0.005
"""Axes that change are told at most so often [s]."""


class Device(Protocol):
    """What is used of `evdev.InputDevice`."""

    name: str
    path: str

    def fileno(self) -> int: ...
    def read(self) -> Iterable[Event]: ...
    def capabilities(self) -> Mapping[int, Sequence[Any]]: ...
    def absinfo(self, axis_num: int) -> Any: ...
    def active_keys(self) -> Sequence[int]: ...
    def close(self) -> None: ...


def snapshot(device: Device) -> Snapshot:
    """The device as it is now."""
    able = device.capabilities()
    axes = {code: device.absinfo(code) for code, _ in able.get(EV_ABS, ())}
    return Snapshot(axes, able.get(EV_KEY, ()), device.active_keys())


class GamepadReader:
    """Its `run` is a thread's: it waits for the kernel, never polls it."""

    def __init__(
        self,
        paths: Callable[[], Iterable[str]],
        open_device: Callable[[str], Device],
        publish: Callable[[list[float], list[int]], None],
        tell: Callable[[str], None],
        name: str = "",
        rate_hz: float = 20.0,
    ) -> None:
        """`paths` lists the input devices there are; the first gamepad whose name contains `name` is read.

        `publish` gets axes and buttons: at once when a button changes, within `COALESCE_S` when an axis does,
        and at `rate_hz` at least.
        """
        self._paths = paths
        self._open_device = open_device
        self._looked_at: set[str] = set()
        self._publish = publish
        self._tell = tell
        self._name = name
        self._period_s = 1.0 / rate_hz
        self._stop = threading.Event()

    def stop(self) -> None:
        """Have `run` return within `LOOK_AGAIN_S`."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`."""
        is_told = False
        while not self._stop.is_set():
            device = self._find()
            if device is None:
                if not is_told:
                    called = f" whose name contains {self._name!r}" if self._name else ""
                    self._tell(
                        f"no gamepad{called} is there yet; waiting for one (one that is plugged in but not "
                        "seen: this user needs the group input)"
                    )
                    is_told = True
                self._stop.wait(LOOK_AGAIN_S)
                continue
            is_told = False
            self._tell(f"reading {device.name} at {device.path}")
            self._looked_at = set()
            try:
                self._read(device)
            except OSError as error:
                self._tell(f"{device.name} is gone: {error.strerror or error}; waiting for a gamepad")
                is_told = True
            finally:
                with suppress(OSError):
                    device.close()
            self._stop.wait(LOOK_AGAIN_S)

    def _find(self) -> Device | None:
        paths = set(self._paths())
        # Opening a device may show on it (lights), so each is looked at once.
        self._looked_at &= paths
        for path in sorted(paths - self._looked_at):
            with suppress(OSError):  # gone again, or not ours to read
                device = self._open_device(path)
                if self._name.lower() in device.name.lower() and snapshot(device).is_gamepad():
                    return device
                device.close()
                self._looked_at.add(path)
        return None

    def _read(self, device: Device) -> None:
        """Raises OSError when it is unplugged."""
        pad = Gamepad(lambda: snapshot(device))
        self._publish(pad.axes, pad.buttons)
        published_s = time.monotonic()
        told = pad.axes
        while not self._stop.is_set():
            now_s = time.monotonic()
            due_s = published_s + (self._period_s if pad.axes == told else COALESCE_S)
            if now_s >= due_s:
                self._publish(pad.axes, pad.buttons)
                published_s, told = now_s, pad.axes
            elif select.select([device.fileno()], [], [], due_s - now_s)[0]:
                with suppress(BlockingIOError):  # woken for nothing
                    for axes, buttons in pad.feed(device.read()):
                        self._publish(axes, buttons)
                        published_s, told = time.monotonic(), axes
