"""LeRobot's joint units in radians, as the driver has them."""

import numpy as np
from numpy.typing import NDArray

from hilrl_hardware.calibration import (
    FULL_TURN_JOINT,
    GRIPPER,
    LEROBOT_TICKS_PER_TURN,
    URDF_LOWER_RAD,
    URDF_UPPER_RAD,
    Calibration,
)
from hilrl_hardware.registers import TICK_RAD
from hilrl_ros.joints import ARM_JOINTS

JOINT_UNITS = ("degrees", "normalised")
"""Of the arm's joints; the gripper always is in percent open."""

DEGREE_RAD = LEROBOT_TICKS_PER_TURN / 360 * TICK_RAD
"""LeRobot divides a turn by 4095 ticks, the encoder by 4096."""


def radians_of(
    values: NDArray[np.float64], units: str, calibration: Calibration | None = None
) -> NDArray[np.float64]:
    """Rows of six joints in `JOINT_NAMES` order, shape (n, 6), in radians.

    `calibration`: of the arm that recorded them. Without it a range is that of the URDF, and no joint turns
    the other way.
    """
    joints = calibration.joints if calibration else {}
    radians = np.empty(values.shape)
    for column, name in enumerate(ARM_JOINTS):
        joint = joints.get(name)
        sign = -1.0 if joint and joint.reversed else 1.0
        if units == "degrees":
            scale = DEGREE_RAD
        else:
            half_span = joint.span / 2 * TICK_RAD if joint else _half_range(name)
            scale = half_span / 100
            # It mirrors -100..100, but not degrees.
            sign = -sign if joint and joint.drive_mode else sign
        radians[:, column] = sign * scale * values[:, column]
    low, high = URDF_LOWER_RAD[GRIPPER], URDF_UPPER_RAD[GRIPPER]
    radians[:, -1] = low + values[:, -1] / 100 * (high - low)
    return radians


def _half_range(name: str) -> float:
    if name == FULL_TURN_JOINT:
        return LEROBOT_TICKS_PER_TURN / 2 * TICK_RAD
    return (URDF_UPPER_RAD[name] - URDF_LOWER_RAD[name]) / 2
