"""Bounds on single joints: how far, how fast, and what no servo could have done."""

import numpy as np
from numpy.typing import ArrayLike

from hilrl_control.ee_state import OPEN
from hilrl_control.kinematics import Array
from hilrl_control.settings import Settings
from hilrl_ros.joints import JOINT_NAMES

MINIMUM_SPEED = 0.2
"""Least speed in a command [rad/s]: 0 would mean "as fast as the servo can", and droop needs correcting."""
NOISE_RAD = 0.02
"""A joint that turned twice as far as its servo could, and this much on top, was moved by something else."""


def bounded_step(present: float, goal: float, travel: float) -> float:
    """The goal, or as far towards it as `travel` goes."""
    return present + min(max(goal - present, -travel), travel)


def jaw_target(gripper: int, goal: float | None, present: float, settings: Settings) -> float:
    """The jaw's target [rad] after CLOSE or OPEN: all the way, or as far as `goal` and never backwards.

    `present`: the target so far. CLOSE with a goal on the open side of it leaves it, as does OPEN the other
    way round.
    """
    opened, closed = settings.gripper_open_rad, settings.gripper_closed_rad
    if goal is None:
        return opened if gripper == OPEN else closed
    bounded = min(max(goal, min(opened, closed)), max(opened, closed))
    opens = (bounded - present) * (opened - closed) > 0.0
    return bounded if opens == (gripper == OPEN) else present


def speeds_for(goals: Array, measured: Array, settings: Settings) -> Array:
    """Speeds that reach `goals` within one period, within the speed limits, shape (6,) [rad/s].

    Faster, and the servo would arrive early and stand until the next command: a jerk per period. Where a
    joint of a late arm would need more than its limit all are slowed alike, or the TCP would leave its path.
    """
    speeds = np.abs(goals - measured) * settings.control_hz
    limits = settings.joint_speeds
    fastest = float(speeds[:5].max())
    if fastest > settings.max_joint_speed:
        speeds[:5] *= settings.max_joint_speed / fastest
    return np.minimum(np.maximum(speeds, np.minimum(MINIMUM_SPEED, limits)), limits)


def travelled_too_far(before: Array, after: Array, elapsed_s: float, servo_speed: Array) -> str | None:
    """Name of the first joint that turned further than its servo could have turned it, or None."""
    beyond = np.abs(after - before) > 2.0 * servo_speed * elapsed_s + NOISE_RAD
    return JOINT_NAMES[int(beyond.argmax())] if beyond.any() else None


def six_numbers(what: str, values: ArrayLike) -> Array:
    """`values` as an array of shape (6,); raises ValueError naming the joint that is not finite."""
    numbers = np.array(values, float)
    if numbers.shape != (6,):
        raise ValueError(f"{what}: expected {len(JOINT_NAMES)} values, got shape {numbers.shape}")
    if not np.isfinite(numbers).all():
        index = int(np.argmin(np.isfinite(numbers)))
        raise ValueError(f"{what}: expected finite numbers, got {numbers[index]} for {JOINT_NAMES[index]}")
    return numbers
