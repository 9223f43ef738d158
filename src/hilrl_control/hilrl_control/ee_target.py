"""The TCP pose that the operator or the policy steers, and what bounds it."""

from dataclasses import dataclass

import numpy as np

from hilrl_control.kinematics import Array, Pose
from hilrl_control.planar_arm import wrap
from hilrl_control.settings import Settings


@dataclass(frozen=True)
class Flags:
    """What was bounded while the newest action was served."""

    workspace: bool = False
    """The target was clipped to the workspace box."""
    step: bool = False
    """The action exceeded [-1, 1] and was clipped."""
    joint_limit: bool = False
    """A joint stands at its limit."""
    speed: bool = False
    """The joint speed limit bounded the command."""
    leash: bool = False
    """The target was pulled back towards the measured pose."""
    unreachable: bool = False
    """No joint angles reach the target; the nearest point is aimed at."""


@dataclass(frozen=True)
class EeTarget:
    """Where the TCP is wanted, in the base frame."""

    position: Array
    """Shape (3,) [m]."""
    pitch: float
    """[rad]. A wish: it yields to the position, and stays what it was until the position allows it again."""
    roll: float

    @staticmethod
    def at(pose: Pose) -> "EeTarget":
        """The target that stays where the TCP is."""
        return EeTarget(pose.position, pose.pitch, pose.roll)

    def restarted(self, commanded: Pose | None, measured: Pose, settings: Settings) -> "EeTarget":
        """A target at the measured pose.

        The wished orientation survives as long as the arm stands near where it was commanded, so that
        droop does not add up from one hold to the next.
        """
        if commanded is None or not (
            abs(wrap(commanded.pitch - measured.pitch)) < settings.leash_rad
            and abs(wrap(commanded.roll - measured.roll)) < settings.leash_rad
        ):
            return EeTarget.at(measured)
        return EeTarget(measured.position, self.pitch, self.roll)

    def moved(
        self, delta: Array, commanded: Pose, measured: Pose, settings: Settings
    ) -> tuple["EeTarget", Flags]:
        """The target after one action, bounded by step, workspace and leash.

        `delta`: shape (5,), finite. `commanded`: the pose of the command in force; pitch and roll start
        from it, not from a wish that had to yield.
        """
        bounded = np.clip(delta, -1.0, 1.0)
        wanted = self.position + bounded[:3] * settings.step_m
        position, clipped = settings.workspace.clip(wanted)
        # A box that was made smaller, or does not hold the arm yet, pulls it in no faster than a full step.
        position = np.clip(position, self.position - settings.step_m, self.position + settings.step_m)
        lead = position - measured.position
        distance = float(np.sqrt(lead @ lead))
        leashed = distance > settings.leash_m
        if leashed:
            position = measured.position + lead * (settings.leash_m / distance)
        pitch, roll = self.pitch, self.roll
        if bounded[3] != 0.0:
            pitch, pulled = _leashed(
                commanded.pitch + bounded[3] * settings.step_rad, measured.pitch, settings
            )
            leashed = leashed or pulled
        if bounded[4] != 0.0:
            roll, pulled = _leashed(commanded.roll + bounded[4] * settings.step_rad, measured.roll, settings)
            leashed = leashed or pulled
        beyond = bool((np.abs(delta) > 1.0).any())
        return EeTarget(position, pitch, roll), Flags(workspace=clipped, step=beyond, leash=leashed)


def _leashed(angle: float, measured: float, settings: Settings) -> tuple[float, bool]:
    lead = wrap(angle - measured)
    bounded = min(max(lead, -settings.leash_rad), settings.leash_rad)
    return measured + bounded, bounded != lead
