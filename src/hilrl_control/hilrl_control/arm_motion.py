"""One control period of arm motion: from the joints commanded before, towards a TCP target.

The step is bounded per joint, so a target may be further than one step. Then the arm goes to the point of
its step that is nearest to the target, or, where that leads nowhere, along the straight line in joint
space; in either case without leaving the workspace box.
"""

from dataclasses import dataclass, replace

import numpy as np

from hilrl_control.ee_target import EeTarget, Flags
from hilrl_control.inverse_kinematics import REACHED_M, InverseKinematics
from hilrl_control.kinematics import Array, Kinematics
from hilrl_control.workspace import Workspace

BOX_TOLERANCE_M = 2e-4
"""How far outside the box a command may put the TCP, for what the inverse kinematics leaves over [m]."""
PROGRESS_M = 5e-4
"""A step that brings the TCP less than this nearer to a target that can be reached is a dead end [m]."""


@dataclass(frozen=True)
class ArmStep:
    """The arm's goals for one period."""

    q: Array
    """Shape (5,) [rad]."""
    target: EeTarget
    """What was aimed at: the nearest point that can be reached, where the wanted one cannot."""
    flags: Flags


def step_towards(
    target: EeTarget,
    previous: Array,
    max_step: float,
    workspace: Workspace,
    kinematics: Kinematics,
    inverse: InverseKinematics,
    flags: Flags,
) -> ArmStep:
    """Joint goals within `max_step` [rad] of `previous`, shape (5,) [rad], that approach the target."""
    inside = inverse.solve(target.position, target.pitch, target.roll, previous, max_step)
    if inside.reachable:
        at_speed_limit = bool((np.abs(inside.q - previous) > max_step - 1e-9).any())
        return ArmStep(inside.q, target, replace(flags, joint_limit=inside.at_limit, speed=at_speed_limit))

    whole = inverse.solve(target.position, target.pitch, target.roll, previous)
    nearest = kinematics.forward(whole.q)
    if not whole.reachable:
        target = EeTarget(nearest.position, target.pitch, target.roll)
    # The roll may have had to yield; with the wished one this step would look for what is not there.
    inside = inverse.solve(target.position, target.pitch, nearest.roll, previous, max_step)
    before = kinematics.forward(previous).position
    distance = _distance(before, target.position)
    allowed_excess = max(BOX_TOLERANCE_M, workspace.excess(before))

    def admitted(q: Array) -> bool:
        return workspace.excess(kinematics.forward(q).position) <= allowed_excess

    q = previous
    nearer = distance - inside.position_error_m
    if (nearer > PROGRESS_M or inside.position_error_m < REACHED_M) and admitted(inside.q):
        q = inside.q
    else:
        turn = whole.q - previous
        largest = float(np.abs(turn).max())
        along_joints = previous + turn * min(1.0, max_step / largest) if largest > 0.0 else previous
        # Coming from outside there is no box to keep to yet.
        if workspace.excess(before) > BOX_TOLERANCE_M or admitted(along_joints):
            q = along_joints
    flags = replace(
        flags,
        joint_limit=whole.at_limit,
        speed=bool(np.abs(whole.q - previous).max() > max_step),
        unreachable=not whole.reachable,
    )
    return ArmStep(q, target, flags)


def _distance(a: Array, b: Array) -> float:
    difference = a - b
    return float(np.sqrt(difference @ difference))
