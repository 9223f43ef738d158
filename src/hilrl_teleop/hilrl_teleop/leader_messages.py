"""What `leader_teleop` reads from messages: joints of an arm, and where the follower is commanded to be."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import JointState

from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_interfaces.msg import EeState
from hilrl_ros.joints import JOINT_NAMES
from hilrl_teleop.leader_motion import Target

Array = NDArray[np.float64]


def joint_angles(topic: str, message: JointState) -> Array:
    """Measured joints in `JOINT_NAMES` order, shape (6,) [rad]; others beside them do not matter.

    Raises ValueError naming topic, field and joint.
    """
    names, count = list(message.name), len(message.name)
    if missing := [name for name in JOINT_NAMES if name not in names]:
        raise ValueError(f"{topic} name: expected {list(JOINT_NAMES)}, {missing} missing in {names}")
    if len(message.position) != count:
        raise ValueError(f"{topic} position: expected {count} values, got {len(message.position)}")
    angles = _in_order(names, message.position)
    for name, angle in zip(JOINT_NAMES, angles.tolist(), strict=True):
        if not math.isfinite(angle):
            raise ValueError(f"{topic} position: expected finite numbers, got {angle} for {name}")
    return angles


def joint_efforts(message: JointState) -> Array | None:
    """Torque of the servos of a message that `joint_angles` accepts, shape (6,) [N m]; None: not said."""
    if len(message.effort) != len(message.name):
        return None
    efforts = _in_order(list(message.name), message.effort)
    return efforts if np.isfinite(efforts).all() else None


def _in_order(names: list[str], values: Sequence[float]) -> Array:
    return np.array([values[names.index(name)] for name in JOINT_NAMES])


def target(state: EeState, inverse: InverseKinematics) -> Target:
    """The commanded TCP pose and jaw. Raises ValueError where they are not finite."""
    at, turn = state.target.position, state.target.orientation
    numbers = [at.x, at.y, at.z, turn.x, turn.y, turn.z, turn.w, state.gripper_target]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"ee_state target: expected finite numbers, got {numbers}")
    position = np.array(numbers[:3])
    x, y, z, w = numbers[3:7]
    # As in Kinematics: pitch and roll are angles in the arm's plane, which the position decides.
    heading = inverse.heading(position)
    cos_h, sin_h = math.cos(heading), math.sin(heading)
    forward = 2 * (x * z + w * y) * cos_h + 2 * (y * z - w * x) * sin_h
    pitch = math.atan2(2 * (x * x + y * y) - 1, forward)
    xx, xy, xz = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
    along_x = -math.sin(pitch) * (xx * cos_h + xy * sin_h) - math.cos(pitch) * xz
    return Target(position, pitch, math.atan2(xy * cos_h - xx * sin_h, along_x), numbers[7])
