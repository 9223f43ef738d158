"""Invariant 9: workspace, step, joint limits, joint speed, leash, and a start at the measured pose."""

import math
import re
import struct

import numpy as np
import pytest

from hilrl_control.arm_motion import BOX_TOLERANCE_M
from hilrl_control.settings import Settings
from hilrl_control.workspace import Workspace

HOME = np.array(Settings.default().home_joints)
PERIOD_NS = 100_000_000
FORWARD = (1, 0, 0, 0, 0)


def garbage_delta(rng):
    """What a broken policy may send: any bits at all, extremes, or merely too much."""
    kind = rng.integers(0, 5)
    if kind == 0:
        return np.array(struct.unpack("5f", rng.bytes(20)), float)
    if kind == 1:
        return rng.choice([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 1e30, -1e30, 1e-40], 5)
    if kind == 2:
        return rng.normal(size=5) * 10.0 ** rng.integers(-3, 4)
    return rng.uniform(-1.2, 1.2, 5)


def assert_safe(arm, command, before):
    """Joint limits, and the joint speed limit from the command before."""
    assert np.isfinite(command.position).all() and np.isfinite(command.velocity).all()
    assert (command.position >= arm.kinematics.lower).all()
    assert (command.position <= arm.kinematics.upper).all()
    limits = arm.control.settings.joint_speeds
    assert (np.abs(command.position - before) <= limits * 0.1 + 1e-9).all()
    assert (command.velocity > 0.0).all() and (command.velocity <= limits).all()


