import threading
import time
from collections.abc import Callable

import pytest

from hilrl_hardware.control_loop import ControlLoop


class Counted:
    """A cycle that counts, and can be made to take long or to fail."""

    def __init__(self, period_s: float) -> None:
        self.calls = 0
        self.takes_s = 0.0
        self.failure: Exception | None = None
        self.deaths: list[BaseException] = []
        self.spans_s: list[tuple[float, float]] = []
        """When each call began and ended."""
        self.loop = ControlLoop(self, period_s, self.deaths.append)

    def __call__(self) -> None:
        self.calls += 1
        began_s = time.monotonic()
        takes_s, self.takes_s = self.takes_s, 0.0
        time.sleep(takes_s)
        self.spans_s.append((began_s, time.monotonic()))
        if self.failure:
            raise self.failure


@pytest.fixture
def start():
    started = []

    def start(period_s: float) -> Counted:
        counted = Counted(period_s)
        counted.loop.start()
        started.append(counted)
        return counted

    yield start
    for counted in started:
        counted.loop.stop()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_keeps_its_rate(start):
    counted = start(0.01)
    time.sleep(1.0)
    statistics = counted.loop.statistics
    before_s = time.monotonic() - statistics.began_s
    rate_hz = statistics.rate_hz
    after_s = time.monotonic() - statistics.began_s
    assert 50 * before_s < statistics.cycles + statistics.skipped <= 110 * before_s
    assert statistics.cycles / after_s <= rate_hz <= statistics.cycles / before_s


def test_a_long_cycle_is_counted_and_what_it_ran_into_is_not_made_up_for(start):
    counted = start(0.05)
    until(lambda: counted.calls)
    counted.takes_s = 0.23
    until(lambda: any(ended_s - began_s >= 0.23 for began_s, ended_s in counted.spans_s))
    after_s = next(ended_s for began_s, ended_s in counted.spans_s if ended_s - began_s >= 0.23)
    until(lambda: counted.spans_s[-1][0] > after_s + 0.1)
    statistics = counted.loop.statistics
    assert statistics.overruns and statistics.skipped >= 4 and statistics.longest_s >= 0.23
    calls = [began_s for began_s, _ in counted.spans_s if after_s <= began_s < after_s + 0.1]
    assert len(calls) <= 3, "at most those that were due in that time"


def test_it_can_be_woken_for_a_cycle_in_between(start):
    counted = start(30.0)
    until(lambda: counted.calls == 1)
    counted.loop.wake()
    until(lambda: counted.calls == 2)
    assert counted.loop.statistics.late == 0


def test_a_failure_ends_it_and_is_handed_over(start):
    counted = start(0.01)
    counted.failure = RuntimeError("broken")
    until(lambda: counted.deaths)
    calls = counted.calls
    time.sleep(0.05)
    assert counted.calls == calls and str(counted.deaths[0]) == "broken"


def test_stopping_waits_for_the_cycle_under_way():
    entered, leave = threading.Event(), threading.Event()
    done = []

    def cycle() -> None:
        entered.set()
        leave.wait(10)
        done.append(True)

    loop = ControlLoop(cycle, 0.01, done.append)
    loop.start()
    entered.wait(10)
    threading.Timer(0.1, leave.set).start()
    loop.stop()
    assert done == [True]


def test_one_that_was_never_started_can_be_stopped():
    Counted(1.0).loop.stop()
