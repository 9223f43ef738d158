"""Looks for a gamepad, reads it until it is unplugged, looks again. Knows evdev's devices, nothing of ROS."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from hilrl_teleop.device_reader import Device, DeviceReader, events_within
from hilrl_teleop.gamepad import Gamepad, Snapshot
from hilrl_teleop.input_events import EV_ABS, EV_KEY

COALESCE_S = 0.005
"""Axes that change are told at most so often [s]."""


def snapshot(device: Device) -> Snapshot:
    """The device as it is now."""
    able = device.capabilities()
    axes = {code: device.absinfo(code) for code, _ in able.get(EV_ABS, ())}
    return Snapshot(axes, able.get(EV_KEY, ()), device.active_keys())


class GamepadReader(DeviceReader):
    """From whichever gamepad there is to axes and buttons."""

    kind = "a gamepad"

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
        super().__init__(tell)
        self._paths = paths
        self._open_device = open_device
        self._looked_at: set[str] = set()
        self._publish = publish
        self._name = name
        self._period_s = 1.0 / rate_hz

    def find(self) -> Device:
        """The first one. Raises ValueError where there is none."""
        paths = set(self._paths())
        # Opening a device may show on it (lights), so each is looked at once.
        self._looked_at &= paths
        for path in sorted(paths - self._looked_at):
            with suppress(OSError):  # gone again, or not ours to read
                device = self._open_device(path)
                if self._name.lower() in device.name.lower() and snapshot(device).is_gamepad():
                    self._looked_at = set()
                    return device
                device.close()
                self._looked_at.add(path)
        called = f" whose name contains {self._name!r}" if self._name else ""
        raise ValueError(
            f"no gamepad{called} is there yet; waiting for one (one that is plugged in but not seen: this "
            "user needs the group input)"
        )

    def read(self, device: Device) -> None:
        """Until `stop`. Raises OSError when it is unplugged."""
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
                continue
            for axes, buttons in pad.feed(events_within(device, due_s - now_s)):
                self._publish(axes, buttons)
                published_s, told = time.monotonic(), axes
