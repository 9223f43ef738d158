"""Between the simulation's arrays and ROS messages."""

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, Quaternion
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hilrl_interfaces.msg import GroundTruth, RewardEstimate
from hilrl_ros.joints import JOINT_NAMES
from hilrl_sim.simulation import Frame

BASE_FRAME = "base_link"


def joint_command(message: JointState) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Goal [rad] and speed limit [rad/s], each of shape (6,) in SO-101 order; no speed where none was sent.

    The joints may come in any order. Raises ValueError naming the field unless each of the six is named once
    and has a position. That numbers are finite is the servo's to check.
    """
    if sorted(message.name) != sorted(JOINT_NAMES):
        raise ValueError(f"name: expected {list(JOINT_NAMES)}, got {list(message.name)}")
    order = [message.name.index(name) for name in JOINT_NAMES]
    if len(message.position) != len(order):
        raise ValueError(f"position: expected {len(order)} values, got {len(message.position)}")
    goal = np.array(message.position)[order]
    if not message.velocity:
        return goal, None
    if len(message.velocity) != len(order):
        raise ValueError(f"velocity: expected {len(order)} values or none, got {len(message.velocity)}")
    return goal, np.array(message.velocity)[order]


def joint_state(frame: Frame, stamp: Time) -> JointState:
    """What the servos report."""
    return JointState(
        header=Header(stamp=stamp, frame_id=BASE_FRAME),
        name=list(JOINT_NAMES),
        position=frame.joint_position.tolist(),
        velocity=frame.joint_velocity.tolist(),
        effort=frame.joint_effort.tolist(),
    )


def reward(frame: Frame, stamp: Time) -> RewardEstimate:
    """The task's own reward, which is exact."""
    return RewardEstimate(
        header=Header(stamp=stamp, frame_id=BASE_FRAME),
        reward=frame.reward,
        success=frame.success,
        probability=float(frame.success),
        source="sim",
    )


def ground_truth(frame: Frame, stamp: Time) -> GroundTruth:
    """Object poses in the base frame."""
    truth = frame.ground_truth
    return GroundTruth(
        header=Header(stamp=stamp, frame_id=BASE_FRAME),
        task=truth.task,
        names=list(truth.names),
        poses=[_pose(values.tolist()) for values in truth.poses],
        grasped=truth.grasped,
        success=frame.success,
    )


def _pose(values: list[float]) -> Pose:
    x, y, z, qx, qy, qz, qw = values
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
