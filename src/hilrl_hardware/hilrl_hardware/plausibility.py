"""Refuses positions that no joint could have reached.

A reply's checksum is one byte: of replies in which several bytes are wrong, one in 256 passes. What then
gets through here is bounded. A joint at rest can be misread by `REST_TICKS`, 1.4 degrees, unless its
speed is misread in the same reply; a moving one by what it could have travelled since the last reading:
at 100 Hz and with the speed of a hand 16 degrees, with torque on and 6 rad/s 6.5, and less than four
times as much after a gap. It lasts for one reading, as the true one after it is about as near; two in a row
may add up. A far jump needs `CONFIRMATIONS` replies in a row that are wrong in the same way.
"""

import math
from collections.abc import Sequence

from hilrl_hardware.registers import TICK_RAD, TICKS_PER_TURN

HAND_SPEED = 15.0
"""Most that a hand turns a joint without torque [rad/s]. Servos reach 5.5; 1:147 ones 13."""
MARGIN = 1.2
JITTER_S = 0.005
"""Replies are stamped when they are read, not when the encoder was."""
MAX_ELAPSED_S = 0.05
"""After a longer gap a joint is not taken to be anywhere: what is further asks for confirmation."""
NOISE_TICKS = 2
"""One of the encoder, at either end."""
REST_TICKS = 16
"""What a joint may move between readings that both report no speed at all, as it starts or stops."""
REST_S = 0.02
"""Over a longer time it may have moved and stopped, and the speeds tell nothing."""
CONFIRMATIONS = 3
"""Readings in a row that must agree before a place is believed that the joint could not have reached."""


class PositionFilter:
    """Looks at the whole arm: six ticks are believed together or not at all.

    Also the first ones ask for confirmation, as the arm's first goals are made of them.
    """

    def __init__(self, max_speed: float = HAND_SPEED) -> None:
        self.max_speed = max_speed
        """Of any joint [rad/s]; may be changed at any time, as when torque is switched on."""
        self._believed: Sequence[int] = ()
        self._believed_s = -math.inf
        self._speeds: Sequence[int] | None = None
        self._candidate: Sequence[int] = ()
        self._candidate_s = -math.inf
        self._candidate_speeds: Sequence[int] | None = None
        self._agreeing = 0
        self.refused = 0
        """Readings that were not believed, those that asked for confirmation included."""

    def accept(self, ticks: Sequence[int], now_s: float, speeds: Sequence[int] | None = None) -> bool:
        """Whether `ticks`, read at monotonic time `now_s`, are where the arm is.

        `speeds`: what the servos report with them [any unit; only whether it is zero matters], if known.
        """
        for tick in ticks:
            if not 0 <= tick < TICKS_PER_TURN:
                self.refused += 1
                return False
        if self._reachable(self._believed, self._believed_s, self._speeds, ticks, now_s, speeds):
            self._believe(ticks, now_s, speeds)
            return True
        if self._reachable(self._candidate, self._candidate_s, self._candidate_speeds, ticks, now_s, speeds):
            self._agreeing += 1
        else:
            self._agreeing = 1
        if self._agreeing >= CONFIRMATIONS:
            self._believe(ticks, now_s, speeds)
            return True
        self._candidate, self._candidate_s, self._candidate_speeds = tuple(ticks), now_s, speeds
        self.refused += 1
        return False

    def _believe(self, ticks: Sequence[int], now_s: float, speeds: Sequence[int] | None) -> None:
        self._believed, self._believed_s, self._speeds = tuple(ticks), now_s, speeds
        self._candidate, self._agreeing = (), 0

    def _reachable(
        self,
        before: Sequence[int],
        before_s: float,
        speeds_before: Sequence[int] | None,
        ticks: Sequence[int],
        now_s: float,
        speeds: Sequence[int] | None,
    ) -> bool:
        if not before:
            return False
        elapsed_s = min(max(0.0, now_s - before_s), MAX_ELAPSED_S)  # NaN is no time
        reach = self.max_speed * (MARGIN / TICK_RAD) * (elapsed_s + JITTER_S) + NOISE_TICKS
        at_rest_matters = speeds is not None and speeds_before is not None and elapsed_s <= REST_S
        for index, tick in enumerate(ticks):
            moved = abs(tick - before[index])
            if moved > REST_TICKS and (
                moved > reach or (at_rest_matters and speeds[index] == 0 and speeds_before[index] == 0)
            ):
                return False
        return True
