"""Inverse kinematics of the SO-101: the position exactly, the orientation as far as it goes.

Five joints reach a position, a roll and, within joint limits, a pitch. Position has strict priority: the
pitch nearest to the wanted one at which the position is still reached is taken, the roll is clamped to its
joint's range, and yields too where no pitch reaches. Pan and roll follow in closed form, and so do the other
three joints once the pitch is chosen, hence there is nothing to converge and no branch to fall into: a search
over one angle is left.

A position out of reach is replaced by the nearest one that can be reached.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hilrl_control.kinematics import Array, Kinematics
from hilrl_control.planar_arm import PlanarArm, wrap

REACHED_M = 2e-4
"""A position error below this counts as reached; the closed form itself is within 0.01 mm."""
PITCH_CANDIDATES = 121
PITCH_TOLERANCE_RAD = 1e-5
ROLL_TOLERANCE_RAD = 0.02
LIMIT_MARGIN_RAD = 1e-9


@dataclass(frozen=True)
class Solution:
    """Joint angles for a target, and how well they meet it."""

    q: Array
    """Joint angles in `ARM_JOINTS` order, shape (5,) [rad], within the joint limits."""
    position_error_m: float
    """Distance from the target to the TCP at `q` [m]."""
    reachable: bool
    """Whether the position is met. False: `q` brings the TCP as near as it gets."""
    at_limit: bool
    """Whether a joint stands at its limit, so that position, pitch or roll had to yield."""


class InverseKinematics:
    """Joint angles for a TCP position, pitch and roll."""

    def __init__(self, kinematics: Kinematics) -> None:
        """Raises ValueError where the robot is not built like an SO-101, see `PlanarArm`."""
        self._kinematics = kinematics
        self._arm = PlanarArm(kinematics)
        self._lower, self._upper = kinematics.lower[:5].copy(), kinematics.upper[:5].copy()

    def solve(
        self, position: ArrayLike, pitch: float, roll: float, q_start: ArrayLike, max_step: float = math.inf
    ) -> Solution:
        """Joint angles that put the TCP at `position`, shape (3,) [m], with `pitch` and `roll` [rad].

        `q_start`: the present joint angles, shape (5,) or (6,) [rad]. They decide what position leaves
        open, such as which side the elbow is on. With `max_step` [rad] no joint goes further from
        `q_start` than that, and "reachable" means within that step. Inputs must be finite.
        """
        start = np.minimum(np.maximum(np.asarray(q_start, float)[:5], self._lower), self._upper)
        lower = np.maximum(self._lower, start - max_step)
        upper = np.minimum(self._upper, start + max_step)
        x, y, z = (float(v) for v in position)

        wrist_roll = self._arm.roll_zero - roll
        wrist_roll -= 2 * math.pi * round((wrist_roll - start[4]) / (2 * math.pi))
        wrist_roll = min(max(wrist_roll, float(lower[4])), float(upper[4]))

        def with_roll(wrist_roll: float) -> tuple[Array, float]:
            q = self._place(x, y, z, pitch, wrist_roll, start, lower, upper, everywhere=max_step == math.inf)
            return q, math.dist(self._kinematics.forward(q).position, (x, y, z))

        q, error = with_roll(wrist_roll)
        if error > REACHED_M and max_step == math.inf:
            q, error = self._yield_roll(with_roll, wrist_roll, q, error, (x, y, z))
        at_limit = bool(((q - self._lower < 1e-6) | (self._upper - q < 1e-6)).any())
        return Solution(q, error, error < REACHED_M, at_limit)

    def _place(
        self,
        x: float,
        y: float,
        z: float,
        pitch: float,
        wrist_roll: float,
        start: Array,
        lower: Array,
        upper: Array,
        everywhere: bool,
    ) -> Array:
        """Joints that bring the TCP to a point, or as near as it gets, with this wrist roll."""
        along, down, left = self._arm.tool(wrist_roll)
        turned = self._arm.pan(x, y, left)
        pan = float(start[0]) if turned is None else turned[0]
        clamped = min(max(pan, float(lower[0])), float(upper[0]))
        bend = None
        if turned is not None and clamped == pan:
            bend = self._bend(turned[1], z, pitch, along, down, start[1:4], lower[1:4], upper[1:4])
        if bend is None:
            r = self._arm.in_plane(x, y, clamped)
            bend, error = self._arm.nearest(r, z, along, down, start[1:4], lower[1:4], upper[1:4])
            if everywhere and error > REACHED_M:
                # Downhill from where the arm is may end in a fold of it; look from elsewhere too.
                elsewhere = self._arm.nearest_sample(r, z, along, down)
                other, other_error = self._arm.nearest(r, z, along, down, elsewhere, lower[1:4], upper[1:4])
                if other_error < max(REACHED_M, error - REACHED_M):
                    bend = other
        return np.minimum(np.maximum(np.array([clamped, *bend, wrist_roll]), lower), upper)

    def _yield_roll(
        self,
        with_roll: Callable[[float], tuple[Array, float]],
        wished: float,
        q: Array,
        error: float,
        target: tuple[float, float, float],
    ) -> tuple[Array, float]:
        """Joints and error with the roll nearest to the wished one that reaches, if one does.

        The TCP is 8 mm beside the roll axis: turning it towards the target gains up to 16 mm.
        """
        missing = np.array(target) - self._kinematics.forward(q).position
        best = self._arm.roll_towards(q, missing, float(self._lower[4]), float(self._upper[4]))
        found, found_error = with_roll(best)
        if found_error > REACHED_M:
            return q, error
        good, bad = best, wished
        while abs(bad - good) > ROLL_TOLERANCE_RAD:
            middle = 0.5 * (good + bad)
            tried, tried_error = with_roll(middle)
            if tried_error > REACHED_M:
                bad = middle
            else:
                good, found, found_error = middle, tried, tried_error
        return found, found_error

    def heading(self, position: ArrayLike) -> float:
        """Where the arm's plane points [rad, from x towards y] with the TCP at `position`, roll aside."""
        return math.atan2(position[1] - self._arm.pan_y, position[0] - self._arm.pan_x)

    def _bend(
        self,
        r: float,
        z: float,
        pitch: float,
        along: float,
        down: float,
        start: Array,
        lower: Array,
        upper: Array,
    ) -> tuple[float, float, float] | None:
        """Lift, elbow and wrist flex with the feasible pitch nearest to the wanted one, or None."""
        bounds = [
            (lo - LIMIT_MARGIN_RAD, hi + LIMIT_MARGIN_RAD)
            for lo, hi in zip(lower.tolist(), upper.tolist(), strict=True)
        ]

        def at(angle: float, elbow_up: bool) -> tuple[float, float, float] | None:
            q = self._arm.bend(r, z, angle, along, down, elbow_up)
            if q is None or not all(lo <= v <= hi for v, (lo, hi) in zip(q, bounds, strict=True)):
                return None
            return q

        # An elbow that was pushed below the line is brought back up wherever the step allows.
        sides = (True, False)
        for elbow_up in sides:
            if (q := at(pitch, elbow_up)) is not None:
                return q
        present = float(start.sum())
        reach = min(math.pi, 1.5 * float((upper - lower).sum()))
        candidates = np.append(np.linspace(present - reach, present + reach, PITCH_CANDIDATES), present)
        for elbow_up in sides:
            joints = self._arm.bend_many(r, z, candidates, along, down, elbow_up)
            feasible = ((joints >= lower[:, None]) & (joints <= upper[:, None])).all(axis=0)
            if not feasible.any():
                continue
            away = np.abs(np.remainder(candidates - pitch + math.pi, 2 * math.pi) - math.pi)
            away[~feasible] = math.inf
            best = float(candidates[int(away.argmin())])
            # The border of the feasible pitches lies within one candidate's spacing of the best one.
            good, towards = 0.0, wrap(pitch - best)
            bad = math.copysign(min(abs(towards), 2 * reach / (PITCH_CANDIDATES - 1)), towards)
            while abs(bad - good) > PITCH_TOLERANCE_RAD:
                middle = 0.5 * (good + bad)
                if at(best + middle, elbow_up) is None:
                    bad = middle
                else:
                    good = middle
            return at(best + good, elbow_up) or self._arm.bend(r, z, best, along, down, elbow_up)
        return None
