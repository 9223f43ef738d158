"""Torque off without a fall: the torque limit goes down slowly, and the arm with it."""

import math

MAX_STEP_S = 0.1
"""A longer time between two looks counts as this one, or a loop that stalled would drop the arm."""


class EaseDown:
    """A share of torque that falls from 1 to 0, and never rises.

    The arm keeps its goals meanwhile. A joint sags as soon as its share is less than what gravity asks of it;
    slowly, as the gears of its servo brake.
    """

    def __init__(self, duration_s: float) -> None:
        """`duration_s`: 0 is torque off at once. Raises ValueError unless it is finite and not negative."""
        if not 0.0 <= duration_s < math.inf:
            raise ValueError(f"duration_s: expected a finite number >= 0 s, got {duration_s}")
        self._duration_s = duration_s
        self._left_s = duration_s
        self._last_s: float | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left: the torque is to be switched off."""
        return self._left_s <= 0.0

    def fraction(self, now_s: float) -> float:
        """Share of the full torque limit at monotonic time `now_s`, in [0, 1]; 1 in the first call."""
        if self._last_s is not None and now_s > self._last_s:
            self._left_s = max(0.0, self._left_s - min(now_s - self._last_s, MAX_STEP_S))
        self._last_s = now_s
        return self._left_s / self._duration_s if self._left_s > 0.0 else 0.0
