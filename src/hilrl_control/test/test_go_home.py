"""The way home in real time."""

import numpy as np
import pytest

from hilrl_control.arm_motion import BOX_TOLERANCE_M
from hilrl_control.home_path import HomePath
from hilrl_control.homing import AT_HOME_RAD, Homing
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.settings import Settings

HOME = np.array(Settings.default().home_joints)
STILL = (0, 0, 0, 0, 0)


def go(arm, ticks=150):
    arm.observe()
    assert arm.go_home() == ""
    for _ in range(ticks):
        arm.tick()
        if arm.observe().status.startswith("holding"):
            return


def test_home_is_reached_from_anywhere_in_the_workspace_at_bounded_speed(kinematics, new_arm, workspace):
    inverse, rng = InverseKinematics(kinematics), np.random.default_rng(0)
    for _ in range(60):
        place = inverse.solve(
            rng.uniform(workspace.minimum, workspace.maximum), rng.uniform(0.3, 1.6), 0.0, HOME
        )
        arm = new_arm(np.append(place.q, rng.uniform(-0.1, 0.9)), lockstep=False)
        before, lowest = arm.q, min(arm.tcp()[2], workspace.minimum[2])
        go(arm)
        for command in arm.commands:
            speed = np.array([arm.control.settings.home_speed] * 5 + [arm.control.settings.gripper_speed])
            assert (np.abs(command.position - before) <= speed * 0.1 + 1e-9).all()
            assert arm.tcp(command.position)[2] >= lowest - BOX_TOLERANCE_M, "never into the table"
            before = command.position
        assert arm.observe().status == "holding: at home"
        np.testing.assert_allclose(arm.commands[-1].position, HOME)


