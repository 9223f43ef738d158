"""From the leader's motion since a take-over to actions: in end-effector space, relative, never wound up."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilrl_control.kinematics import Pose
from hilrl_control.planar_arm import wrap
from hilrl_ros.ee_action import Gripper
from hilrl_teleop.leader_settings import CONTINUOUS, LeaderSettings
from hilrl_teleop.wish import GRIPPER_HOLD_S

Array = NDArray[np.float64]

SMALLEST = 0.01
"""A smaller share of a full step is the encoders' noise; asking for none leaves the wished orientation."""
SMALLEST_JAW_RAD = 0.01
ROUNDING = 1e-9


@dataclass(frozen=True)
class Target:
    """Where the follower is commanded to be."""

    position: Array
    """TCP in the base frame, shape (3,) [m]."""
    pitch: float
    """[rad]"""
    roll: float
    """[rad]"""
    jaw: float
    """[rad]"""


@dataclass(frozen=True)
class Asked:
    """What the hand asks for."""

    delta: NDArray[np.float32]
    """Shape (5,), each in [-1, 1]."""
    gripper: Gripper = Gripper.STAY
    gripper_goal: float | None = None
    """Only as far as this jaw angle [rad]; None: all the way."""

    @staticmethod
    def nothing() -> "Asked":
        """Everything stays."""
        return Asked(np.zeros(5, np.float32))


class HandMotion:
    """One take-over: the follower is wanted where it was, plus what the hand has moved since.

    What the follower cannot do, beyond the workspace or further ahead than `lead_m`, is forgotten at once, so
    that coming back moves at once.
    """

    def __init__(self, pose: Pose, target: Target, settings: LeaderSettings) -> None:
        """`pose`: of the leader's TCP; `target`: of the follower, both at the take-over."""
        self.settings = settings
        self._pose = pose
        self._position = target.position
        self._pitch, self._roll = target.pitch, target.roll
        self._from = target
        self._follows = False

    def ask(self, pose: Pose, target: Target, served: bool) -> NDArray[np.float32]:
        """The delta that brings `target`, the newest, to where the hand is, shape (5,) in [-1, 1].

        `served`: whether the target is an operator's. The policy may have moved it since the take-over, and
        that must not be taken back; nor must a jump further than the hand may be ahead, as in a reset.
        """
        settings = self.settings
        jump = float(np.abs(target.position - self._from.position).max())
        if not (served or self._follows) or jump > settings.lead_m:
            self._position = self._position + target.position - self._from.position
            self._pitch += wrap(target.pitch - self._from.pitch)
            self._roll += wrap(target.roll - self._from.roll)
        self._follows, self._from = self._follows or served, target

        low = np.minimum(settings.workspace_min, target.position)
        high = np.maximum(settings.workspace_max, target.position)
        wanted = self._position + settings.scale * (pose.position - self._pose.position)
        ahead = np.clip(wanted, low, high) - target.position
        distance = float(np.sqrt(ahead @ ahead))
        if distance > settings.lead_m:
            ahead *= settings.lead_m / distance
        self._position = target.position + ahead
        pitch = _bounded(self._pitch + pose.pitch - self._pose.pitch - target.pitch, settings.lead_rad)
        roll = _bounded(self._roll + pose.roll - self._pose.roll - target.roll, settings.lead_rad)
        self._pitch, self._roll = target.pitch + pitch, target.roll + roll
        self._pose = pose

        delta = np.array([*(ahead / settings.step_m), pitch / settings.step_rad, roll / settings.step_rad])
        delta[np.abs(delta) < SMALLEST] = 0.0
        return np.clip(delta, -1.0, 1.0).astype(np.float32)


def _bounded(angle: float, limit: float) -> float:
    return min(max(wrap(angle), -limit), limit)


class JawMotion:
    """The leader's jaw since the take-over, with play: only what goes beyond the band moves anything."""

    def __init__(self, jaw: float, target_jaw: float, settings: LeaderSettings) -> None:
        """`jaw`: the leader's, `target_jaw`: the follower's, both at the take-over [rad]."""
        self.settings = settings
        self._middle = jaw
        """Of the band that the leader's jaw may be in without asking for anything."""
        self._goal = target_jaw
        self._moved = False
        self._said = Gripper.STAY
        self._said_until_s = float("-inf")
        self._unsaid = False

    def move(self, jaw: float, now_s: float) -> None:
        """Take in where the leader's jaw is [rad]."""
        settings = self.settings
        # Who asks how far wants play only until the jaw is really meant.
        band = SMALLEST_JAW_RAD if settings.gripper == CONTINUOUS and self._moved else settings.jaw_band_rad
        beyond = jaw - self._middle
        if abs(beyond) <= band + ROUNDING:
            return
        moved = beyond - band if beyond > 0.0 else beyond + band
        play = SMALLEST_JAW_RAD if settings.gripper == CONTINUOUS else band
        self._middle, self._moved = jaw - math.copysign(play, moved), True
        low, high = sorted((settings.gripper_closed_rad, settings.gripper_open_rad))
        self._goal = min(max(self._goal + moved, min(low, self._goal)), max(high, self._goal))
        opens = (moved > 0.0) == (settings.gripper_open_rad > settings.gripper_closed_rad)
        self._said = Gripper.OPEN if opens else Gripper.CLOSE
        self._said_until_s, self._unsaid = now_s + GRIPPER_HOLD_S, True

    def ask(self, target_jaw: float, now_s: float) -> tuple[Gripper, float | None]:
        """Command and goal [rad] for now; `target_jaw`: the follower's target [rad]."""
        asks = self._unsaid or now_s <= self._said_until_s
        self._unsaid = False
        if not asks:
            return Gripper.STAY, None
        if self.settings.gripper != CONTINUOUS:
            return self._said, None
        if abs(self._goal - target_jaw) < SMALLEST_JAW_RAD:
            return Gripper.STAY, None
        return self._said, self._goal
