"""Motion is bounded by the driver, whatever is commanded and wherever the arm is."""

import math
from dataclasses import replace

import numpy as np
import pytest
from goal_drive import DT_S, EPSILON, LIMITS, Drive, following

from hilrl_hardware.joint_goals import CAUGHT_UP_RAD, MAX_DT_S, GoalLimits, JointGoals
from hilrl_ros.joints import JOINT_NAMES

ELBOW = JOINT_NAMES.index("elbow_flex")

# -- whatever comes ----------------------------------------------------------------------------------------

ODD = (math.nan, math.inf, -math.inf, 1e300, -1e300, 1e-300)
TIMES = (0.0, 1e-6, 0.01, 0.01, 0.01, 0.01, 0.02, 10.0, -1.0, math.nan, math.inf)


def some_limits(rng):
    width = rng.uniform(0.0, 2.0, 6)
    middle = rng.uniform(-1.0, 1.0, 6)
    return GoalLimits(
        middle - width,
        middle + width,
        rng.uniform(0.01, 6.0, 6),
        ramp_speed=rng.uniform(0.01, 2.0),
        max_step_rad=10.0 ** rng.uniform(-3, 0),
        leash_rad=rng.uniform(0.01, 1.0),
        command_timeout_s=rng.uniform(0.02, 1.0),
        far_rad=rng.choice([0.1, 0.5, math.inf]),
    )


def some_pose(rng, near):
    kind = rng.integers(0, 6)
    if kind == 0:
        return rng.uniform(-8.0, 8.0, 6)
    pose = near + rng.normal(size=6) * 10.0 ** rng.integers(-3, 1)
    if kind == 1:
        pose[rng.integers(0, 6)] = rng.choice(ODD)
    return pose


def disturb(rng, goals, goal, now_s):
    """One thing that may happen between two cycles."""
    kind = rng.integers(0, 10)
    if kind < 5:
        wanted, speed = some_pose(rng, goal), None
        if rng.integers(0, 2):
            speed = rng.uniform(-0.1, 6.0, 6) if rng.integers(0, 4) == 0 else rng.uniform(0.0, 6.0, 6)
        if rng.integers(0, 20) == 0:
            wanted = wanted[:5]
        try:
            goals.command(wanted, speed, now_s)
        except ValueError:
            assert goals.holding and goals.reason
    elif kind == 5:
        goals.limits = some_limits(rng)
    elif kind == 6:
        joints = None if rng.integers(0, 2) else (rng.uniform(size=6) < 0.5).tolist()
        goals.hold("test", some_pose(rng, goal), joints, follow=bool(rng.integers(0, 2)))


@pytest.mark.parametrize("seed", range(8))
def test_no_sequence_of_events_moves_a_goal_beyond_its_bounds(seed):
    rng = np.random.default_rng(seed)
    moved = 0
    for _ in range(300):
        goals = JointGoals(some_limits(rng))
        goal = rng.uniform(-2.5, 2.5, 6)
        goals.start(goal)
        now_s, follows = rng.uniform(0, 1e6), rng.uniform()
        measured = goal.copy()
        for _ in range(60):
            disturb(rng, goals, goal, now_s)
            dt_s = float(rng.choice(TIMES))
            now_s = rng.choice([now_s, now_s + 10.0, now_s - 10.0]) if rng.uniform() < 0.05 else now_s
            now_s += dt_s if math.isfinite(dt_s) else 0.0
            seen = some_pose(rng, measured) if rng.uniform() < 0.1 else measured
            limits, before = goals.limits, goal
            goal = goals.step(seen, dt_s, now_s)

            travel = goal - before
            usable = math.isfinite(dt_s) and np.isfinite(seen).all()
            allowed_s = min(max(dt_s, 0.0), MAX_DT_S) if usable else 0.0
            assert np.isfinite(goal).all()
            assert (np.abs(travel) <= np.array(limits.max_speed) * allowed_s + EPSILON).all()
            assert np.abs(travel).max() <= limits.max_step_rad + EPSILON
            assert (goal >= np.minimum(limits.lower_rad, before)).all()
            assert (goal <= np.maximum(limits.upper_rad, before)).all()
            if usable:
                assert (goal <= np.maximum(seen + limits.leash_rad, before) + EPSILON).all()
                assert (goal >= np.minimum(seen - limits.leash_rad, before) - EPSILON).all()
            measured = measured + follows * (goal - measured)
            moved += travel.any()
    assert moved > 1000, "the sequences do move the arm"


