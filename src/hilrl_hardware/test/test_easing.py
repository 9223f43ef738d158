"""The arm is let down slowly, whatever the clock does."""

import math

import numpy as np
import pytest

from hilrl_hardware.easing import MAX_STEP_S, EaseDown


def test_torque_falls_evenly_from_all_to_nothing():
    ease = EaseDown(2.0)
    shares = [ease.fraction(100.0 + 0.01 * i) for i in range(201)]
    np.testing.assert_allclose(shares, np.linspace(1.0, 0.0, 201), atol=1e-9)
    assert ease.fraction(102.01) == 0.0 and ease.done


def test_no_time_at_all_is_torque_off_at_once():
    ease = EaseDown(0.0)
    assert ease.done and ease.fraction(5.0) == 0.0


def test_a_loop_that_stalls_does_not_drop_the_arm():
    ease = EaseDown(2.0)
    ease.fraction(0.0)
    assert ease.fraction(60.0) == pytest.approx(1.0 - MAX_STEP_S / 2.0)


@pytest.mark.parametrize("seed", range(20))
def test_torque_never_rises_nor_falls_at_once_and_ends_in_time(seed):
    rng = np.random.default_rng(seed)
    duration_s, now_s = rng.uniform(0.2, 5.0), rng.uniform(0, 1e6)
    ease, before = EaseDown(duration_s), 1.0
    for _ in range(200):
        kind = rng.integers(0, 20)
        now_s += {0: -5.0, 1: 50.0}.get(int(kind), rng.uniform(0.0, 0.02))
        share = ease.fraction(math.nan if kind == 2 else math.inf if kind == 3 else now_s)
        assert 0.0 <= before - share <= MAX_STEP_S / duration_s + 1e-9
        before = share
    for _ in range(math.ceil(duration_s / MAX_STEP_S) + 2):
        now_s += MAX_STEP_S
        ease.fraction(now_s)
    assert ease.done


@pytest.mark.parametrize("duration_s", [-0.1, math.nan, math.inf])
def test_a_duration_that_is_none_is_refused(duration_s):
    with pytest.raises(ValueError, match="duration_s: expected a finite number >= 0 s"):
        EaseDown(duration_s)
