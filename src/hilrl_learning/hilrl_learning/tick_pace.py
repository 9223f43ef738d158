"""When the actor ticks in real time: at the control rate, each time as new frames have just come.

A timer that knows nothing of the cameras finds frames up to a camera period old, and ever other ages as
camera and timer drift apart. So a tick that is due waits for the next frames, and the ticks to come are
shifted a little towards the time at which frames came: a phase-locked loop. Where no frames come in time, the
tick comes without.
"""

EARLY, LATE = 0.2, 0.4
"""How far from its time a tick may be, in periods: frames sooner than this are left to the next tick, and
frames later than this are not waited for. Two ticks are then less than 1.5 periods apart."""
PULL = 0.05
"""Share of a tick's distance from its time by which the following ones are shifted."""


class TickPace:
    """Plain arithmetic on a monotonic clock [s]."""

    def __init__(self, period_s: float) -> None:
        """`period_s`: of the control rate."""
        self._period_s = period_s
        self._due_s: float | None = None

    @property
    def deadline_s(self) -> float:
        """Time at which the next tick comes without new frames. Only after the first tick."""
        assert self._due_s is not None
        return self._due_s + LATE * self._period_s

    def on_frames(self, now_s: float) -> bool:
        """New frames of all cameras are there: whether to tick with them."""
        if self._due_s is not None and now_s < self._due_s - EARLY * self._period_s:
            return False
        self._tick(now_s)
        return True

    def on_deadline(self, now_s: float) -> bool:
        """The deadline may have come: whether to tick with what there is."""
        if self._due_s is not None and now_s < self.deadline_s:
            return False
        self._tick(now_s)
        return True

    def _tick(self, now_s: float) -> None:
        if self._due_s is None or now_s - self._due_s > self._period_s:
            self._due_s = now_s  # what was missed is not made up for
        self._due_s += self._period_s + PULL * (now_s - self._due_s)
