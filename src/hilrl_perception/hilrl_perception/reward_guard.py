"""Where the arm has to be for a success to be believed. Plain, no ROS."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANYWHERE_M = 1.0
"""No TCP of an SO-101 gets further from its base, along any axis [m]."""
ANY_RAD = math.pi
COLUMNS = ("ee_x", "ee_y", "ee_z", "gripper_position", "gripper_target")
"""An `ArmState` as a row of numbers: [m], [m], [m], [rad], [rad]."""


@dataclass(frozen=True)
class ArmState:
    """What the arm says of itself at one stamp."""

    position: tuple[float, float, float]
    """Of the TCP, measured, in the base frame [m]."""
    gripper_position: float
    """Measured jaw angle, positive opens [rad]."""
    gripper_target: float
    """Commanded jaw angle [rad]."""

    def row(self) -> NDArray[np.float64]:
        """Shape (5,), as `COLUMNS` says."""
        return np.array([*self.position, self.gripper_position, self.gripper_target])

    @staticmethod
    def from_row(row: NDArray[np.float64]) -> "ArmState":
        """Inverse of `row`."""
        x, y, z, gripper_position, gripper_target = row.tolist()
        return ArmState((x, y, z), gripper_position, gripper_target)


@dataclass(frozen=True)
class Guard:
    """Bounds within which a success is possible; the defaults allow everything."""

    gripper_range: tuple[float, float] = (-ANY_RAD, ANY_RAD)
    """Of the measured jaw angle [rad]."""
    gripper_target_range: tuple[float, float] = (-ANY_RAD, ANY_RAD)
    """Of the commanded jaw angle [rad]."""
    ee_min: tuple[float, float, float] = (-ANYWHERE_M,) * 3
    """Lower corner of the TCP's box in the base frame [m]."""
    ee_max: tuple[float, float, float] = (ANYWHERE_M,) * 3
    """Upper corner [m]."""

    @staticmethod
    def from_values(values: Mapping[str, Any]) -> "Guard":
        """From parameter values. Raises ValueError where a lower bound is above its upper one."""
        guard = Guard(*(tuple(values[name]) for name in Guard.__dataclass_fields__))
        pairs = {
            "gripper_range": guard.gripper_range,
            "gripper_target_range": guard.gripper_target_range,
            **{
                f"ee_min, ee_max: {axis}": (low, high)
                for axis, low, high in zip("xyz", guard.ee_min, guard.ee_max, strict=True)
            },
        }
        for name, (low, high) in pairs.items():
            if not low <= high:
                raise ValueError(f"{name}: expected lower <= upper, got {low} and {high}")
        return guard

    def objection(self, arm: ArmState) -> str:
        """Why there can be no success with the arm like this, or ''. A number that is not one objects."""
        low, high = self.gripper_range
        if not low <= arm.gripper_position <= high:
            return f"jaw angle {arm.gripper_position:.3f} rad is outside [{low}, {high}]"
        low, high = self.gripper_target_range
        if not low <= arm.gripper_target <= high:
            return f"jaw target {arm.gripper_target:.3f} rad is outside [{low}, {high}]"
        for axis, value, low, high in zip("xyz", arm.position, self.ee_min, self.ee_max, strict=True):
            if not low <= value <= high:
                return f"TCP {axis} {value:.3f} m is outside [{low}, {high}]"
        return ""
