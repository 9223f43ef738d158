"""From a joystick's messages to what a person wants, trusting no axis or button before it was at rest."""

import math
from collections.abc import Sequence

import numpy as np

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.ee_action import AXES
from hilrl_teleop.joy_layout import NONE, Layout
from hilrl_teleop.wish import GRIPPER_HOLD_S, Wish

SETTLE_S = 0.2
"""A control counts once it has been at rest for so long since the device came. Drivers begin with zeros and
say a moment later what is held down, or where a trigger rests [s]."""
BOUNCE_S = 0.04
"""Up for less than this between two presses is one press: contacts bounce, and nobody is as quick [s]."""
JUMP = 0.5
"""An axis that first leaves its rest by more in one message was not at rest: drivers report 0 for a trigger
that rests at 1 until somebody touches it. A stick passes what lies between."""
LATE_NS = 2_000_000_000
"""A stamp that is older than the newest by less than this is a late message; by more, another clock [ns]."""


class _Rest:
    """Whether a control has been at rest for `SETTLE_S` since the device came."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._seen = False

    def update(self, at_rest: bool, now_s: float) -> bool:
        if self._since_s is not None and now_s - self._since_s >= SETTLE_S:
            self._seen = True
        if not at_rest:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        return self._seen


class _Button:
    """`down` and `pressed` tell only of presses that began under our eyes."""

    def __init__(self) -> None:
        self.down = self.pressed = False
        self._released_s = float("-inf")
        self._rest = _Rest()

    def update(self, down: bool, now_s: float, said_s: float) -> None:
        """`said_s`: on the sender's clock. What a stall of ours delivers all at once was not done at once."""
        trusted = self._rest.update(not down, now_s)
        was_down, self.down = self.down, down and trusted
        self.pressed = self.down and not was_down and said_s - self._released_s >= BOUNCE_S
        if was_down and not self.down:
            self._released_s = said_s


class _Axis:
    """`value` is 0 until the axis counts; meanwhile `is_ignored` tells that it is deflected."""

    def __init__(self) -> None:
        self.value = 0.0
        self.is_ignored = False
        self._rest = _Rest()
        self._has_left = False

    def update(self, value: float, dead_zone: float, is_hat: bool, now_s: float) -> None:
        at_rest = abs(value) <= dead_zone
        trusted = self._rest.update(at_rest, now_s)
        if trusted and not at_rest and not self._has_left:
            if abs(value) > JUMP and not (is_hat and abs(value) == 1.0):
                self._rest, trusted = _Rest(), False
            else:
                self._has_left = True
        self.value = min(max(value, -1.0), 1.0) if trusted else 0.0
        self.is_ignored = not trusted and not at_rest