# -- the first command -------------------------------------------------------------------------------------


def test_before_the_first_command_the_goal_is_where_the_arm_was_found():
    drive = Drive(np.arange(6) * 0.2)
    drive.measured = np.zeros(6)
    assert not drive.cycles(300).any()
    assert drive.goal.tolist() == (np.arange(6) * 0.2).tolist()
    assert drive.goals.holding and drive.goals.reason == "waiting for the first command"


def test_all_joints_approach_the_first_command_at_ramp_speed_until_they_have_caught_up():
    drive = Drive()
    drive.command([1.0, 0.5, 0.0, -0.2, 0.0, 1.0], [3.0] * 6)
    moves = []
    while drive.goals.ramping:
        drive.command([1.0, 0.5, 0.0, -0.2, 0.0, 1.0], [3.0] * 6)
        moves.append(np.abs(drive.cycle()))
    assert np.max(moves) <= 0.5 * DT_S + EPSILON
    assert len(moves) == pytest.approx((1.0 - CAUGHT_UP_RAD) / 0.5 / DT_S, abs=2)
    drive.command([1.2, 0.5, 0.0, -0.2, 0.0, 1.0], [3.0] * 6)
    assert drive.cycle()[0] == pytest.approx(3.0 * DT_S)


def test_a_target_that_keeps_moving_is_caught_as_well_without_a_lunge():
    """A leader that turns faster than the ramp."""
    drive = Drive()
    target, pace, cycles = 0.4, 0.0, 0
    drive.command([target, 0, 0, 0, 0, 0])
    while drive.goals.ramping:
        target = min(target + 0.8 * DT_S, 1.9)
        drive.command([target, 0, 0, 0, 0, 0])
        before, pace = pace, drive.cycle()[0] / DT_S
        if before and drive.goals.ramping:
            assert pace - before <= 0.5 * DT_S + 1e-9, "half a radian per second more, each second"
        cycles += 1
    assert 0.8 < cycles * DT_S < 3.0, "at ramp speed alone it takes 3.8"


def test_an_arm_that_starts_outside_its_limits_stays_there_and_only_comes_in():
    outside = [0.0, -1.9, 1.8, 0.0, 0.0, 0.0]
    drive = Drive(outside)
    assert not drive.cycles(50).any()
    drive.command([0.0, -5.0, 1.8, 0.0, 0.0, 0.0])
    for _ in range(100):
        moved = drive.cycle()
        assert moved[1] >= 0.0 and moved[2] <= 0.0 and not moved[[0, 3, 4, 5]].any()
    assert drive.goal[1] == -1.75 and drive.goal[2] == 1.69


# -- following ---------------------------------------------------------------------------------------------


def test_goals_go_at_the_commanded_speed_or_at_the_joints_limit():
    for speed, expected in ((1.0, 1.0), (0.0, 3.0), (9.0, 3.0), (None, 3.0)):
        drive = following()
        drive.command(0.4, None if speed is None else [speed] * 6)
        assert drive.cycle()[ELBOW] == pytest.approx(expected * DT_S)


@pytest.mark.parametrize("dt_s", [0.0, -1.0, math.nan, math.inf])
def test_time_that_does_not_pass_moves_nothing(dt_s):
    drive = following()
    drive.command(0.4)
    assert not (drive.goals.step(drive.goal, dt_s, drive.now_s) - drive.goal).any()


def test_a_long_cycle_moves_no_further_than_one_of_the_longest_accepted_time():
    drive = following(limits=replace(LIMITS, max_step_rad=1.0, command_timeout_s=20.0))
    drive.command(0.4)
    assert drive.cycle(10.0)[0] == pytest.approx(3.0 * MAX_DT_S)
    drive = following(limits=replace(LIMITS, command_timeout_s=20.0))
    drive.command(0.4)
    assert drive.cycle(10.0)[0] == pytest.approx(LIMITS.max_step_rad), "or than a step"


