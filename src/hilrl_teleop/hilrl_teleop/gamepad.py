"""A gamepad's kernel events as axes and buttons, in the order and with the signs of `joy_node`.

The pad's layout follows from what it can report: axes in the order of their codes, then two per hat; left and
up are positive; a trigger is 1 at rest and -1 pressed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hilrl_teleop.input_events import EV_ABS, EV_KEY, Event, Reports

ABS_X, ABS_Y = 0x00, 0x01
ABS_HATS = range(0x10, 0x18)
"""Of hat n: 0x10 + 2 n left and right, 0x11 + 2 n up and down."""
PAD_BUTTONS = range(0x120, 0x140)
"""BTN_JOYSTICK and BTN_GAMEPAD with what follows them: only joysticks and gamepads have any of these."""
FIRST_BUTTON = 0x120
"""Buttons are counted from here on, those with lower codes last."""


class AbsInfo(Protocol):
    """What the kernel says of an absolute axis."""

    @property
    def value(self) -> int: ...
    @property
    def min(self) -> int: ...
    @property
    def max(self) -> int: ...


@dataclass(frozen=True)
class Snapshot:
    """All that a pad can report, as it is now."""

    axes: Mapping[int, AbsInfo]
    """By event code."""
    buttons: Sequence[int]
    """Event codes of all buttons."""
    pressed: Sequence[int]
    """Event codes of those that are down."""

    def is_gamepad(self) -> bool:
        """Not a mouse, a keyboard, a touch pad or the motion sensors of a gamepad."""
        return {ABS_X, ABS_Y} <= self.axes.keys() and any(code in PAD_BUTTONS for code in self.buttons)


class Gamepad:
    """Events in, axes and buttons out."""

    def __init__(self, read_state: Callable[[], Snapshot]) -> None:
        """`read_state` asks the device; called now, and again whenever the kernel dropped events."""
        self._read_state = read_state
        self._reports = Reports()
        self._take(read_state())
        self._reported = set(self._down)

    def _take(self, state: Snapshot) -> None:
        sticks = sorted(code for code in state.axes if code not in ABS_HATS)
        hats = sorted({code & ~1 for code in state.axes if code in ABS_HATS})
        self._codes = [*sticks, *(code + side for code in hats for side in (0, 1))]
        self._ranges = {code: (info.min, info.max) for code, info in state.axes.items()}
        self._values = {code: info.value for code, info in state.axes.items()}
        self._buttons = sorted(state.buttons, key=lambda code: (code < FIRST_BUTTON, code))
        self._down = set(state.pressed)

    @property
    def axes(self) -> list[float]:
        """Each in [-1, 1]."""
        return [self._axis(code) for code in self._codes]

    @property
    def buttons(self) -> list[int]:
        """1 is down."""
        return [int(code in self._down) for code in self._buttons]

    def feed(self, events: Iterable[Event]) -> list[tuple[list[float], list[int]]]:
        """Take events in; returns axes and buttons after each report in which a button went up or down.

        A press and its release that are read together are thus still told apart.
        """
        changes = []
        for report in self._reports.feed(events):
            if report is None:
                self._take(self._read_state())
            else:
                self._apply(report)
            if self._down != self._reported:
                self._reported = set(self._down)
                changes.append((self.axes, self.buttons))
        return changes

    def _apply(self, report: Iterable[Event]) -> None:
        for event in report:
            if event.type == EV_KEY:
                # 2 is a repeat.
                (self._down.add if event.value else self._down.discard)(event.code)
            elif event.type == EV_ABS and event.code in self._values:
                self._values[event.code] = event.value

    def _axis(self, code: int) -> float:
        if code not in self._ranges:
            return 0.0  # half a hat
        low, high = self._ranges[code]
        if high <= low:
            return 0.0
        share = (self._values[code] - low) / (high - low)
        # + 0.0: no negative zero.
        return min(max(1.0 - 2.0 * share, -1.0), 1.0) + 0.0
