"""Invariant 10: without actions, or without knowing where the arm is, nothing moves."""

import numpy as np
import pytest

from hilrl_control.settings import Settings

HOME = np.array(Settings.default().home_joints)
PERIOD_NS = 100_000_000
FORWARD = (1, 0, 0, 0, 0)


def moving_arm(new_arm, **options):
    arm = new_arm(**{"lockstep": False, **options})
    for _ in range(3):
        arm.act(FORWARD)
    return arm


def test_silence_stops_the_arm(new_arm):
    arm = moving_arm(new_arm)
    last = arm.commands[-1].position
    statuses = []
    for _ in range(20):
        arm.tick()
        statuses.append(arm.observe().status)
    sent = [command.position for command in arm.commands[3:]]
    assert len(sent) > 10, "a servo's watchdog is kept fed"
    for position in sent:
        np.testing.assert_array_equal(position, last)
    assert statuses[0] == "following actions"
    assert statuses[-1] == "holding: no action for 0.5 s"
    state = arm.observe()
    assert state.holding and state.flags == type(state.flags)()


def test_after_silence_the_next_action_starts_from_the_measured_pose(new_arm):
    arm = moving_arm(new_arm)
    for _ in range(10):
        arm.tick()
    arm.q = arm.q + np.array([0.02, -0.015, 0.01, 0.0, 0.0, 0.0])
    measured = arm.tcp()
    command = arm.act()
    np.testing.assert_allclose(arm.tcp(command.position), measured, atol=2e-4)
    np.testing.assert_allclose(arm.observe().target.position, measured, atol=1e-9)


def test_silence_is_noticed_without_a_timer_too(new_arm):
    arm = moving_arm(new_arm, joint_state_timeout_s=0.3)
    for _ in range(8):
        arm.now_ns += PERIOD_NS
        arm.observe()
    measured = arm.tcp()
    command = arm.act()
    np.testing.assert_allclose(arm.tcp(command.position), measured, atol=2e-4)


def test_droop_does_not_tip_the_wrist_further_with_every_hold(new_arm):
    arm = moving_arm(new_arm)
    wished = arm.observe().target.pitch
    for _ in range(5):
        for _ in range(8):
            arm.tick()
        arm.q = arm.q + np.array([0, 0, 0, 0.03, 0, 0]) * np.sign(1.6 - arm.q[3])
        arm.act()
    assert arm.observe().target.pitch == pytest.approx(wished)


def test_a_wrist_turned_by_hand_during_a_hold_is_not_turned_back(new_arm):
    arm = moving_arm(new_arm)
    arm.follows = 0.0
    for i in range(20):
        arm.tick()
        arm.q = arm.q + np.array([0, 0, 0, 0, 0.05 if i < 16 else 0, 0])
    measured = arm.observe().pose.roll
    arm.act()
    assert arm.observe().target.roll == pytest.approx(measured)


def test_an_arm_pushed_away_during_a_hold_is_not_pulled_back(new_arm):
    arm = moving_arm(new_arm)
    arm.follows = 0.0
    for i in range(30):
        arm.tick()
        arm.q = arm.q + np.array([0.03 if i > 10 else 0.0, 0, 0, 0, 0, 0])
    assert arm.tick() is None
    assert arm.observe().status == "holding: the arm was moved away from the held pose"
    np.testing.assert_allclose(arm.act().position[:5], arm.q[:5], atol=1e-3)


def test_nothing_is_sent_before_the_first_action(new_arm):
    arm = new_arm(lockstep=False)
    assert arm.control.tick(arm.now_ns) is None
    for _ in range(20):
        assert arm.tick() is None
    assert arm.observe().status == "holding: waiting for the first action"


def test_without_joint_states_an_action_is_refused(new_arm):
    arm = new_arm()
    assert arm.control.act(arm.now_ns, FORWARD, 0) is None
    assert arm.control.refusal == "no joint_states yet"


