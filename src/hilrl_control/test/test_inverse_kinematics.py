"""Position before pitch, limits always, and no leaps."""

import math

import numpy as np
import pytest

from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.kinematics import Kinematics
from hilrl_control.planar_arm import wrap

DOWN = math.pi / 2
STEP_M = 0.02
MAX_STEP_RAD = 0.3


@pytest.fixture(scope="module")
def inverse(kinematics):
    return InverseKinematics(kinematics)


def target_in(workspace, rng):
    return rng.uniform(workspace.minimum, workspace.maximum)


def assert_within_limits(kinematics, q):
    assert (q >= kinematics.lower[:5]).all() and (q <= kinematics.upper[:5]).all()


def front_configuration(kinematics, rng):
    """Joints of an arm that reaches forwards, its elbow up, as the controller's always does."""
    while True:
        q = rng.uniform(kinematics.lower[:5], kinematics.upper[:5])
        pose = kinematics.forward(q)
        ahead = (pose.position[0] - 0.0388) * math.cos(q[0]) - pose.position[1] * math.sin(q[0])
        if ahead > 0.02 and q[2] > -1.28:
            return q, pose


def test_every_pose_the_arm_can_take_is_found_again(kinematics, inverse):
    rng = np.random.default_rng(0)
    for _ in range(2000):
        q, pose = front_configuration(kinematics, rng)
        start = np.clip(q + rng.normal(scale=0.3, size=5), kinematics.lower[:5], kinematics.upper[:5])
        solution = inverse.solve(pose.position, pose.pitch, pose.roll, start)
        assert solution.reachable and solution.position_error_m < 2e-5
        np.testing.assert_allclose(solution.q, q, atol=2e-3)


def test_a_position_that_can_be_reached_is_reached_from_anywhere(kinematics, inverse, workspace, home):
    """Whatever pitch and roll are wished for: these yield, the position does not."""
    rng = np.random.default_rng(1)
    tried = 0
    while tried < 1500:
        _, pose = front_configuration(kinematics, rng)
        if workspace.excess(pose.position) > 0.0:
            continue
        tried += 1
        start = home if tried % 2 else rng.uniform(-1.5, 1.5, 5)
        wish, roll = rng.uniform(-0.5, 2.0), rng.uniform(-3.0, 3.0)
        solution = inverse.solve(pose.position, wish, roll, start)
        measured = kinematics.forward(solution.q).position
        assert solution.reachable, (pose, wish, roll)
        assert np.linalg.norm(measured - pose.position) < 5e-4
        assert solution.position_error_m == pytest.approx(np.linalg.norm(measured - pose.position), abs=1e-9)
        assert_within_limits(kinematics, solution.q)


def test_pitch_yields_to_position_and_no_more_than_it_must(kinematics, inverse, workspace, home):
    rng = np.random.default_rng(2)
    yielded = 0
    for _ in range(150):
        position = target_in(workspace, rng)
        best = inverse.solve(position, DOWN, 0.0, home)
        if not best.reachable:
            continue
        miss = abs(wrap(kinematics.forward(best.q).pitch - DOWN))
        yielded += miss > 1e-3
        for nearer in np.linspace(-1.0, 1.0, 21) * (miss - 2e-3):
            if miss > 4e-3:
                other = inverse.solve(position, DOWN + nearer, 0.0, home)
                reached = abs(wrap(kinematics.forward(other.q).pitch - DOWN - nearer)) < 1e-3
                assert not (other.reachable and reached), "a pitch nearer to the wish was feasible"
    assert yielded > 50


def test_roll_is_met_within_its_joint_and_clamped_beyond(kinematics, inverse, home):
    for roll in (-2.5, -1.0, 0.0, 1.5, 2.6):
        solution = inverse.solve([0.22, 0.05, 0.08], 1.2, roll, home)
        assert kinematics.forward(solution.q).roll == pytest.approx(roll, abs=1e-4)
    beyond = inverse.solve([0.22, 0.05, 0.08], 1.2, 3.0, home)
    assert beyond.reachable and beyond.at_limit
    assert_within_limits(kinematics, beyond.q)


def test_roll_yields_where_no_pitch_reaches(kinematics, inverse, home):
    """At the inner wall the 8 mm between TCP and roll axis decide: what one roll reaches, every wish does."""
    rng = np.random.default_rng(6)
    yielded = 0
    for _ in range(300):
        position = rng.uniform((0.12, -0.05, 0.07), (0.14, 0.05, 0.2))
        rolls = rng.uniform(-2.6, 2.6, 4)
        solutions = [inverse.solve(position, DOWN, roll, home) for roll in rolls]
        reachable = [solution.reachable for solution in solutions]
        assert all(reachable) or not any(reachable)
        got = np.array([kinematics.forward(solution.q).roll for solution in solutions])
        yielded += all(reachable) and (np.abs(got - rolls) > 0.05).any()
    assert yielded > 10


