"""What goes in and out of `EeControl`: actions, commands and the state of the end effector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilrl_control.ee_target import EeTarget, Flags
from hilrl_control.kinematics import Array, Pose

STAY, CLOSE, OPEN = 0, 1, 2


@dataclass(frozen=True)
class Command:
    """Joint goals for one control period, in `JOINT_NAMES` order."""

    stamp_ns: int
    """The tick it answers."""
    position: Array
    """Goals, shape (6,) [rad]."""
    velocity: Array
    """Speed limits that reach the goals within one period, shape (6,) [rad/s], all above zero."""


@dataclass(frozen=True)
class State:
    """Where the end effector is, where it is wanted, and what was bounded on the way."""

    stamp_ns: int
    pose: Pose
    twist: Array
    """Measured TCP velocity in the base frame, shape (6,): [m/s] * 3, [rad/s] * 3."""
    target: EeTarget
    target_rotation: Array
    """Shape (3, 3), with the heading that the arm has at the target."""
    gripper_position: float
    gripper_target: float
    action_stamp_ns: int
    """Stamp of the newest action served; 0: none yet."""
    action_source: int
    flags: Flags
    holding: bool
    status: str


def action_problem(delta: ArrayLike, gripper: int) -> str:
    """Why this is no action, or an empty string."""
    numbers = np.asarray(delta, float)
    if numbers.shape != (5,):
        return f"action delta: expected 5 numbers, got shape {numbers.shape}"
    if not np.isfinite(numbers).all():
        return f"action delta: expected finite numbers, got {numbers.tolist()}"
    if gripper not in (STAY, CLOSE, OPEN):
        return f"action gripper: expected 0 (stay), 1 (close) or 2 (open), got {gripper}"
    return ""
