"""From a keyboard's kernel events to what a person wants: which keys are held is known, not guessed.

The kernel tells of every key, whichever window it was meant for. So keys count only while the dead-man key is
held, and one that was down before it does not. Whenever a release may have been missed, all keys are up.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.ee_action import AXES
from hilrl_teleop.input_events import EV_KEY, Event, Reports
from hilrl_teleop.key_map import GRIPPERS, KEY_OF_CODE, MOTIONS, REQUESTS, TOGGLE
from hilrl_teleop.wish import GRIPPER_HOLD_S, Wish

UP, DOWN = 0, 1
"""Values of a key's event; 2 is a repeat, which tells nothing new."""
STALL_S = 0.5
"""Not fed for longer, this process stood still: what was pressed meanwhile was meant for then [s]."""
NEAR_S = 0.5
"""The dead-man key was held just now: what a terminal says of the keys beside it comes later [s]."""


class HeldKeys:
    """Events in, wishes and requests out. Times are of the monotonic clock [s]."""

    def __init__(self, deadman_code: int, speed: float) -> None:
        """`speed`: share of a full step that a held key asks for. `deadman_code`: the kernel's code."""
        self.speed = speed
        self._deadman_code = deadman_code
        self._deadman_s = float("-inf")
        self.all_up()

    def all_up(self) -> None:
        """Hands off. A key counts again once there was a moment without events, and it is pressed anew."""
        self._reports = Reports()
        self._is_settled = False
        self._fed_s = float("-inf")
        self._requests: list[str] = []
        self._let_go()

    def feed(self, events: Sequence[Event], keys_down: Callable[[], Iterable[int]], now_s: float) -> None:
        """Take in what was read. That nothing came is news too: call it several times per `STALL_S`.

        `keys_down` asks the device for the codes of the keys that are down.
        """
        self._expire(now_s)
        self._fed_s = now_s
        self._is_settled = self._is_settled or not events
        for report in self._reports.feed(events):
            if report is None:
                self._keep(set(keys_down()))
            elif self._is_settled:
                for event in report:
                    if event.type == EV_KEY:
                        self._on_key(event.code, event.value, now_s)

    def take_requests(self) -> list[str]:
        """What was asked of the actor since the last call, of the values of `REQUESTS`."""
        requests, self._requests = self._requests, []
        return requests

    def wish(self, now_s: float) -> Wish:
        """What is wanted at `now_s`."""
        self._expire(now_s)
        if not self._is_engaged or self._reports.lost:
            return Wish.none()
        delta = np.zeros(len(AXES), np.float32)
        for key in (KEY_OF_CODE[code] for code in self._held):
            if key in MOTIONS:
                axis, sign = MOTIONS[key]
                delta[axis] += sign * self.speed
        asks_jaws = self._jaws_code in self._held or now_s - self._jaws_s < GRIPPER_HOLD_S
        jaws = GRIPPERS[KEY_OF_CODE[self._jaws_code]] if asks_jaws else Gripper.STAY
        return Wish(True, np.clip(delta, -1, 1), jaws)

    def is_deadman_near(self, now_s: float) -> bool:
        """Held, or let go of just now."""
        return self._is_deadman_down or now_s - self._deadman_s < NEAR_S

    def _expire(self, now_s: float) -> None:
        if now_s - self._fed_s > STALL_S:
            self.all_up()

    def _let_go(self) -> None:
        self._is_deadman_down = self._is_engaged = False
        self._release()

    def _release(self) -> None:
        self._held: set[int] = set()
        self._jaws_code, self._jaws_s = 0, float("-inf")

    def _keep(self, down: set[int]) -> None:
        """After a loss: a key that was held and is down is still held, any other one is up."""
        if self._deadman_code not in down:
            self._let_go()
        self._held &= down

    def _on_key(self, code: int, value: int, now_s: float) -> None:
        if code == self._deadman_code:
            if value == DOWN:
                self._is_deadman_down = True
            elif value == UP:
                self._deadman_s = now_s
                self._let_go()
        elif value == UP:
            self._held.discard(code)
        elif value == DOWN and self._is_deadman_down and code in KEY_OF_CODE:
            self._on_press(code, KEY_OF_CODE[code], now_s)

    def _on_press(self, code: int, key: str, now_s: float) -> None:
        if key in REQUESTS:
            self._requests.append(REQUESTS[key])
        elif key == TOGGLE:
            self._is_engaged = not self._is_engaged
            self._release()
        else:
            self._is_engaged = True
            self._held.add(code)
            if key in GRIPPERS:
                self._jaws_code, self._jaws_s = code, now_s
