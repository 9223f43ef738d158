"""Looks for an input device, reads it until it is unplugged, looks again. Knows nothing of ROS."""

import select
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from hilrl_teleop.input_events import Event

LOOK_AGAIN_S = 1.0
"""Also longer than `joy_timeout_s`, so that nobody takes a pad that comes back for one that never left."""


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


class DeviceReader(ABC):
    """Its `run` is a thread's: it waits for the kernel, never polls it."""

    kind: str
    """What it is that it reads, for people."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell` gets one line for the person whenever a device comes or goes."""
        self._tell = tell
        self._stop = threading.Event()

    @abstractmethod
    def find(self) -> Device:
        """Open the device to read. Raises ValueError saying why there is none."""

    @abstractmethod
    def read(self, device: Device) -> None:
        """Until `stop`. Raises OSError when the device is unplugged."""

    def stop(self) -> None:
        """Have `run` return within `LOOK_AGAIN_S`."""
        self._stop.set()

    def run(self) -> None:
        """Until `stop`."""
        told: str | None = ""
        while not self._stop.is_set():
            try:
                device = self.find()
            except ValueError as error:
                if told is not None and told != str(error):
                    self._tell(str(error))
                told = str(error)
                self._stop.wait(LOOK_AGAIN_S)
                continue
            told = ""
            self._tell(f"reading {device.name} at {device.path}")
            try:
                self.read(device)
            except OSError as error:
                self._tell(f"{device.name} is gone: {error.strerror or error}; waiting for {self.kind}")
                told = None  # that it is not found at first says nothing new
            finally:
                with suppress(OSError):
                    device.close()
            self._stop.wait(LOOK_AGAIN_S)


def events_within(device: Device, timeout_s: float) -> list[Event]:
    """What comes until `timeout_s` is over, as soon as it is there. Raises OSError when it is unplugged."""
    if select.select([device.fileno()], [], [], timeout_s)[0]:
        with suppress(BlockingIOError):  # woken for nothing
            return list(device.read())
    return []