class Joystick:
    """Messages in, wishes and requests out. Times are wall time [s]."""

    def __init__(self, layout: Layout, timeout_s: float = 0.3) -> None:
        """Silence for longer than `timeout_s` is as if it was unplugged: hands off, nothing counts."""
        self.timeout_s = timeout_s
        self.use(layout)

    def use(self, layout: Layout) -> None:
        """Go on with this layout, hands off."""
        self.layout = layout
        self._lose()

    def _lose(self) -> None:
        """As at the start: whatever comes next may be another device, held by another hand."""
        self.connected = False
        self._heard_s = float("-inf")
        self._newest_ns = 0
        self._shape: tuple[int, int] | None = None
        self._axes = {index: _Axis() for index in self.layout.axes if index != NONE}
        self._buttons = {index: _Button() for index in self.layout.buttons().values()}
        self._let_go()

    def _let_go(self) -> None:
        self._engaged = False
        self._moved_s = float("-inf")
        self._gripper, self._gripper_s = Gripper.STAY, float("-inf")

    def feed(self, axes: Sequence[float], buttons: Sequence[int], stamp_ns: int, now_s: float) -> list[str]:
        """Take in one message; returns what its presses ask of the actor, of `REQUEST_BUTTONS`.

        A `stamp_ns` that came before tells of nothing new; 0 is no stamp. Raises ValueError, hands off, where
        the message does not fit the layout.
        """
        self._expire(now_s)
        if reason := self._problem(axes, buttons):
            self._lose()
            raise ValueError(reason)
        if stamp_ns and 0 <= self._newest_ns - stamp_ns < LATE_NS:
            return []
        shape = (len(axes), 0 if self.layout.sparse_buttons else len(buttons))
        if self._shape not in (None, shape) or (stamp_ns and stamp_ns < self._newest_ns):
            self._lose()
        self.connected, self._heard_s, self._newest_ns, self._shape = True, now_s, stamp_ns, shape
        for index, axis in self._axes.items():
            axis.update(float(axes[index]), self.layout.dead_zone, index in self.layout.hat_axes, now_s)
        said_s = stamp_ns * 1e-9 if stamp_ns else now_s
        for index, button in self._buttons.items():
            button.update(index < len(buttons) and buttons[index] != 0, now_s, said_s)
        self._take_over(now_s)
        requests = self.layout.request_buttons.items()
        return [name for name, index in requests if index != NONE and self._buttons[index].pressed]

    @property
    def ignored_axes(self) -> list[int]:
        """Deflected, and without effect, as they were not seen at rest."""
        return [index for index, axis in self._axes.items() if axis.is_ignored]

    def wish(self, now_s: float) -> Wish:
        """What is wanted at `now_s`."""
        self._expire(now_s)
        if not self._engaged:
            return Wish.none()
        delta = np.zeros(len(AXES), np.float32)
        for i, (index, speed) in enumerate(zip(self.layout.axes, self.layout.speeds, strict=True)):
            if index != NONE:
                delta[i] = speed * _beyond(self._axes[index].value, self.layout.dead_zone)
        asked = self._gripper
        if asked is not Gripper.STAY and not self._buttons[self.layout.gripper_buttons[asked]].down:
            asked = asked if now_s - self._gripper_s < GRIPPER_HOLD_S else Gripper.STAY
        return Wish(True, delta, asked)

    def _expire(self, now_s: float) -> None:
        """What time alone ends."""
        if self.connected and now_s - self._heard_s > self.timeout_s:
            self._lose()
        moves = self._engaged and self.layout.takeover == "movement"
        if moves and now_s - self._moved_s >= self.layout.release_s:
            self._let_go()

    def _take_over(self, now_s: float) -> None:
        layout = self.layout
        grips = {
            gripper: self._buttons[index]
            for gripper, index in layout.gripper_buttons.items()
            if index != NONE
        }
        if layout.takeover == "deadman":
            engages = self._buttons[layout.deadman_button].down
        else:
            level = max(abs(axis.value) for axis in self._axes.values())
            engages = level >= layout.engage_level or any(button.pressed for button in grips.values())
            if engages or level >= layout.release_level or any(button.down for button in grips.values()):
                self._moved_s = now_s
            engages = engages or self._engaged
        if not engages:
            self._let_go()
            return
        self._engaged = True
        # A press before the take-over does not move the jaws: taking over never does.
        pressed = [gripper for gripper, button in grips.items() if button.pressed]
        if pressed:
            self._gripper = pressed[0] if len(pressed) == 1 else Gripper.STAY
            self._gripper_s = now_s

    def _problem(self, axes: Sequence[float], buttons: Sequence[int]) -> str | None:
        highest = max(self._axes)
        if highest >= len(axes):
            return (
                f"joy axes: expected at least {highest + 1}, as the layout uses axis {highest}, "
                f"got {len(axes)}"
            )
        for index, value in enumerate(axes):
            if not math.isfinite(value):
                return f"joy axes[{index}]: expected a number in [-1, 1], got {value:g}"
        highest = max(self._buttons, default=NONE)
        if highest >= len(buttons) and not self.layout.sparse_buttons:
            return (
                f"joy buttons: expected at least {highest + 1}, as the layout uses button {highest}, "
                f"got {len(buttons)}"
            )
        return None


def _beyond(value: float, dead_zone: float) -> float:
    """How far `value` is out of the dead zone, from 0 at its edge to 1 at full deflection."""
    return math.copysign(max(abs(value) - dead_zone, 0.0) / (1.0 - dead_zone), value)
