"""What `leader_teleop` reads from messages is what the controller and the drivers wrote into them."""

from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import JointState

from hilrl_control import messages
from hilrl_control.ee_control import EeControl
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings
from hilrl_ros.joints import JOINT_NAMES
from hilrl_teleop.leader_messages import joint_angles, joint_efforts, target

URDF = Path(__file__).resolve().parents[3] / "urdf" / "so101.urdf.xacro"


@pytest.fixture(scope="module")
def kinematics():
    return Kinematics(URDF)


def state_at(kinematics, q):
    return EeControl(kinematics, Settings.default()).observe(1_000_000_000, q, np.zeros(6))


def test_position_pitch_roll_and_jaw_of_the_target_are_the_controllers(kinematics):
    rng = np.random.default_rng(2)
    inverse = InverseKinematics(kinematics)
    compared = 0
    for _ in range(300):
        q = rng.uniform(0.8 * kinematics.lower, 0.8 * kinematics.upper)
        state = state_at(kinematics, q)
        x, y, _ = state.target.position
        if x < 0.1 or np.hypot(x, y) < 0.12:  # the heading of a TCP behind or above the pan axis is another
            continue
        compared += 1
        read = target(messages.ee_state(state), inverse)
        np.testing.assert_allclose(read.position, state.target.position, atol=1e-12)
        turned = [read.pitch - state.target.pitch, read.roll - state.target.roll]
        np.testing.assert_allclose(np.remainder(np.array(turned) + np.pi, 2 * np.pi) - np.pi, 0.0, atol=1e-6)
        assert read.jaw == state.gripper_target
    assert compared > 50


def test_a_target_that_is_no_number_is_refused(kinematics):
    message = messages.ee_state(state_at(kinematics, np.array(Settings.default().home_joints)))
    message.target.position.y = float("nan")
    with pytest.raises(ValueError, match="ee_state target: expected finite numbers, got .*nan"):
        target(message, InverseKinematics(kinematics))


def joints(**fields):
    angles = [0.1 * number for number in range(6)]
    return JointState(**{"name": list(JOINT_NAMES), "position": angles, **fields})


def test_joints_come_in_any_order_and_with_others_beside_them():
    shuffled = joints(
        name=["seventh", *JOINT_NAMES[::-1]],
        position=[9.0, *joints().position[::-1]],
        effort=[9.0, *[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]],
    )
    assert joint_angles("leader/joint_states", shuffled).tolist() == joints().position.tolist()
    assert joint_efforts(shuffled).tolist() == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_efforts_that_nobody_sent_are_unknown():
    assert joint_efforts(joints()) is None
    assert joint_efforts(joints(effort=[float("nan")] * 6)) is None


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"position": [0.0, 0.0, float("inf"), 0.0, 0.0, 0.0]}, "position: .* got inf for elbow_flex"),
        ({"position": [0.0] * 5}, "position: expected 6 values, got 5"),
        ({"name": ["jaw"], "position": [0.0]}, "name: expected .* missing in \\['jaw'\\]"),
    ],
)
def test_joints_that_make_no_sense_are_refused(fields, complaint):
    with pytest.raises(ValueError, match=f"leader/joint_states {complaint}"):
        joint_angles("leader/joint_states", joints(**fields))