def test_beyond_the_boundary_the_nearest_point_is_taken_and_said(kinematics, inverse, home):
    """The nearest by brute force over the plane of the arm, which the target's pan fixes."""
    rng = np.random.default_rng(3)
    lift, elbow, flex = np.meshgrid(
        *(np.linspace(kinematics.lower[i], kinematics.upper[i], 60) for i in (1, 2, 3)), indexing="ij"
    )
    samples = np.stack(
        [np.zeros(lift.size), lift.ravel(), elbow.ravel(), flex.ravel(), np.zeros(lift.size)], axis=1
    )
    reach = planar_positions(kinematics, samples)
    far = 0
    for _ in range(200):
        distance, angle = rng.uniform(0.05, 0.7), rng.uniform(-0.6, 1.5)
        target = np.array([0.0388 + distance * math.cos(angle), 0.0, 0.11 + distance * math.sin(angle)])
        solution = inverse.solve(target, DOWN, kinematics.forward(np.zeros(5)).roll, home)
        nearest = np.linalg.norm(reach - target[[0, 2]], axis=1).min()
        assert solution.position_error_m < nearest + 1e-3  # of the samples
        assert solution.reachable == (solution.position_error_m < 2e-4)
        assert_within_limits(kinematics, solution.q)
        far += not solution.reachable
    assert far > 50


def planar_positions(kinematics, samples):
    """x and z of the TCP, pan and roll at zero; joints add up, so one pose per link suffices."""
    joints = [kinematics.model.getJointId(n) for n in ("shoulder_lift", "elbow_flex", "wrist_flex")]
    kinematics.forward(np.zeros(5))
    points = [kinematics.data.oMi[i].translation.copy() for i in joints]
    points.append(kinematics.forward(np.zeros(5)).position)
    turned = np.cumsum(samples[:, 1:4], axis=1)
    x = np.full(len(samples), points[0][0])
    z = np.full(len(samples), points[0][2])
    for i in range(3):
        dx, dz = points[i + 1][0] - points[i][0], points[i + 1][2] - points[i][2]
        c, s = np.cos(turned[:, i]), np.sin(turned[:, i])
        x, z = x + dx * c + dz * s, z - dx * s + dz * c
    return np.stack([x, z], axis=1)


def test_targets_behind_and_on_the_pan_axis_are_survived(kinematics, inverse, home):
    for target in (
        [-0.3, 0.0, 0.1],
        [0.0388, 0.0, 0.2],
        [0.0388, 0.001, 0.3],
        [0.0, 0.0, -5.0],
        [1e3, 1e3, 1e3],
    ):
        solution = inverse.solve(target, DOWN, 0.0, home)
        assert np.isfinite(solution.q).all()
        assert_within_limits(kinematics, solution.q)


def test_a_bounded_step_never_leaps_along_random_paths(kinematics, inverse, workspace, home):
    """Targets 2 cm apart: no joint moves further than its step, and one step nearly always suffices."""
    rng = np.random.default_rng(4)
    q, position, reached = home, kinematics.forward(home).position, []
    for i in range(3000):
        if i % 10 == 0:
            heading = rng.normal(size=3)
            heading *= STEP_M / np.linalg.norm(heading)
        position = workspace.clip(position + heading)[0]
        solution = inverse.solve(position, DOWN, 0.0, q, MAX_STEP_RAD)
        assert (np.abs(solution.q - q) <= MAX_STEP_RAD + 1e-12).all()
        assert_within_limits(kinematics, solution.q)
        q = solution.q
        if inverse.solve(position, DOWN, 0.0, q).reachable:
            reached.append(solution.reachable)
    assert np.mean(reached) > 0.99


def test_without_a_bound_neighbouring_targets_stay_on_one_branch(kinematics, inverse, workspace, home):
    rng = np.random.default_rng(5)
    q, position, steps = home, kinematics.forward(home).position, []
    for i in range(3000):
        if i % 10 == 0:
            heading = rng.normal(size=3)
            heading *= 0.002 / np.linalg.norm(heading)
        position = workspace.clip(position + heading)[0]
        solution = inverse.solve(position, DOWN, 0.0, q)
        steps.append(np.abs(solution.q - q).max())
        q = solution.q
    assert max(steps[1:]) < 0.3


def test_an_elbow_below_the_line_is_accepted_as_a_start(kinematics, inverse):
    q = np.array([0.0, 0.9, -1.5, 1.2, 0.0])
    pose = kinematics.forward(q)
    solution = inverse.solve(pose.position, pose.pitch, pose.roll, q, 0.05)
    assert solution.reachable
    np.testing.assert_allclose(solution.q, q, atol=1e-3)


def test_a_robot_of_another_build_is_refused(tmp_path, urdf_text):
    turned = urdf_text.replace('name="elbow_flex"', 'name="elbow_flex_"').replace(
        'name="wrist_roll"', 'name="elbow_flex"'
    )
    path = tmp_path / "other.urdf"
    path.write_text(turned.replace('name="elbow_flex_"', 'name="wrist_roll"'))
    with pytest.raises(ValueError, match=r"joint '.*' should turn about"):
        InverseKinematics(Kinematics(path))
