"""Ticks in real time: at the control rate, on fresh frames where those come, and never in a burst."""

import numpy as np
import pytest

from hilrl_learning.tick_pace import EARLY, LATE, TickPace

PERIOD_S = 0.1


def ticks(frames_s, until_s, period_s=PERIOD_S):
    """(time, whether by a frame) of each tick, with the timer doing what the actor's does."""
    pace, deadline_s, found = TickPace(period_s), 0.0, []
    frames_s = [*frames_s, np.inf]
    while True:
        by_frame = frames_s[0] <= deadline_s
        now_s = frames_s.pop(0) if by_frame else deadline_s
        if now_s > until_s:
            return found
        if (pace.on_frames if by_frame else pace.on_deadline)(now_s):
            found.append((now_s, by_frame))
        deadline_s = pace.deadline_s


@pytest.mark.parametrize("fps", [10.0, 15.0, 25.0, 29.97, 30.0, 60.0])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.5, 0.7, 0.95])
def test_it_locks_on_to_the_frames_and_keeps_the_control_rate(fps, phase):
    frames_s = [(index + phase) / fps for index in range(int(100 * fps))]
    found = ticks(frames_s, 100.0)
    times = np.array([time for time, _ in found])
    assert all(by_frame for _, by_frame in found[2:])
    gaps = np.diff(times)[1:]
    assert gaps.min() > 0.5 * PERIOD_S and gaps.max() < 1.5 * PERIOD_S
    assert gaps.mean() == pytest.approx(PERIOD_S, rel=0.02)


def test_frames_that_shake_do_not_shake_the_rate():
    generator = np.random.default_rng(0)
    frames_s = sorted(index / 30 + generator.uniform(0, 0.02) for index in range(3000))
    found = ticks(frames_s, 99.0)
    assert np.mean([by_frame for _, by_frame in found]) > 0.99
    assert np.diff([time for time, _ in found]).mean() == pytest.approx(PERIOD_S, rel=0.02)


@pytest.mark.parametrize("shift_s", [0.02, 0.05, 0.06, 0.08, 0.095])
def test_where_the_frames_shift_it_follows_at_once(shift_s):
    before = [index / 10 for index in range(50)]
    found = ticks([*before, *(5.0 + shift_s + index / 10 for index in range(50))], 9.9)
    assert sum(not by_frame for _, by_frame in found) <= 1
    gaps = np.diff([time for time, _ in found])
    assert gaps.min() > 0.5 * PERIOD_S and gaps.max() < 1.6 * PERIOD_S


@pytest.mark.parametrize("fps", [0.0, 3.0, 5.0, 9.0])
def test_without_frames_in_time_the_tick_comes_nevertheless(fps):
    frames_s = [index / fps for index in range(int(100 * fps))] if fps else []
    gaps = np.diff([time for time, _ in ticks(frames_s, 99.0)])
    assert gaps.max() < (1.0 + LATE + EARLY) * PERIOD_S + 1e-9
    assert PERIOD_S * 0.95 < gaps.mean() < PERIOD_S * 1.15


def test_after_a_standstill_there_is_no_burst():
    pace = TickPace(PERIOD_S)
    assert pace.on_frames(0.0)
    assert pace.on_frames(5.0)
    assert not pace.on_frames(5.0 + 0.5 * PERIOD_S)
    assert not pace.on_deadline(5.0 + PERIOD_S)
    assert pace.on_frames(5.0 + PERIOD_S)
