"""What goes between the controller and the process in which MoveIt plans.

Without Pinocchio: its libraries and MoveIt's come from different builds, and stay in different processes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Request:
    """What MoveIt needs to know for one proposal."""

    start: NDArray[np.float64]
    """Shape (6,) [rad]."""
    goal: NDArray[np.float64]
    """Shape (6,) [rad]; the jaw is as at the start."""
    table_z_m: float
    """Height of the table in the base frame [m]."""
    limit_s: float
    """For planning [s]."""
