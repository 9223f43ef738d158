"""What goes in and out of `EeControl`: actions, commands and the state of the end effector."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilrl_control.ee_target import EeTarget, Flags
from hilrl_control.kinematics import Array, Pose
from hilrl_control.settings import Settings

STAY, CLOSE, OPEN = 0, 1, 2
FOLLOWING = "following actions"
"""The status while someone steers the arm."""


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


def action_problem(delta: ArrayLike, gripper: int, gripper_goal: float | None = None) -> str:
    """Why this is no action, or an empty string."""
    numbers = np.asarray(delta, float)
    if numbers.shape != (5,):
        return f"action delta: expected 5 numbers, got shape {numbers.shape}"
    if not np.isfinite(numbers).all():
        return f"action delta: expected finite numbers, got {numbers.tolist()}"
    if gripper not in (STAY, CLOSE, OPEN):
        return f"action gripper: expected 0 (stay), 1 (close) or 2 (open), got {gripper}"
    if gripper_goal is not None and not math.isfinite(gripper_goal):
        return f"action gripper_goal: expected a finite jaw angle, got {gripper_goal}"
    return ""


def timing_problem(stamp_ns: int, observed_ns: int, answered_ns: int | None, settings: Settings) -> str:
    """Why an action of the tick `stamp_ns` is not for now, or an empty string.

    `observed_ns`: the newest joint state. `answered_ns`: the action served last, None: none yet.
    """
    if settings.lockstep:
        if stamp_ns != observed_ns:
            return f"action stamp: expected that of the newest joint state, {observed_ns}, got {stamp_ns} ns"
        return ""
    if answered_ns is not None and stamp_ns < answered_ns:
        return f"action stamp: expected one after {answered_ns} ns, already served, got {stamp_ns} ns"
    if abs(stamp_ns - observed_ns) > settings.command_timeout_s * 1e9:
        return (
            f"action stamp: expected within {settings.command_timeout_s} s of the newest joint "
            f"state, {observed_ns} ns, got {stamp_ns} ns"
        )
    return ""