def test_a_far_command_in_the_middle_is_approached_like_a_first_one():
    drive = following()
    assert drive.command([0, 0, 1.5, 0, 0, 0], [3.0] * 6) == [
        "joint_commands distance: elbow_flex is 1.50 rad away: approached at 0.50 rad/s"
    ]
    assert drive.cycles(50, [0, 0, 1.5, 0, 0, 0]).max() <= 0.5 * DT_S + EPSILON
    drive.command(drive.goal + 0.1)
    assert drive.cycle().max() <= 0.5 * DT_S + EPSILON
    drive = following(limits=replace(LIMITS, far_rad=math.inf))
    assert drive.command([0, 0, 1.5, 0, 0, 0]) == []
    assert drive.cycle()[ELBOW] == pytest.approx(3.0 * DT_S)


def test_a_command_beyond_a_bound_is_clamped_and_said_once():
    drive = following(1.4)
    beyond = [1.4, 1.4, 2.31, 1.4, 1.4, 1.4]
    assert drive.command(beyond, [1.0, 1.0, 1.0, 1.0, 7.5, 1.0]) == [
        "joint_commands position of elbow_flex: 2.31 rad is beyond its limit 1.69, clamped",
        "joint_commands velocity of wrist_roll: 7.50 rad/s is beyond its limit 3.00, clamped",
    ]
    assert drive.command(beyond) == [], "said already"
    drive.cycles(200, beyond)
    assert drive.goal[ELBOW] == 1.69
    assert drive.command(1.4) == []
    assert len(drive.command(beyond)) == 1, "news again"
    drive.command(1.4)
    assert drive.command([1.4, 1.4, 1.691, 1.4, 1.4, 1.4]) == [], "rounding"


def test_new_limits_count_from_the_next_cycle_on():
    drive = following(1.0)
    drive.command(1.4)
    drive.goals.limits = replace(LIMITS, max_speed=[0.2] * 6)
    assert drive.cycle().max() == pytest.approx(0.2 * DT_S)
    drive.goals.limits = replace(LIMITS, upper_rad=[0.5] * 6)
    assert (drive.cycles(40) == 0.0).all(), "outside now: nobody has asked it to come in"
    drive.command(1.4)
    for _ in range(100):
        assert (drive.cycle() <= 0.0).all()
    assert (drive.goal >= 0.5).all()
    drive.cycles(300, 1.4)
    assert (drive.goal == 0.5).all()


# -- set-up ------------------------------------------------------------------------------------------------


def test_goals_need_a_start():
    goals = JointGoals(LIMITS)
    with pytest.raises(RuntimeError, match="before start"):
        goals.step(np.zeros(6), DT_S, 0.0)
    with pytest.raises(ValueError, match="joint_commands: refused, the arm has no torque"):
        goals.command(np.zeros(6), None, 0.0)
    with pytest.raises(
        ValueError, match="measured position: expected finite numbers, got nan for wrist_roll"
    ):
        goals.start([0, 0, 0, 0, math.nan, 0])


def test_a_start_forgets_everything_before():
    drive = following(0.5)
    drive.command(0.9)
    drive.goals.start(np.zeros(6))
    drive.goal = np.zeros(6)
    assert not drive.cycles(30).any()
    drive.command(0.4)
    assert drive.goals.ramping and drive.cycle().max() == pytest.approx(0.5 * DT_S)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("lower_rad", [2.0] * 6, "lower_rad: expected at most upper_rad = 1.92 for shoulder_pan, got 2.0"),
        ("upper_rad", [math.nan] * 6, "upper_rad: expected finite numbers, got nan for shoulder_pan"),
        ("max_speed", [1, 1, 1, 1, 1, 0], "max_speed: expected rad/s > 0, got 0.0 for gripper"),
        ("max_speed", [1.0], "max_speed: expected 6 numbers"),
        ("ramp_speed", 0.0, "ramp_speed: expected a finite number > 0, got 0.0"),
        ("leash_rad", math.nan, "leash_rad: expected a finite number > 0, got nan"),
        ("command_timeout_s", math.inf, "command_timeout_s: expected a finite number > 0, got inf"),
    ],
)
def test_limits_that_make_no_sense_are_refused_by_name(field, value, text):
    with pytest.raises(ValueError, match=text):
        replace(LIMITS, **{field: value})
