"""The way home touches neither the arm nor the table, from wherever it begins, or is refused."""

import math
from itertools import pairwise

import numpy as np
import pytest

from hilrl_control.collision import CollisionModel
from hilrl_control.home_path import HomePath, HomePlanner, HomeQuestion
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.settings import Settings

SETTINGS = Settings.default()
HOME = np.array(SETTINGS.home_joints)
CLEARANCE_M = SETTINGS.clearance_m
LOST_M = 0.0015
"""Of the clearance, between two looks and at bends that are gone through without a stop."""
STARTS = 250
ON_ONE_SIDE, ON_THE_OTHER = np.array([1.9, 0.03, 0.46, 1.61, 1.41, 0.0]), (-1.9, 0.44, 0.51, -0.57, 2.48, 0.0)
"""Low on either side of the base: the line between them leads through the table."""


@pytest.fixture(scope="module")
def collision(kinematics):
    return CollisionModel(kinematics, SETTINGS.table_z_m)


@pytest.fixture(scope="module")
def planner(kinematics, collision):
    planner = HomePlanner(kinematics, InverseKinematics(kinematics), collision)
    planner.limit_s = math.inf
    return planner


def in_workspace(kinematics, rng):
    box, inverse = SETTINGS.workspace, InverseKinematics(kinematics)
    place = inverse.solve(
        rng.uniform(box.minimum, box.maximum), rng.uniform(0.3, 1.6), rng.uniform(-1, 1), HOME
    )
    return np.append(place.q, rng.uniform(-0.1, 0.9))


def anywhere(kinematics, rng):
    return rng.uniform(kinematics.lower, kinematics.upper)


def question(start, measured=None, settings=SETTINGS):
    return HomeQuestion(start, start if measured is None else measured, settings)


def go(arm, ticks=300):
    """What go_home said; then the arm goes until it holds."""
    arm.observe()
    if reason := arm.go_home():
        return reason
    for _ in range(ticks):
        arm.tick()
        if arm.observe().status.startswith("holding"):
            return ""
    raise AssertionError("still on its way")


def between(poses, longest_rad=0.04):
    """The poses, and as many between them."""
    for a, b in pairwise(poses):
        for share in np.linspace(0.0, 1.0, 2 + int(np.abs(b - a).max() / longest_rad))[1:]:
            yield a + (b - a) * share


@pytest.mark.parametrize("draw", [in_workspace, anywhere])
def test_no_commanded_pose_is_too_near_to_anything(draw, kinematics, collision, new_arm):
    """Invariant 9. A start that is too near already is left without coming nearer, or not at all."""
    rng, gone = np.random.default_rng(5), 0
    fastest = np.array([SETTINGS.home_speed] * 5 + [SETTINGS.gripper_speed]) * SETTINGS.period_s
    for _ in range(STARTS):
        start = draw(kinematics, rng)
        arm = new_arm(start, lockstep=False)
        allowed = collision.allowed_from(start, CLEARANCE_M)
        refusal = go(arm)
        if refusal:
            assert not arm.commands and arm.tick() is None, "nothing moves"
            assert (allowed < CLEARANCE_M).any(), f"from a clear pose there is a way: {refusal}"
            continue
        gone += 1
        poses = [start, *(command.position for command in arm.commands)]
        assert (np.abs(np.diff(poses, axis=0)) <= fastest + 1e-9).all()
        for q in between(poses):
            distances = collision.distances(q)
            assert (distances > allowed - LOST_M).all(), collision.nearest(q)
            allowed = np.maximum(allowed, np.minimum(distances, CLEARANCE_M))
        assert arm.observe().status == "holding: at home"
        np.testing.assert_array_equal(arm.commands[-1].position, HOME)
    assert gone > 0.75 * STARTS


def test_a_way_is_searched_where_neither_line_nor_rise_is_free(kinematics, collision, new_arm):
    start, home = ON_ONE_SIDE, np.array(ON_THE_OTHER)
    straight = [start, np.append(home[:5], start[5])]
    assert min(collision.distance(q) for q in between(straight)) < 0.0
    arm = new_arm(start, lockstep=False, home_joints=tuple(home))
    assert go(arm) == ""
    assert arm.observe().status == "holding: at home"
    poses = [start, *(command.position for command in arm.commands)]
    assert min(collision.distance(q) for q in between(poses)) > CLEARANCE_M - LOST_M
    path = arm.planner.plan(question(start, settings=arm.control.settings))
    for waypoint in path.waypoints:
        assert any((pose[:5] == waypoint).all() for pose in poses), "no corner is cut"


