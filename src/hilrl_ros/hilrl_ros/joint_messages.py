"""Between arrays in `JOINT_NAMES` order and JointState messages."""

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hilrl_ros.joints import JOINT_NAMES

BASE_FRAME = "base_link"
_JOINT_NAMES = list(JOINT_NAMES)


def joint_command(message: JointState) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Goal [rad] and speed limit [rad/s], each (6,) in `JOINT_NAMES` order; no speed where none was sent.

    The joints may come in any order. Raises ValueError naming the field unless each of the six is named once
    and has a position. That numbers are finite is the arm's to check.
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


def joint_state(
    stamp: Time, position: NDArray[np.float64], velocity: NDArray[np.float64], effort: NDArray[np.float64]
) -> JointState:
    """What an arm reports, each of shape (6,): [rad], [rad/s], [N m]."""
    return JointState(
        header=Header(stamp=stamp, frame_id=BASE_FRAME),
        name=_JOINT_NAMES,
        position=position.tolist(),
        velocity=velocity.tolist(),
        effort=effort.tolist(),
    )
