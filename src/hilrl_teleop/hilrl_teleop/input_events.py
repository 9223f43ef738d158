"""Events of the kernel's input devices, in whole reports. Codes are those of Linux' input-event-codes.h."""

from collections.abc import Iterable
from typing import Protocol

EV_SYN, EV_KEY, EV_ABS = 0, 1, 3
SYN_REPORT, SYN_DROPPED = 0, 3


class Event(Protocol):
    """One kernel event."""

    @property
    def type(self) -> int: ...
    @property
    def code(self) -> int: ...
    @property
    def value(self) -> int: ...


class Reports:
    """Collects events until the kernel says that those before belong together."""

    def __init__(self) -> None:
        self.lost = False
        """Events were dropped, and the device cannot be asked yet."""
        self._events: list[Event] = []

    def feed(self, events: Iterable[Event]) -> list[list[Event] | None]:
        """Whole reports; None, as the last one, where some were dropped: ask the device how it is now.

        Whatever was read together with it and came after is left out. It is older than the device's answer,
        and with that answer the kernel forgets what it had not handed out yet: a key that went down here may
        have come up there.
        """
        reports: list[list[Event] | None] = []
        ask = False
        for event in events:
            if event.type == EV_SYN and event.code == SYN_DROPPED:
                self.lost, ask = True, False
            elif event.type == EV_SYN and event.code == SYN_REPORT:
                if self.lost:
                    ask = True
                else:
                    reports.append(self._events)
                self._events = []
            else:
                self._events.append(event)
        if ask:
            self.lost, self._events = False, []
            reports.append(None)
        return reports
