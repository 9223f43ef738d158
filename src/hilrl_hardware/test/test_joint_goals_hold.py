"""Goals stay when they should, and then neither creep nor wind up."""

import math

import numpy as np
import pytest
from goal_drive import DT_S, EPSILON, Drive, following

# -- blocked and drooping ----------------------------------------------------------------------------------


def test_a_blocked_arm_does_not_wind_up_and_backs_off_at_once():
    drive = following()
    drive.measured = np.zeros(6)
    drive.cycles(300, 1.5)
    assert drive.goal == pytest.approx(np.full(6, 0.4))
    drive.command(-0.4)
    assert (drive.cycle() < 0.0).all()


def test_an_arm_that_comes_free_during_a_slow_approach_goes_on_slowly():
    drive = Drive()
    drive.measured = np.zeros(6)
    drive.cycles(1000, 1.5)
    drive.measured = None
    assert 0.0 < drive.cycles(100, 1.5).max() <= 0.5 * DT_S + EPSILON


def test_the_leash_stops_motion_away_from_the_arm_and_pulls_at_nothing():
    """Pushed away by a hand, further than the leash."""
    drive = following(1.0)
    drive.measured = np.full(6, 0.2)
    assert not drive.cycles(200, 1.0).any()
    assert not drive.cycles(200, 1.4).any()
    drive.command(0.0)
    assert (drive.cycle() < 0.0).all()


@pytest.mark.parametrize("how", ["commanded", "silent", "held", "held and relieved", "held while commanded"])
def test_a_drooping_arm_holds_for_an_hour_without_creeping(how):
    drive = following([0.5, -0.5, 0.5, 0.5, 0.5, 0.5], droop=0.06)
    lowest = drive.goal - (drive.droop if "relieved" in how or "while" in how else 0.0) - EPSILON
    rng = np.random.default_rng(0)
    for cycle in range(3600 * 10):
        drive.droop = 0.06 + rng.normal() * 0.001
        if "commanded" in how and cycle % 2 == 0:
            drive.command([0.5, -0.5, 0.5, 0.5, 0.5, 0.5])
        if "held" in how:
            relief = drive.goal - drive.droop if "relieved" in how or "while" in how else None
            drive.goals.hold("too hot", relief)
        drive.cycle(0.1)
        assert (drive.goal >= lowest - 0.005).all()


def test_droop_counts_as_lead_so_that_a_load_too_heavy_does_not_wind_up():
    drive = following(droop=0.06)
    for cycle in range(1000):
        if cycle % 10 == 0:
            drive.command(1.5)
        drive.measured = np.minimum(drive.goal - drive.droop, 0.3)
        drive.cycle()
    assert drive.goal == pytest.approx(np.full(6, 0.3 + 0.4))


# -- holding -----------------------------------------------------------------------------------------------


def test_silence_holds_within_one_cycle_and_motion_goes_on_at_once_without_a_jump():
    drive = following()
    drive.command(0.49, [0.5] * 6)
    drive.now_s += 0.5
    assert drive.cycle().max() == 0.0
    assert drive.goals.holding and drive.goals.reason == "no joint_commands for 0.5 s"
    assert not drive.cycles(100).any()
    drive.command(0.45)
    assert not drive.goals.holding
    assert drive.cycle() == pytest.approx(np.full(6, 3.0 * DT_S), rel=0.34), "no ramp"


@pytest.mark.parametrize("jump_s", [-10.0, 10.0, math.nan])
def test_a_jump_of_the_clock_is_silence(jump_s):
    drive = following()
    drive.command(0.4)
    assert not (drive.goals.step(drive.goal, DT_S, drive.now_s + jump_s) - drive.goal).any()
    assert drive.goals.holding


@pytest.mark.parametrize(
    ("position", "velocity", "text"),
    [
        ([0, 0, math.nan, 0, 0, 0], None, "joint_commands position: .* got nan for elbow_flex"),
        ([0, 0, 0, 0, 0, -math.inf], None, "joint_commands position: .* got -inf for gripper"),
        ([0.1] * 5, None, r"joint_commands position: expected 6 numbers, got shape \(5,\)"),
        ("abc", None, "joint_commands position: expected 6 numbers"),
        ([0.1] * 6, [1, 1, 1, 1, 1, math.nan], "joint_commands velocity: .* got nan for gripper"),
        ([0.1] * 6, [1, -0.5, 1, 1, 1, 1], "joint_commands velocity: expected rad/s >= 0, got -0.5 for shou"),
        ([0.1] * 6, [1.0], r"joint_commands velocity: expected 6 numbers, got shape \(1,\)"),
    ],
)
def test_a_bad_command_moves_nothing_and_the_next_good_one_is_approached_slowly(position, velocity, text):
    drive = following()
    drive.command(0.4)
    drive.cycle()
    with pytest.raises(ValueError, match=text):
        drive.goals.command(position, velocity, drive.now_s)
    assert drive.goals.holding and drive.goals.reason.startswith("joint_commands ")
    assert not drive.cycles(20).any()
    drive.command(0.4)
    assert drive.cycle().max() == pytest.approx(0.5 * DT_S)


def test_after_a_hold_for_any_other_reason_the_next_command_is_approached_slowly():
    drive = following()
    drive.goals.hold("servo 3 is hot")
    assert drive.goals.reason == "servo 3 is hot" and not drive.cycles(100).any()
    drive.command(0.4)
    assert drive.goals.ramping
    assert drive.cycles(10).max() == pytest.approx(0.5 * DT_S)


def test_a_joint_that_squeezes_is_relieved_at_the_speed_limit_and_only_once():
    drive = following(0.8)
    grip = np.array([0.8, 0.8, 0.8, 0.8, 0.8, 1.1])
    drive.measured = grip
    drive.goals.hold("gripper draws 1.6 A", grip, [False] * 5 + [True])
    assert drive.cycle().tolist() == pytest.approx([0, 0, 0, 0, 0, 4.0 * DT_S])
    for _ in range(50):
        drive.measured = drive.measured + 0.01
        drive.goals.hold("gripper draws 1.6 A", drive.measured, [False] * 5 + [True])
        drive.cycle()
    assert drive.goal.tolist() == pytest.approx(grip.tolist())


def test_a_joint_that_gave_way_is_followed_for_as_long_as_that_lasts():
    drive = following(0.8)
    drive.measured = np.full(6, 0.8)
    lift = [False, True, False, False, False, False]
    for _ in range(100):
        drive.measured = drive.measured - 0.01
        drive.goals.hold("overload", drive.measured, lift, follow=True)
        drive.cycle()
    assert drive.goal[1] == pytest.approx(-0.2) and (np.delete(drive.goal, 1) == 0.8).all()


def test_relief_ends_with_motion_and_begins_anew_with_the_next_hold():
    drive = following(0.8)
    drive.goals.hold("blocked", np.full(6, 0.7))
    drive.cycles(20)
    assert drive.goal == pytest.approx(np.full(6, 0.7))
    drive.cycles(300, 0.9)
    drive.goals.hold("blocked", np.full(6, 0.85))
    drive.cycles(20)
    assert drive.goal == pytest.approx(np.full(6, 0.85))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_nothing_moves_while_a_joint_is_not_measured(number):
    drive = following()
    drive.command(0.4)
    drive.measured = np.array([0.0, 0.0, 0.0, number, 0.0, 0.0])
    assert not drive.cycle().any()
    drive.measured = None
    assert drive.cycle().all()
