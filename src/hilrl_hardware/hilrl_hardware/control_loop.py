"""A function called at a steady rate, by a thread of its own."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

LATE_SHARE = 0.1
"""A cycle that begins later than this share of a period after its time is late."""


@dataclass
class LoopStatistics:
    """Since the loop began."""

    cycles: int = 0
    late: int = 0
    """Began late."""
    overruns: int = 0
    """Took longer than their period; cycles that they ran into are skipped, not made up for."""
    skipped: int = 0
    busy_s: float = 0.0
    """Time spent in cycles."""
    longest_s: float = 0.0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def rate_hz(self) -> float:
        """Cycles per second."""
        return self.cycles / max(1e-9, time.monotonic() - self.began_s)


class ControlLoop:
    """Calls `cycle` every `period_s`, or at once after `wake`. An exception in it ends the loop.

    Times are monotonic, so that a clock that is set does not stop the arm.
    """

    def __init__(self, cycle: Callable[[], None], period_s: float, on_death: Callable[[BaseException], None]):
        """`on_death` gets the exception that ended the loop, in the loop's thread."""
        self._cycle, self._period_s, self._on_death = cycle, period_s, on_death
        self._statistics = LoopStatistics()
        self._woken = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="control_loop", daemon=True)

    @property
    def statistics(self) -> LoopStatistics:
        """A copy."""
        return replace(self._statistics)

    def start(self) -> None:
        """Begin."""
        self._statistics = LoopStatistics()
        self._thread.start()

    def wake(self) -> None:
        """Do the next cycle now instead of at its time."""
        self._woken.set()

    def stop(self) -> None:
        """End after the cycle that is under way, and wait for that."""
        self._ending = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            due_s = time.monotonic()
            while not self._ending:
                due_s = self._one_cycle(due_s)
                self._woken.wait(max(0.0, due_s - time.monotonic()))
        except BaseException as error:
            self._on_death(error)

    def _one_cycle(self, due_s: float) -> float:
        """The time of the next cycle."""
        began_s = time.monotonic()
        woken = self._woken.is_set()
        self._woken.clear()
        self._cycle()
        ended_s = time.monotonic()
        took_s = ended_s - began_s
        statistics = self._statistics
        statistics.cycles += 1
        statistics.busy_s += took_s
        statistics.longest_s = max(statistics.longest_s, took_s)
        if woken and began_s < due_s:
            return due_s  # one in between
        statistics.late += began_s - due_s > LATE_SHARE * self._period_s
        due_s += self._period_s
        if took_s > self._period_s:
            statistics.overruns += 1
        if ended_s > due_s:
            skipped = int((ended_s - due_s) / self._period_s) + 1
            statistics.skipped += skipped
            due_s += skipped * self._period_s
        return due_s