@pytest.mark.parametrize("follows", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_motion_is_bounded_whatever_the_policy_says(new_arm, workspace, seed, follows):
    rng = np.random.default_rng(seed)
    arm = new_arm(follows=follows)
    before = HOME
    delta = np.zeros(5)
    for i in range(400):
        if i % 4 == 0 or not np.isfinite(delta).all():
            delta = garbage_delta(rng)
        gripper = int(rng.choice([0, 1, 2, 3, 255]))
        measured = arm.tcp()
        command = arm.act(delta, gripper)
        assert_safe(arm, command, before)
        before = command.position
        assert workspace.excess(arm.tcp(before)) <= BOX_TOLERANCE_M
        if follows > 0.5 or follows == 0.0:
            assert np.linalg.norm(arm.tcp(before) - measured) <= arm.control.settings.leash_m + 0.01
        understood = np.isfinite(delta).all() and gripper in (0, 1, 2)
        assert bool(arm.control.refusal) == (not understood)


def test_first_command_starts_at_the_measured_pose_at_bounded_speed(kinematics, new_arm):
    rng = np.random.default_rng(3)
    for _ in range(200):
        q = rng.uniform(kinematics.lower, kinematics.upper)
        arm = new_arm(q)
        assert_safe(arm, arm.act(rng.uniform(-1, 1, 5), int(rng.integers(0, 3))), q)


def test_a_first_action_of_zero_stays_where_the_arm_is(new_arm):
    arm = new_arm()
    np.testing.assert_allclose(arm.act().position, HOME, atol=1e-3)
    assert not arm.observe().holding


@pytest.mark.parametrize(
    "q",
    [
        (0, 0, 0, 0, 0, 0),
        (1.9, -0.5, 0.2, 1.6, 0, 0),
        (0, 0.9, 0.9, 1.2, 0, 0),
        (0, -1.7, -1.2, 0, 0, 0),
        (0, 0.8, -1.6, 0.5, 0, 0.5),
        (-0.4, -1.3, 1.6, 1.6, 1.0, 0.5),
    ],
)
def test_an_arm_that_starts_outside_the_workspace_comes_in_at_bounded_speed(new_arm, workspace, q):
    arm = new_arm(q)
    assert workspace.excess(arm.tcp()) > 0.01
    before = arm.q
    for _ in range(40):
        command = arm.act()
        assert_safe(arm, command, before)
        before = command.position
    assert workspace.excess(arm.tcp()) < 1e-3
    assert not arm.observe().flags.speed


@pytest.mark.parametrize("push", [(0, 0, 0, 0, 0), (1, 1, -1, 0, 0)])
def test_a_box_that_shrinks_away_from_the_arm_pulls_it_in_a_step_at_a_time(new_arm, push):
    arm = new_arm()
    arm.act()
    small = Workspace.from_corners((0.12, -0.15, 0.2), (0.32, -0.1, 0.22))
    arm.change(workspace=small)
    before, excess = arm.tcp(arm.commands[-1].position), small.excess(arm.tcp())
    assert excess > 0.09
    for _ in range(12):
        command = arm.act(push)
        at = arm.tcp(command.position)
        assert np.abs(at - before).max() < 0.02 + 1e-3
        assert small.excess(at) <= max(excess, BOX_TOLERANCE_M)
        before, excess = at, small.excess(at)
    assert excess < 1e-3


def test_a_step_moves_the_target_by_step_m_and_not_beyond_one(new_arm):
    for push, flagged in ((1.0, False), (50.0, True), (0.5, False)):
        arm = new_arm(follows=1.0)
        start = arm.tcp()
        arm.act((push, 0, 0, 0, 0))
        state = arm.observe()
        assert state.flags.step is flagged
        moved = arm.tcp() - start
        np.testing.assert_allclose(moved, [min(push, 1.0) * 0.02, 0, 0], atol=2e-4)


def test_pushing_against_the_box_stops_at_its_face_and_is_said(new_arm, workspace):
    arm = new_arm()
    for _ in range(40):
        command = arm.act((0, -1, -1, 0, 0))
        assert workspace.excess(arm.tcp(command.position)) <= BOX_TOLERANCE_M
    assert arm.observe().flags.workspace
    np.testing.assert_allclose(arm.tcp()[1:], workspace.minimum[1:], atol=1e-3)
    arm.act((0, 1, 0, 0, 0))
    assert arm.control.observe(arm.now_ns, arm.q, np.zeros(6)).target.position[1] == pytest.approx(-0.13)


def test_a_blocked_arm_does_not_wind_up(new_arm):
    arm = new_arm(follows=0.0)
    for _ in range(50):
        arm.act(FORWARD)
    state = arm.observe()
    assert state.flags.leash
    lead = np.linalg.norm(state.target.position - arm.tcp())
    assert lead == pytest.approx(arm.control.settings.leash_m)
    assert (
        np.linalg.norm(arm.tcp(arm.commands[-1].position) - arm.tcp()) < arm.control.settings.leash_m + 1e-3
    )
    for _ in range(5):
        arm.act((-1, 0, 0, 0, 0))
    assert arm.observe().target.position[0] < arm.tcp()[0] - 0.01, "backs off at once, with nothing to unwind"


def test_a_blocked_wrist_does_not_wind_up(new_arm):
    arm = new_arm(follows=0.0)
    for _ in range(50):
        arm.act((0, 0, 0, -1, 1))
    state = arm.observe()
    assert state.flags.leash
    assert abs(state.target.pitch - state.pose.pitch) <= arm.control.settings.leash_rad + 1e-9
    assert abs(state.target.roll - state.pose.roll) <= arm.control.settings.leash_rad + 1e-9


def test_pitch_and_roll_turn_the_way_the_message_says(new_arm):
    arm = new_arm(follows=1.0)
    arm.act((0, 0, -1, 0, 0))
    before = arm.observe()
    for _ in range(5):
        arm.act((0, 0, 0, -1, 1))
    after = arm.observe()
    assert after.pose.pitch - before.pose.pitch == pytest.approx(-0.5, abs=0.02), "negative tips the jaws up"
    assert after.pose.roll - before.pose.roll == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(after.pose.position, before.pose.position, atol=1e-3)


def test_a_pitch_that_yielded_returns_when_the_position_allows_it(new_arm):
    arm = new_arm(follows=1.0)
    for _ in range(6):
        arm.act((0, 0, -1, 0, 0))
    for _ in range(6):
        arm.act((0, 0, 0, 1, 0))
    low = arm.observe().pose.pitch
    for _ in range(8):
        arm.act((1, 0, 1, 0, 0))
    assert arm.observe().pose.pitch < low - 0.2
    for _ in range(8):
        arm.act((-1, 0, -1, 0, 0))
    assert arm.observe().pose.pitch == pytest.approx(low, abs=0.02)


def test_an_unreachable_target_is_replaced_by_the_nearest_point_and_said(new_arm):
    far = Settings.default().workspace.from_corners((0.12, -0.4, 0.005), (0.6, 0.4, 0.4))
    arm = new_arm(workspace=far)
    for _ in range(30):
        arm.act(FORWARD)
    state = arm.observe()
    assert state.flags.unreachable
    assert 0.35 < state.pose.position[0] < 0.5
    assert np.linalg.norm(state.target.position - arm.tcp()) < 0.005, "no way to come back from beyond"
    x = state.target.position[0]
    arm.act((-1, 0, 0, 0, 0))
    assert arm.observe().target.position[0] < x - 0.01


def test_a_slow_joint_speed_limit_bounds_every_command_and_is_said(new_arm):
    arm = new_arm(max_joint_speed=0.2)
    before = HOME
    for _ in range(10):
        command = arm.act((0, 1, 0, 0, 0))
        assert_safe(arm, command, before)
        before = command.position
    assert arm.observe().flags.speed


def test_actions_in_quick_succession_share_one_period(new_arm):
    """Ten times as many actions do not move the arm ten times as fast."""
    arm = new_arm(lockstep=False, follows=1.0)
    arm.act()
    start = arm.commands[-1].position
    for i in range(1, 101):
        arm.control.observe(arm.now_ns + i * 1_000_000, arm.q, np.zeros(6))
        command = arm.control.act(arm.now_ns + i * 1_000_000, (1, 1, 1, 0, 0), 1)
    travelled = np.abs(command.position - start)
    assert (travelled <= arm.control.settings.joint_speeds * 0.2 + 1e-9).all()
    burst = arm.control.act(arm.now_ns + 100 * 1_000_000 + 1, (1, 1, 1, 0, 0), 1)
    np.testing.assert_allclose(burst.position, command.position, atol=1e-6)


def test_speeds_reach_the_goal_within_one_period(new_arm):
    arm = new_arm()
    measured = arm.q
    command = arm.act((0, 1, 0, 0, 0))
    distance = np.abs(command.position - measured)
    moving = distance > 0.05
    assert moving.any()
    np.testing.assert_allclose(command.velocity[moving] * 0.1, distance[moving])
    assert (command.velocity[~moving] >= 0.2).all(), "0 would mean as fast as the servo can"


def test_a_late_arm_is_slowed_as_a_whole_so_that_the_tcp_keeps_its_path(new_arm):
    arm = new_arm(follows=0.0)
    for _ in range(4):
        command = arm.act((0, 1, 0.5, 0, 0))
    distance = np.abs(command.position - arm.q)[:5]
    moving = distance > 0.05
    assert command.velocity[:5].max() == pytest.approx(3.0) and distance.max() > 0.3 and moving.sum() > 1
    np.testing.assert_allclose((command.velocity[:5] / distance)[moving], 3.0 / distance.max())


def test_a_repeated_stamp_is_answered_again_and_moves_nothing(new_arm):
    arm = new_arm()
    arm.observe()
    first = arm.control.act(arm.now_ns, FORWARD, 2)
    again = arm.control.act(arm.now_ns, FORWARD, 2)
    assert again is first
    assert arm.observe() is arm.observe()
    arm.take(first)
    arm.observe()
    other = arm.control.act(arm.now_ns, FORWARD, 2)
    assert arm.tcp(other.position)[0] - arm.tcp(first.position)[0] == pytest.approx(0.02, abs=1e-3)


def test_in_lockstep_only_the_present_tick_is_answered(new_arm):
    arm = new_arm()
    arm.act(FORWARD)
    arm.observe()
    for stamp in (arm.now_ns - PERIOD_NS - 1, arm.now_ns + PERIOD_NS, 0):
        assert arm.control.act(stamp, FORWARD, 0) is None
        assert "action stamp: expected" in arm.control.refusal
    assert arm.act(FORWARD) is not None


@pytest.mark.parametrize("offset_s", [-0.05, -10.0, 10.0, 1e9])
def test_an_action_out_of_its_time_is_refused_and_blocks_nothing(new_arm, offset_s):
    arm = new_arm(lockstep=False)
    arm.act(FORWARD)
    arm.observe()
    served = arm.now_ns - PERIOD_NS
    stamp = served + int(offset_s * 1e9) if offset_s < 0 else arm.now_ns + int(offset_s * 1e9)
    assert arm.control.act(stamp, FORWARD, 0) is None
    assert "action stamp: expected" in arm.control.refusal
    assert arm.act(FORWARD) is not None and not arm.control.refusal


@pytest.mark.parametrize(
    ("delta", "gripper", "reason"),
    [
        ((0, math.nan, 0, 0, 0), 0, r"action delta: expected finite numbers, got \[0.0, nan"),
        ((0, 0, math.inf, 0, 0), 0, r"action delta: expected finite numbers"),
        ((0, 0, 0), 0, r"action delta: expected 5 numbers, got shape \(3,\)"),
        ((0, 0, 0, 0, 0), 7, r"action gripper: expected 0 \(stay\), 1 \(close\) or 2 \(open\), got 7"),
    ],
)
def test_an_action_that_makes_no_sense_is_refused_with_a_reason_and_the_arm_holds(
    new_arm, delta, gripper, reason
):
    arm = new_arm()
    good = arm.act(FORWARD)
    held = arm.act(delta, gripper)
    np.testing.assert_array_equal(held.position, good.position)

    assert re.match(reason, arm.control.refusal)
    state = arm.observe()
    assert state.holding and re.search(reason, state.status)
    assert state.action_stamp_ns == good.stamp_ns
    after = arm.act(FORWARD)
    assert arm.tcp(after.position)[0] - arm.tcp(good.position)[0] == pytest.approx(0.02, abs=1e-3)
    assert not arm.observe().holding


def test_joint_states_that_make_no_sense_change_nothing(new_arm):
    arm = new_arm()
    state = arm.observe()
    for q, reason in ((np.full(6, np.nan), "got nan for shoulder_pan"), (np.zeros(5), "expected 6 values")):
        with pytest.raises(ValueError, match=reason):
            arm.control.observe(arm.now_ns + 1, q, np.zeros(6))
    assert arm.observe() is state


def test_new_settings_hold_from_the_next_action_on(new_arm):
    arm = new_arm(follows=1.0)
    arm.act(FORWARD)
    x = arm.tcp()[0]
    arm.change(step_m=0.005)
    arm.act(FORWARD)
    assert arm.tcp()[0] - x == pytest.approx(0.005, abs=2e-4)
    arm.change(workspace=Settings.default().workspace.from_corners((0.12, -0.15, 0.15), (0.32, 0.15, 0.22)))
    before = arm.commands[-1].position
    for _ in range(10):
        command = arm.act()
        assert_safe(arm, command, before)
        before = command.position
    assert arm.tcp()[2] >= 0.15 - 1e-3