def test_the_jaws_open_only_once_the_arm_is_home(new_arm):
    arm = new_arm([0.3, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    go(arm)
    for command in arm.commands:
        if command.position[5] > 1e-9:
            np.testing.assert_allclose(command.position[:5], HOME[:5])
    assert arm.commands[-1].position[5] == pytest.approx(HOME[5])
    assert arm.observe().gripper_target == pytest.approx(HOME[5])


def test_actions_are_refused_on_the_way_and_served_from_home(new_arm):
    arm = new_arm([0.3, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    arm.observe()
    arm.go_home()
    arm.tick()
    assert arm.observe().status == "going home" and not arm.observe().holding
    assert arm.control.act(arm.now_ns, STILL, 0) is None
    assert arm.control.refusal == "action: refused while going home"
    go(arm)
    np.testing.assert_allclose(arm.act(STILL).position[:5], arm.q[:5], atol=0.02)


def test_a_blocked_arm_is_waited_for_and_given_up_on(new_arm):
    arm = new_arm([0.9, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False, follows=0.0)
    go(arm)
    ahead = np.abs(np.array([command.position - arm.q for command in arm.commands]))
    assert ahead.max() <= arm.control.settings.leash_rad + 1e-9
    assert arm.observe().status == "holding: did not get home in time, is the arm blocked?"
    assert arm.tick() is None


def test_going_home_needs_to_know_where_the_arm_is(new_arm):
    arm = new_arm(lockstep=False)
    assert arm.go_home() == "go_home: no joint_states yet"
    arm.observe()
    assert "go_home: joint_states: expected a stamp within" in arm.control.ask_home(arm.now_ns + 10**9)
    assert arm.tick() is None
    locked = new_arm()
    locked.observe()
    assert locked.go_home().startswith("go_home: not in lockstep")


def test_stale_joint_states_end_the_way_home(new_arm):
    arm = new_arm([0.9, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    arm.observe()
    arm.go_home()
    assert arm.tick() is not None
    assert arm.control.tick(arm.now_ns + 10**9) is None
    assert arm.tick() is None


def test_a_jaw_that_does_not_open_is_not_at_home(new_arm):
    """Its object may still be in it."""
    stuck = np.array([0.6] * 5 + [0.0])
    arm = new_arm([0.3, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False, follows=stuck)
    go(arm)
    np.testing.assert_allclose(arm.q[:5], HOME[:5], atol=0.05)
    assert arm.observe().status == "holding: did not get home in time, is the arm blocked?"


def test_at_a_corner_of_the_way_the_arm_is_waited_for(new_arm):
    """Around it, goals far ahead of the arm would lead through what the way leads around."""
    start, bend = np.array([0.9, 0.2, 0.2, 1.0, 0.0, 0.9]), np.array([0.9, -0.6, 0.2, 1.0, 0.0])
    for follows, stays in ((0.6, False), (0.05, True)):
        arm = new_arm(start, lockstep=False, follows=follows)
        homing = Homing.along(HomePath([bend, HOME[:5]], "search"), start, 0, arm.control.settings)
        goals, q, seen = start, start.copy(), []
        for _ in range(60):
            goals = homing.next_goals(goals, q, 0.1, arm.control.settings)
            if (goals[:5] == bend).all():
                seen.append(np.abs(goals - q).max())
            elif seen and (goals[:5] != bend).any():
                assert seen[-1] <= AT_HOME_RAD or np.abs(q[:5] - bend).max() <= AT_HOME_RAD
                break
            q = q + follows * (goals - q)
        assert seen, "the corner itself is a goal"
        assert (len(seen) > 3) == stays


def test_a_blocked_arm_does_not_lose_waypoints(new_arm):
    """The goals stand while it is waited for, and go on from there."""
    start, bend = np.array([0.9, 0.2, 0.2, 1.0, 0.0, 0.9]), np.array([0.6, 0.0, 0.2, 1.0, 0.0])
    settings = new_arm(start, lockstep=False).control.settings
    homing = Homing.along(HomePath([bend, HOME[:5]], "search"), start, 0, settings)
    goals = start
    for _ in range(20):
        goals = homing.next_goals(goals, start - 0.3, 0.1, settings)
    q, visited = start, []
    for _ in range(40):
        goals = homing.next_goals(goals, q, 0.1, settings)
        visited.append(goals[:5])
        q = goals
    assert any((pose == bend).all() for pose in visited)
    np.testing.assert_array_equal(goals, HOME)


def test_the_arm_is_held_while_its_way_is_planned(new_arm):
    arm = new_arm([0.3, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    held = arm.act(STILL)
    question = arm.control.ask_home(arm.now_ns)
    for _ in range(20):
        np.testing.assert_array_equal(arm.tick().position, held.position)
    assert arm.observe().holding
    assert arm.control.set_out(question, arm.planner.plan(question), arm.now_ns) == ""
    arm.tick()
    assert arm.observe().status == "going home"


@pytest.mark.parametrize("event", ["action", "moved", "asked again", "settings", "reset clock"])
def test_whatever_happens_while_the_way_is_planned_calls_it_off(new_arm, event):
    """The way began where the arm was, and what was asked for then may not be what is wanted now."""
    arm = new_arm([0.3, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    arm.act(STILL)
    question = arm.control.ask_home(arm.now_ns)
    answer = arm.planner.plan(question)
    if event == "action":
        arm.act((1, 0, 0, 0, 0))
    elif event == "moved":
        arm.q = arm.q + 0.15
        arm.observe()
    elif event == "asked again":
        arm.control.ask_home(arm.now_ns)
    elif event == "settings":
        arm.change(table_z_m=0.0)
    else:
        arm.now_ns = 1
        arm.observe()
    assert arm.control.set_out(question, answer, arm.now_ns).startswith("go_home: called off")
    assert arm.observe().status != "going home"


def test_stale_joint_states_call_the_way_home_off(new_arm):
    arm = new_arm([0.3, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    arm.observe()
    question = arm.control.ask_home(arm.now_ns)
    answer = arm.planner.plan(question)
    late_ns = arm.now_ns + 10**9
    assert "go_home: joint_states: expected a stamp" in arm.control.set_out(question, answer, late_ns)
    assert arm.control.tick(late_ns) is None
