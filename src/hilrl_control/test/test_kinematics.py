"""Forward kinematics against the published URDF and against finite differences."""

import math
from pathlib import Path

import numpy as np
import pytest

from hilrl_control.kinematics import Kinematics, quaternion_from, rotation_from
from hilrl_ros.joints import ARM_JOINTS, JOINT_NAMES

REFERENCE = Path(__file__).parent / "reference_fk.csv"
"""Poses of so101_new_calib.urdf of TheRobotStudio/SO-ARM100 at random joint angles."""


def random_joints(kinematics, rng):
    return rng.uniform(kinematics.lower, kinematics.upper)


def test_poses_agree_with_the_published_robot_to_a_micrometre(kinematics):
    rows = np.loadtxt(REFERENCE, delimiter=",", skiprows=1)
    for row in rows:
        pose = kinematics.forward(row[:6])
        np.testing.assert_allclose(pose.position, row[6:9], atol=1e-6)
        quaternion = np.array(quaternion_from(pose.rotation))
        np.testing.assert_allclose(abs(quaternion @ row[9:]), 1.0, atol=1e-6)
    assert len(rows) == 200


def test_pitch_and_roll_with_the_heading_of_the_pan_make_up_the_rotation(kinematics):
    rng = np.random.default_rng(0)
    for _ in range(200):
        q = random_joints(kinematics, rng)
        pose = kinematics.forward(q)
        # The URDF's truncated angles tilt the arm's plane by 1e-5 rad.
        np.testing.assert_allclose(rotation_from(-q[0], pose.pitch, pose.roll), pose.rotation, atol=5e-5)
        approach = pose.rotation[:, 2]
        assert math.sin(pose.pitch) == pytest.approx(-approach[2], abs=1e-9)


def test_pitch_and_roll_turn_with_their_joints(kinematics):
    zero, tipped = kinematics.forward(np.zeros(5)), kinematics.forward([0, 0.2, 0.3, 0.4, 0])
    assert zero.pitch == pytest.approx(0.0, abs=1e-4)
    assert tipped.pitch == pytest.approx(0.9, abs=1e-4)
    assert kinematics.forward([0.3, 0, 0, 0, 0.5]).roll == pytest.approx(zero.roll - 0.5, abs=1e-4)
    assert kinematics.forward([0, 0.5, 0.5, 0.9, 0]).pitch == pytest.approx(1.9, abs=1e-4), (
        "runs on past vertical"
    )


def test_jacobian_and_twist_agree_with_finite_differences(kinematics):
    rng = np.random.default_rng(1)
    step = 1e-6
    for _ in range(50):
        q, dq = random_joints(kinematics, rng), rng.normal(size=6)
        ahead, behind = kinematics.forward(q + step * dq), kinematics.forward(q - step * dq)
        linear = (ahead.position - behind.position) / (2 * step)
        spin = (ahead.rotation - behind.rotation) / (2 * step) @ kinematics.forward(q).rotation.T
        angular = np.array([spin[2, 1], spin[0, 2], spin[1, 0]])
        np.testing.assert_allclose(kinematics.twist(q, dq), [*linear, *angular], atol=1e-7)
        pose, twist = kinematics.forward_with_twist(q, dq)
        np.testing.assert_array_equal(twist, kinematics.twist(q, dq))
        np.testing.assert_array_equal(pose.position, kinematics.forward(q).position)


def test_the_gripper_does_not_move_the_tcp(kinematics):
    q = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.0])
    shut, wide = kinematics.forward(q), kinematics.forward([*q[:5], 1.5])
    np.testing.assert_array_equal(shut.position, wide.position)
    np.testing.assert_array_equal(shut.position, kinematics.forward(q[:5]).position)


def test_limits_come_from_the_urdf_in_joint_order(kinematics):
    assert JOINT_NAMES[:5] == ARM_JOINTS and JOINT_NAMES[5] == "gripper"
    np.testing.assert_allclose(kinematics.lower, [-1.91986, -1.74533, -1.69, -1.65806, -2.74385, -0.174533])
    np.testing.assert_allclose(kinematics.upper, [1.91986, 1.74533, 1.69, 1.65806, 2.84121, 1.74533])
    assert (kinematics.servo_speed > 4.0).all() and (kinematics.servo_speed < 6.0).all()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "found none at"),
        ("<robot", "no valid robot description"),
        ("<robot name='x'><link name='a'/></robot>", "no joint 'shoulder_pan'"),
    ],
)
def test_a_bad_robot_description_is_named(tmp_path, text, reason):
    path = tmp_path / "arm.urdf"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=reason) as caught:
        Kinematics(path)
    assert str(path) in str(caught.value)
