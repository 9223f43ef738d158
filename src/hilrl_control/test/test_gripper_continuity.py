"""Invariant 3: the gripper moves when it is asked to, and at no other time."""

import numpy as np
import pytest

from hilrl_control.settings import Settings

STAY, CLOSE, OPEN = 0, 1, 2
HOME = np.array(Settings.default().home_joints)
STILL = (0, 0, 0, 0, 0)


def with_jaw(angle):
    return np.append(HOME[:5], angle)


@pytest.mark.parametrize("angle", [-0.1, 0.37, 0.9, 1.6])
def test_gripper_continuity_at_the_first_action(new_arm, angle):
    arm = new_arm(with_jaw(angle))
    for _ in range(5):
        assert arm.act(STILL, STAY).position[5] == pytest.approx(angle)
    assert arm.observe().gripper_target == pytest.approx(angle)


def test_gripper_continuity_when_the_jaw_was_moved_by_hand_before(new_arm):
    arm = new_arm(lockstep=False)
    for _ in range(10):
        arm.q[5] -= 0.05
        arm.tick()
    jaw = arm.q[5]
    assert arm.act(STILL, STAY).position[5] == pytest.approx(jaw)


def test_close_and_open_go_to_their_angles_at_the_grippers_speed_and_stay_leaves_them(new_arm):
    arm = new_arm(gripper_speed=2.0)
    for command, goal in ((CLOSE, -0.1), (OPEN, 0.9)):
        start = arm.commands[-1].position[5] if arm.commands else 0.9
        jaw = [start, arm.act(STILL, command).position[5]]
        assert arm.observe().gripper_target == pytest.approx(goal)
        jaw += [arm.act(STILL, STAY).position[5] for _ in range(8)]
        np.testing.assert_allclose(np.abs(np.diff(jaw))[:4], 0.2)
        assert jaw[-1] == pytest.approx(goal)


def test_gripper_continuity_while_it_holds_something(new_arm):
    """The jaw stands on the cube, short of its goal: neither STAY nor a hold may give up the grip."""
    arm = new_arm(lockstep=False)

    def grip():
        arm.q[5] = max(arm.q[5], 0.4)

    for _ in range(6):
        arm.act(STILL, CLOSE)
        grip()
    for _ in range(20):
        arm.tick()
        grip()
    assert arm.observe().holding and arm.commands[-1].position[5] == pytest.approx(-0.1)
    for _ in range(3):
        assert arm.act((0, 0, 1, 0, 0), STAY).position[5] == pytest.approx(-0.1)
        grip()
    assert arm.observe().gripper_target == pytest.approx(-0.1)


def test_gripper_continuity_through_a_gap_in_the_joint_states(new_arm):
    arm = new_arm(lockstep=False)
    for _ in range(6):
        arm.act(STILL, CLOSE)
        arm.q[5] = max(arm.q[5], 0.4)
    arm.now_ns += 2_000_000_000
    assert arm.act(STILL, STAY).position[5] == pytest.approx(-0.1)


def test_gripper_continuity_through_actions_that_make_no_sense(new_arm):
    arm = new_arm()
    for gripper in (3, 255, -1):
        assert arm.act(STILL, gripper).position[5] == pytest.approx(0.9)
    assert arm.act((np.nan,) * 5, CLOSE).position[5] == pytest.approx(0.9)


def test_polarity_and_range_are_settings(new_arm):
    arm = new_arm(with_jaw(0.5), gripper_open_rad=-0.1, gripper_closed_rad=1.2)
    for _ in range(6):
        command = arm.act(STILL, OPEN)
    assert command.position[5] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("start", "command", "goal", "end"),
    [
        (0.9, CLOSE, 0.4, 0.4),
        (0.2, OPEN, 0.5, 0.5),
        (0.4, CLOSE, 0.7, 0.4),  # never backwards
        (0.4, OPEN, 0.1, 0.4),
        (0.4, CLOSE, -3.0, -0.1),  # no further than all the way
        (0.4, OPEN, 9.0, 0.9),
        (1.6, OPEN, 9.0, 1.6),
        (1.6, CLOSE, 0.8, 0.8),
    ],
)
def test_close_and_open_go_only_as_far_as_their_goal(new_arm, start, command, goal, end):
    arm = new_arm(with_jaw(start))
    for _ in range(6):
        answer = arm.act(STILL, command, gripper_goal=goal)
    assert answer.position[5] == pytest.approx(end)
    assert arm.act(STILL, STAY).position[5] == pytest.approx(end)


def test_a_gripper_goal_follows_the_polarity_of_the_settings(new_arm):
    arm = new_arm(with_jaw(0.5), gripper_open_rad=-0.1, gripper_closed_rad=1.2)
    assert arm.act(STILL, OPEN, gripper_goal=0.8).position[5] == pytest.approx(0.5)
    for _ in range(6):
        command = arm.act(STILL, CLOSE, gripper_goal=0.8)
    assert command.position[5] == pytest.approx(0.8)


@pytest.mark.parametrize("goal", [float("nan"), float("inf")])
def test_a_gripper_goal_that_is_no_number_moves_nothing(new_arm, goal):
    arm = new_arm()
    assert arm.act((1, 0, 0, 0, 0), CLOSE, gripper_goal=goal).position == pytest.approx(HOME)
    assert "action gripper_goal: expected a finite jaw angle" in arm.control.refusal
