"""When the actor ticks in real time: at the control rate, each time as new frames have just come.

A timer that knows nothing of the cameras finds frames up to a camera period old, and ever other ages as
camera and timer drift apart. So a tick that is due waits for the next frames, and the ticks to come are
shifted a little towards the time at which frames came: a phase-locked loop. Where no frames come in time, the
tick comes without, and the next frames say anew when ticks are due.
"""

EARLY, LATE = 0.2, 0.4
"""How far from its time a tick may be, in periods: frames sooner than this are left to the next tick, and
frames later than this are not waited for. Two ticks are then less than 1.5 periods apart."""
SHORTEST = 0.55
"""Least distance of two ticks where the time of the frames has to be found anew, in periods."""
PULL = 0.05
"""Share of a tick's distance from its time by which the following ones are shifted."""


class TickPace:
    """Plain arithmetic on a monotonic clock [s]."""

    def __init__(self, period_s: float) -> None:
        """`period_s`: of the control rate."""
        self._period_s = period_s
        self._due_s = self._ticked_s = float("-inf")
        self._missed = False
        """The last tick came without new frames."""

    @property
    def deadline_s(self) -> float:
        """Time at which the next tick comes without new frames; before the first tick -inf."""
        return self._due_s + LATE * self._period_s

    def on_frames(self, now_s: float) -> bool:
        """New frames of all cameras are there: whether to tick with them."""
        if self._missed:
            self._missed = False
            if now_s - self._ticked_s < SHORTEST * self._period_s:
                self._due_s = now_s + self._period_s
                return False
            self._due_s = now_s
        elif now_s < self._due_s - EARLY * self._period_s:
            return False
        self._tick(now_s, PULL)
        return True

    def on_deadline(self, now_s: float) -> bool:
        """The deadline may have come: whether to tick with what there is."""
        if now_s < self.deadline_s:
            return False
        self._missed = True
        self._tick(now_s, pull=0.0)
        return True

    def _tick(self, now_s: float, pull: float) -> None:
        if now_s - self._due_s > self._period_s:
            self._due_s = now_s  # what was missed is not made up for
        self._due_s += self._period_s + pull * (now_s - self._due_s)
        self._ticked_s = now_s
