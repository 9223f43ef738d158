"""What bounds the motion: one value per tunable, checked as a set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hilrl_control.kinematics import Array
from hilrl_control.workspace import Workspace


@dataclass(frozen=True)
class Settings:
    """The bounds of `EeControl`. Replaced as a whole, so that a tick sees one consistent set."""

    workspace: Workspace
    control_hz: float = 10.0
    """Control periods per second; one action is one period."""
    lockstep: bool = False
    """Time stands still between actions: nothing times out, nothing is sent but answers to actions."""
    step_m: float = 0.02
    """Length of a full step along one axis [m]."""
    step_rad: float = 0.1
    """Angle of a full step of pitch or roll [rad]."""
    leash_m: float = 0.08
    """The target stays this close to the measured TCP [m]. Full diagonal steps need 0.035, and as much again
    for a tenth of a second of servo lag."""
    leash_rad: float = 0.4
    """A pitch or roll that is being commanded stays this close to the measured one [rad]."""
    max_joint_speed: float = 3.0
    """Of the five arm joints [rad/s]."""
    home_speed: float = 1.0
    """Of the fastest joint on the way home [rad/s]."""
    gripper_speed: float = 4.0
    """Of the jaw [rad/s]."""
    gripper_open_rad: float = 0.9
    gripper_closed_rad: float = -0.1
    command_timeout_s: float = 0.5
    """Without an action for this long the arm holds [s]."""
    joint_state_timeout_s: float = 0.3
    """Joint states older than this are not acted on [s]."""
    home_joints: tuple[float, ...] = (0.0, -0.4827, 0.166, 1.638, 0.0, 0.9)
    """Where `go_home` goes, in `JOINT_NAMES` order [rad]."""
    table_z_m: float = -0.0024
    """Height of the table in the base frame [m]; by default the underside of the arm's base."""
    clearance_m: float = 0.005
    """What the way home keeps between the arm, itself and the table [m]."""

    @staticmethod
    def default() -> "Settings":
        """The default box with the default bounds."""
        return Settings(Workspace.from_corners((0.12, -0.15, 0.005), (0.32, 0.15, 0.22)))

    @property
    def period_s(self) -> float:
        """One control period [s]."""
        return 1.0 / self.control_hz

    @property
    def joint_speeds(self) -> Array:
        """Speed limits in `JOINT_NAMES` order, shape (6,) [rad/s]."""
        return np.array([self.max_joint_speed] * 5 + [self.gripper_speed])


def settings_problem(values: Mapping[str, Any], lower: Array, upper: Array) -> str | None:
    """Why these values do not go together, or None; ranges of single values are checked elsewhere.

    `lower`, `upper`: joint limits in `JOINT_NAMES` order, shape (6,) [rad].
    """
    if reason := Workspace.problem(values["workspace_min"], values["workspace_max"]):
        return reason
    if math.isclose(values["gripper_open_rad"], values["gripper_closed_rad"], abs_tol=0.05):
        return (
            "gripper_open_rad: expected more than 0.05 rad away from gripper_closed_rad = "
            f"{values['gripper_closed_rad']}, got {values['gripper_open_rad']}"
        )
    for name in ("gripper_open_rad", "gripper_closed_rad"):
        if not lower[5] <= values[name] <= upper[5]:
            return f"{name}: expected within [{lower[5]:.4f}, {upper[5]:.4f}] rad, got {values[name]}"
    for index, angle in enumerate(values["home_joints"]):
        if not lower[index] <= angle <= upper[index]:
            limits = f"[{lower[index]:.4f}, {upper[index]:.4f}]"
            return f"home_joints[{index}]: expected within {limits} rad, got {angle}"
    return None


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings from parameter values; raises ValueError where the workspace is no box."""
    plain = {name: values[name] for name in Settings.__dataclass_fields__ if name in values}
    plain["home_joints"] = tuple(values["home_joints"])
    return Settings(
        workspace=Workspace.from_corners(values["workspace_min"], values["workspace_max"]), **plain
    )
