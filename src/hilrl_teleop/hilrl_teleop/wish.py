"""What a person at a device wants, the same for every device."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.ee_action import AXES

GRIPPER_HOLD_S = 0.3
"""A tap on the jaws' key lasts so long. Their goal is absolute, so asking longer does no harm, and no control
tick misses it [s]."""


@dataclass(frozen=True)
class Wish:
    """What the person wants now."""

    engaged: bool
    """They hold control."""
    delta: NDArray[np.float32]
    """Share of a full step per axis of `AXES`. Shape (5,), each in [-1, 1]."""
    gripper: Gripper

    @staticmethod
    def none() -> "Wish":
        """Hands off."""
        return Wish(False, np.zeros(len(AXES), np.float32), Gripper.STAY)