def test_stale_joint_states_hold_and_refuse(new_arm):
    arm = moving_arm(new_arm)
    arm.observe()
    late = arm.now_ns + 400_000_000
    assert arm.control.act(arm.now_ns + 1, FORWARD, 0, now_ns=late) is None
    assert (
        "joint_states: expected a stamp within 0.3 s of now, the newest is 0.40 s old" in arm.control.refusal
    )
    assert arm.control.tick(late) is None, "not even the old goal: where the arm is now nobody knows"
    arm.now_ns = late
    arm.q = arm.q + np.array([0.1, 0, 0, 0, 0, 0])
    measured = arm.tcp()
    command = arm.act()
    np.testing.assert_allclose(arm.tcp(command.position), measured, atol=2e-4)


def test_joint_states_from_the_future_are_not_acted_on(new_arm):
    """A clock that is not that of the stamps: use_sim_time forgotten, or two machines apart."""
    arm = new_arm(lockstep=False)
    arm.observe()
    assert arm.control.act(arm.now_ns, FORWARD, 0, now_ns=arm.now_ns - 10**10) is None
    assert "-10.00 s old" in arm.control.refusal


def test_in_lockstep_time_stands_still_and_nothing_times_out(new_arm):
    arm = new_arm()
    arm.act(FORWARD)
    assert arm.tick() is None
    arm.now_ns += 50 * PERIOD_NS
    assert arm.act(FORWARD) is not None
    assert not arm.observe().holding


def test_an_arm_moved_by_something_else_is_taken_from_where_it_is(new_arm):
    """As a reset of the simulation does, within a millisecond."""
    arm = new_arm()
    for _ in range(4):
        arm.act((1, 1, -1, -1, 0), 1)
    arm.observe()
    moved = HOME + np.array([0.1, 0.05, -0.05, 0.0, 0.2, 0.0])
    arm.now_ns += 1_000_000
    arm.q = moved.copy()
    state = arm.observe()
    assert state.holding and state.status == "holding: shoulder_pan was moved by something else"
    assert state.gripper_target == pytest.approx(0.9)
    np.testing.assert_allclose(state.target.position, arm.tcp())
    assert state.target.pitch == pytest.approx(state.pose.pitch)
    command = arm.act()
    np.testing.assert_allclose(command.position, moved, atol=1e-3)
    assert arm.observe().gripper_target == pytest.approx(0.9)


def test_in_lockstep_even_a_reset_close_by_is_noticed(new_arm):
    """Time that went on without an action belongs to something else."""
    arm = new_arm(follows=1.0)
    for _ in range(3):
        arm.act((0, 0, 1, 0, 0), 1)
    arm.observe()
    arm.now_ns += 1_000_000
    arm.q = arm.q + 0.01
    state = arm.observe()
    assert state.status == "holding: time went on without an action, as in a reset"
    assert state.gripper_target == pytest.approx(arm.q[5])
    np.testing.assert_allclose(arm.act().position, arm.q, atol=1e-3)


def test_an_old_action_repeated_after_a_reset_does_not_bring_its_goals_back(new_arm):
    arm = new_arm(lockstep=False)
    for _ in range(4):
        arm.act((1, 1, -1, -1, 0), 1)
    served = arm.commands[-1].stamp_ns
    arm.now_ns += 1_000_000
    arm.q = HOME + 0.3
    arm.observe()
    assert arm.control.act(served, (1, 1, -1, -1, 0), 1) is None


def test_a_clock_that_starts_again_is_a_new_beginning(new_arm):
    arm = moving_arm(new_arm)
    arm.now_ns = PERIOD_NS // 2
    arm.q = HOME.copy()
    assert arm.observe().status == "holding: waiting for the first action"
    np.testing.assert_allclose(arm.act().position, HOME, atol=1e-3)


def test_fast_but_possible_motion_is_not_taken_for_a_reset(new_arm):
    arm = new_arm(follows=1.0)
    arm.act()
    for sign in (1, -1) * 5:
        arm.act((0, sign, 0, 0, 0))
        assert not arm.observe().holding