def test_the_same_start_gives_the_same_way(planner):
    settings = Settings(SETTINGS.workspace, home_joints=ON_THE_OTHER)
    ways = [planner.plan(question(ON_ONE_SIDE, settings=settings)) for _ in range(2)]
    assert ways[0].kind == "search"
    np.testing.assert_array_equal(ways[0].waypoints, ways[1].waypoints)


def test_from_a_low_pose_the_arm_rises_first(planner, kinematics):
    """What stands on the table is in no model."""
    rng, rises = np.random.default_rng(2), 0
    for _ in range(300):
        start = in_workspace(kinematics, rng)
        if kinematics.forward(start).position[2] > 0.06:
            continue
        path = planner.plan(question(start))
        if isinstance(path, str):
            continue
        heights = [kinematics.forward(q).position[2] for q in between([start[:5], *path.waypoints])]
        bottom = min(kinematics.forward(start).position[2], heights[-1])
        if path.kind == "rise":
            rises += 1
        elif path.kind == "straight":
            assert min(heights) > bottom - 0.006
    assert rises > 1


def test_a_jaw_that_may_close_on_the_way_is_looked_at_open_and_closed(planner, collision):
    """Its goal is closed, an object holds it open: either way nothing touches."""
    rng, differing = np.random.default_rng(3), 0
    for _ in range(1500):
        arm = rng.uniform(planner._kinematics.lower, planner._kinematics.upper)
        closed, opened = np.append(arm[:5], -0.1), np.append(arm[:5], 1.7)
        if collision.in_collision(closed, CLEARANCE_M) or not collision.in_collision(opened, CLEARANCE_M):
            continue
        differing += 1
        path = planner.plan(question(closed, opened))
        if isinstance(path, HomePath):
            allowed = collision.allowed_from(opened, CLEARANCE_M)
            for q in between([opened, *(np.append(w, 1.7) for w in path.waypoints)]):
                distances = collision.distances(q)
                assert (distances > allowed - LOST_M).all()
                allowed = np.maximum(allowed, np.minimum(distances, CLEARANCE_M))
    assert differing > 3


def test_where_there_is_no_way_out_nothing_moves_and_the_reason_is_said(new_arm):
    folded = [0.0, -1.4, 1.69, 1.6, 0.0, 0.0]
    arm = new_arm(folded, lockstep=False)
    reason = go(arm)
    assert reason.startswith("go_home: found no free way home, base_link and gripper_link overlap by")
    assert arm.tick() is None and arm.observe().status == "holding: waiting for the first action"


def test_a_refusal_leaves_the_command_in_force(new_arm):
    """An arm that is being held is still held."""
    arm = new_arm(lockstep=False)
    held = arm.act((0, 0, 0, 0, 0))
    for _ in range(8):
        arm.tick()
    assert arm.observe().status.startswith("holding: no action")
    arm.change(table_z_m=0.5)
    assert go(arm).startswith("go_home: home_joints: expected 5.0 mm of clearance")
    np.testing.assert_array_equal(arm.tick().position, held.position)
    assert arm.observe().holding


def test_a_home_that_touches_is_refused(new_arm):
    arm = new_arm(lockstep=False, home_joints=(0.0, 0.6, 0.9, 0.9, 0.0, 0.9))
    reason = go(arm)
    assert (
        reason.startswith("go_home: home_joints: expected 5.0 mm of clearance, there ") and "table" in reason
    )
    assert not arm.commands


def test_planning_that_takes_too_long_is_given_up(new_arm):
    arm = new_arm([0.9, 0.2, 0.2, 1.0, 0.0, 0.0], lockstep=False)
    arm.planner.limit_s = 0.0
    arm.observe()
    assert arm.go_home().startswith("go_home: found no free way home in time")
    assert arm.tick() is None
