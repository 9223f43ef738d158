"""No position is believed that the joints could not have reached."""

import math

import numpy as np
import pytest

from hilrl_hardware.plausibility import CONFIRMATIONS, HAND_SPEED, REST_TICKS, PositionFilter
from hilrl_hardware.registers import TICK_RAD

DT_S = 0.01
POSE = (2047, 1200, 3000, 2047, 100, 2400)
STILL = (0,) * 6


def with_tick(joint, tick, pose=POSE):
    return (*pose[:joint], tick, *pose[joint + 1 :])


def settled(pose=POSE, speeds=None, **options):
    """A filter that believes `pose` at time 0."""
    positions = PositionFilter(**options)
    for i in range(CONFIRMATIONS):
        accepted = positions.accept(pose, (i + 1 - CONFIRMATIONS) * DT_S, speeds)
    assert accepted
    positions.refused = 0
    return positions


def test_the_first_pose_asks_for_confirmation():
    positions = PositionFilter()
    assert [positions.accept(POSE, i * DT_S) for i in range(4)] == [False, False, True, True]


def test_a_wrong_first_reading_does_not_become_the_pose():
    positions = PositionFilter()
    readings = [with_tick(2, 700), POSE, POSE, POSE]
    assert [positions.accept(ticks, i * DT_S) for i, ticks in enumerate(readings)] == [False] * 3 + [True]


@pytest.mark.parametrize("speed", [0.05, 1.0, 5.5, 15.0, -15.0])
def test_a_joint_turned_by_its_servo_or_by_a_hand_is_believed_all_the_way(speed):
    rng = np.random.default_rng(0)
    positions = settled(speeds=STILL)
    ticks_s = speed / TICK_RAD
    for i in range(1, 1 + min(100, int(1800 / abs(ticks_s * DT_S)))):
        # Stamps that are off by some milliseconds, and an encoder that is off by one.
        tick = round(2047 + ticks_s * i * DT_S) + int(rng.integers(-1, 2))
        now_s = i * DT_S + rng.uniform(-0.002, 0.002)
        assert positions.accept(with_tick(0, tick), now_s, with_tick(0, round(ticks_s), STILL))


def test_a_start_by_hand_from_rest_is_believed():
    """15 rad/s after a twentieth of a second, while the speed register lags by 20 ms."""
    positions = settled(speeds=STILL)
    accepted = []
    for i in range(1, 8):
        position = round(2047 + 0.5 * 300 / TICK_RAD * (i * DT_S) ** 2)
        speed = round(300 / TICK_RAD * max(0.0, i * DT_S - 0.02))
        accepted.append(positions.accept(with_tick(0, position), i * DT_S, with_tick(0, speed, STILL)))
    assert accepted.count(False) <= 1 and accepted[-1]


@pytest.mark.parametrize("tick", [-1, 4096, 65535, -32767])
def test_a_tick_that_no_encoder_has_is_never_believed(tick):
    positions = settled()
    assert not any(positions.accept(with_tick(4, tick), i * DT_S) for i in range(1, 100))
    assert positions.refused == 99
    assert positions.accept(POSE, 1.0)


def test_a_corrupted_reading_is_refused_and_the_next_good_one_believed_at_once():
    positions = settled()
    for i in range(1, 50):
        if i % 3 == 0:
            assert not positions.accept(with_tick(i % 6, (POSE[i % 6] + 1500) % 4096), i * DT_S)
        else:
            assert positions.accept(POSE, i * DT_S)


def test_an_arm_at_rest_tells_a_smaller_jump():
    jump = with_tick(1, POSE[1] + REST_TICKS + 1)
    assert not settled(speeds=STILL).accept(jump, DT_S, STILL)
    assert settled(speeds=STILL).accept(with_tick(1, POSE[1] + REST_TICKS), DT_S, STILL)
    assert settled(speeds=STILL).accept(jump, DT_S, with_tick(1, 300, STILL)), "it says that it moves"
    assert settled(speeds=STILL).accept(jump, 5 * DT_S, STILL), "it may have moved and stopped"
    assert settled().accept(jump, DT_S), "speeds are not known"


def test_a_jump_is_believed_after_readings_that_agree():
    moved = with_tick(2, 500)
    positions = settled()
    assert [positions.accept(moved, i * DT_S) for i in (1, 2, 3, 4)] == [False, False, True, True]
    positions = settled()
    readings = [moved, with_tick(2, 1500), moved, with_tick(2, 1500), moved, moved, moved]
    accepted = [positions.accept(ticks, i * DT_S) for i, ticks in enumerate(readings, 1)]
    assert accepted == [False] * 6 + [True], "those that disagree start anew"


def test_an_arm_that_was_moved_during_a_gap_is_believed_after_confirmation():
    positions = settled()
    assert [positions.accept(with_tick(0, 3500), 10.0 + i * DT_S) for i in range(3)] == [False, False, True]


def test_with_torque_on_less_is_believed():
    jump = with_tick(3, POSE[3] + 120)
    assert settled(max_speed=HAND_SPEED).accept(jump, DT_S)
    positions = settled(max_speed=HAND_SPEED)
    positions.max_speed = 6.0
    assert not positions.accept(jump, DT_S)


@pytest.mark.parametrize("now_s", [math.nan, -1e9, -DT_S])
def test_a_clock_that_makes_no_sense_lets_nothing_far_through(now_s):
    positions = settled()
    assert not positions.accept(with_tick(5, POSE[5] + 300), now_s)
    assert positions.accept(POSE, now_s) and positions.accept(POSE, DT_S)


@pytest.mark.parametrize("seed", range(10))
def test_no_corruption_brings_a_believed_position_further_off_than_a_joint_travels(seed):
    """Any bits in place of ticks: off by what a joint can travel, twice that after another such reading."""
    rng = np.random.default_rng(seed)
    for max_speed in (6.0, HAND_SPEED):
        positions, true = settled(max_speed=max_speed), np.array(POSE)
        last_s = now_s = 0.0
        wrong = 0
        for _ in range(3000):
            now_s += rng.choice([0.0, 0.005, 0.01, 0.01, 0.02, 0.04])
            true = np.clip(true + rng.integers(-20, 21, 6), 0, 4095)
            ticks, speeds = true.copy(), rng.integers(0, 2, 6) * 1000
            corrupted = rng.uniform() < 0.3
            if corrupted:
                joint = rng.integers(0, 6)
                ticks[joint] = rng.choice(
                    [rng.integers(-32767, 32768), true[joint] + rng.integers(-800, 800)]
                )
            if positions.accept(ticks.tolist(), now_s, speeds.tolist()):
                bound = max_speed * 1.2 / TICK_RAD * (min(now_s - last_s, 0.05) + 0.005) + 2
                assert np.abs(ticks - true).max() <= 2 * bound
                last_s = now_s
                wrong += corrupted
        assert wrong, "some do pass"
