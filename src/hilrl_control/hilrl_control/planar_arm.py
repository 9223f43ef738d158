"""The SO-101 as a pan joint and a three-joint chain in a vertical plane, in closed form.

Seen from the side the arm is: shoulder lift, upper arm, elbow, forearm, wrist flex, tool. Coordinates in
the plane are r, horizontally out from the pan axis, and z, up. All angles are "down angles": a vector of
length L at down angle a is (L cos a, -L sin a), so that the three joints simply add up to the pitch.
The TCP is 8 mm beside the roll axis, so roll shifts it both in the plane and out of it (`tool`).

Lengths come from the URDF at its zero pose. Its angles are truncated decimals (1.5708), which leaves this
model within 5 micrometres of Pinocchio's, a fifth of what one servo tick moves the TCP.
"""

import math

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from hilrl_control.kinematics import Array, Kinematics

PARALLEL = 0.9999
SAMPLES_PER_JOINT = 13


class PlanarArm:
    """Lengths and zero angles of the chain, and its inverse for a given pitch."""

    def __init__(self, kinematics: Kinematics) -> None:
        """Raises ValueError, naming the joint, where the URDF is not a pan joint and a planar chain."""
        model, data = kinematics.model, kinematics.model.createData()
        pin.forwardKinematics(model, data, pin.neutral(model))
        axes = [data.oMi[i].rotation[:, 2] for i in kinematics.joint_ids]
        expected = {0: (0, 0, -1), 1: (0, 1, 0), 2: (0, 1, 0), 3: (0, 1, 0), 4: (-1, 0, 0)}
        for joint, axis in expected.items():
            if axes[joint] @ np.array(axis) < PARALLEL:
                raise ValueError(
                    f"urdf: joint {model.names[kinematics.joint_ids[joint]]!r} should turn about {axis} "
                    f"in the base frame at the zero pose, it turns about {axes[joint].round(4).tolist()}"
                )
        pan, lift, elbow, flex, roll = (data.oMi[i].translation for i in kinematics.joint_ids[:5])
        zero = kinematics.forward(np.zeros(5))
        self.pan_x, self.pan_y = float(pan[0]), float(pan[1])
        self.lift_r, self.lift_z = float(lift[0] - pan[0]), float(lift[2])
        upper, fore = elbow - lift, flex - elbow
        self.upper, self.fore = math.hypot(upper[0], upper[2]), math.hypot(fore[0], fore[2])
        self.upper_angle = math.atan2(-upper[2], upper[0])
        self.fore_angle = math.atan2(-fore[2], fore[0])
        self.roll_zero = zero.roll
        self._tool_along = float(zero.position[0] - flex[0])
        self._tool_down = float(flex[2] - roll[2])
        self._lateral = float(roll[1] - pan[1])
        self._down_at_zero = float(roll[2] - zero.position[2])
        self._left_at_zero = float(zero.position[1] - roll[1])
        self._samples = self._sample(kinematics.lower[1:4], kinematics.upper[1:4])

    def tool(self, wrist_roll: float) -> tuple[float, float, float]:
        """Offsets of the TCP from the wrist-flex axis [m].

        Along the approach, across it in the plane (downwards at pitch zero), and to the left of the plane
        through the pan axis.
        """
        c, s = math.cos(-wrist_roll), math.sin(-wrist_roll)
        down = self._tool_down + self._down_at_zero * c - self._left_at_zero * s
        left = self._lateral + self._down_at_zero * s + self._left_at_zero * c
        return self._tool_along, down, left

    def roll_towards(self, q: Array, missing: Array, lower: float, upper: float) -> float:
        """The wrist roll within limits that shifts the TCP furthest along `missing`, shape (3,) [m]."""
        pitch = float(q[1] + q[2] + q[3])
        in_plane = missing[0] * math.cos(q[0]) - missing[1] * math.sin(q[0])
        downwards = -in_plane * math.sin(pitch) - missing[2] * math.cos(pitch)
        lowest = math.atan2(self._left_at_zero, self._down_at_zero)
        highest = lower if q[4] < lowest else upper
        return max(lowest, highest, key=lambda roll: downwards * self.tool(roll)[1])

    def pan(self, x: float, y: float, left: float) -> tuple[float, float] | None:
        """The pan angle that turns the plane so that (x, y) lies `left` of it, and r there.

        None where the point is so close to the pan axis that no angle does.
        """
        dx, dy = x - self.pan_x, y - self.pan_y
        distance = math.hypot(dx, dy)
        if distance <= abs(left) + 1e-6:
            return None
        heading = math.atan2(dy, dx) - math.asin(left / distance)
        return -wrap(heading), math.sqrt(distance * distance - left * left)

    def in_plane(self, x: float, y: float, pan: float) -> float:
        """r of a point, seen from an arm at `pan`."""
        return (x - self.pan_x) * math.cos(pan) - (y - self.pan_y) * math.sin(pan)

    def bend(
        self, r: float, z: float, pitch: float, along: float, down: float, elbow_up: bool
    ) -> tuple[float, float, float] | None:
        """Lift, elbow and wrist flex that put the TCP at (r, z) with `pitch`; None where out of reach."""
        cp, sp = math.cos(pitch), math.sin(pitch)
        wr = r - self.lift_r - along * cp + down * sp
        wz = z - self.lift_z + along * sp + down * cp
        cosine = (wr * wr + wz * wz - self.upper**2 - self.fore**2) / (2 * self.upper * self.fore)
        if not -1.0 <= cosine <= 1.0:
            return None
        bend = math.acos(cosine) if elbow_up else -math.acos(cosine)
        lift = math.atan2(-wz, wr) - self.upper_angle
        lift = wrap(lift - math.atan2(self.fore * math.sin(bend), self.upper + self.fore * math.cos(bend)))
        elbow = bend - self.fore_angle + self.upper_angle
        return lift, elbow, wrap(pitch - lift - elbow)

    def bend_many(self, r: float, z: float, pitch: Array, along: float, down: float, elbow_up: bool) -> Array:
        """`bend` for many pitches at once: shape (3, n), NaN where out of reach."""
        cp, sp = np.cos(pitch), np.sin(pitch)
        wr = r - self.lift_r - along * cp + down * sp
        wz = z - self.lift_z + along * sp + down * cp
        cosine = (wr * wr + wz * wz - self.upper**2 - self.fore**2) / (2 * self.upper * self.fore)
        cosine[np.abs(cosine) > 1.0] = np.nan
        bend = np.arccos(cosine) if elbow_up else -np.arccos(cosine)
        lift = np.arctan2(-wz, wr) - self.upper_angle
        lift -= np.arctan2(self.fore * np.sin(bend), self.upper + self.fore * np.cos(bend))
        joints: NDArray[np.float64] = np.empty((3, len(pitch)))
        joints[0] = _wrap_many(lift)
        joints[1] = bend - self.fore_angle + self.upper_angle
        joints[2] = _wrap_many(pitch - joints[0] - joints[1])
        return joints

    def is_elbow_up(self, elbow: float) -> bool:
        """Whether the elbow lies above the line from shoulder to wrist."""
        return elbow + self.fore_angle - self.upper_angle >= 0.0

    def nearest(
        self, r: float, z: float, along: float, down: float, start: Array, lower: Array, upper: Array
    ) -> tuple[tuple[float, float, float], float]:
        """Lift, elbow and wrist flex within limits (each shape (3,)) whose TCP is nearest to (r, z).

        Returns them with the distance that is left [m].
        Levenberg-Marquardt on the two coordinates; a joint at a limit takes no part while it is pushed
        outwards. Finds the minimum next to `start`.
        """
        lo, hi = lower.tolist(), upper.tolist()
        q = [min(max(a, b), c) for a, b, c in zip(start.tolist(), lo, hi, strict=True)]
        damping = 1e-4
        points = self._chain(q, along, down)
        er, ez = r - points[3][0], z - points[3][1]
        cost = er * er + ez * ez
        for _ in range(60):
            rows = [(points[3][1] - p[1], p[0] - points[3][0]) for p in points[:3]]
            downhill = [jr * er + jz * ez for jr, jz in rows]
            free = [
                i
                for i in range(3)
                if not ((q[i] >= hi[i] and downhill[i] > 0) or (q[i] <= lo[i] and downhill[i] < 0))
            ]
            if not free or max(abs(downhill[i]) for i in free) < 1e-9:
                break
            a = damping + sum(rows[i][0] ** 2 for i in free)
            b = sum(rows[i][0] * rows[i][1] for i in free)
            d = damping + sum(rows[i][1] ** 2 for i in free)
            det = a * d - b * b
            vr, vz = (d * er - b * ez) / det, (a * ez - b * er) / det
            trial = list(q)
            for i in free:
                trial[i] = min(max(q[i] + rows[i][0] * vr + rows[i][1] * vz, lo[i]), hi[i])
            trial_points = self._chain(trial, along, down)
            tr, tz = r - trial_points[3][0], z - trial_points[3][1]
            trial_cost = tr * tr + tz * tz
            if trial_cost < cost:
                gain, q, points, er, ez, cost = cost - trial_cost, trial, trial_points, tr, tz, trial_cost
                damping = max(damping / 4, 1e-9)
                if gain < 1e-10:
                    break
            else:
                damping *= 8
                if damping > 1e3:
                    break
        return (q[0], q[1], q[2]), math.sqrt(cost)

    def _sample(self, lower: Array, upper: Array) -> tuple[Array, Array, Array]:
        """Joints all over their ranges, elbow up, with (r, z) of the wrist and the approach direction."""
        lower = np.array([lower[0], max(float(lower[1]), self.upper_angle - self.fore_angle), lower[2]])
        axes = [np.linspace(lo, hi, SAMPLES_PER_JOINT) for lo, hi in zip(lower, upper, strict=True)]
        joints = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])
        a = self.upper_angle + joints[0]
        wrist = np.array([[self.lift_r], [self.lift_z]]) + self.upper * np.stack([np.cos(a), -np.sin(a)])
        a = self.fore_angle + joints[0] + joints[1]
        wrist += self.fore * np.stack([np.cos(a), -np.sin(a)])
        pitch = joints.sum(axis=0)
        return joints, wrist, np.stack([np.cos(pitch), np.sin(pitch)])

    def nearest_sample(self, r: float, z: float, along: float, down: float) -> Array:
        """Of joints all over their ranges, those whose TCP is nearest to (r, z): shape (3,) [rad]."""
        joints, wrist, (cp, sp) = self._samples
        dr = wrist[0] + along * cp - down * sp - r
        dz = wrist[1] - along * sp - down * cp - z
        return joints[:, int((dr * dr + dz * dz).argmin())]

    def _chain(self, q: list[float], along: float, down: float) -> tuple[tuple[float, float], ...]:
        """(r, z) of shoulder lift, elbow, wrist flex and TCP [m]."""
        a = self.upper_angle + q[0]
        er, ez = self.lift_r + self.upper * math.cos(a), self.lift_z - self.upper * math.sin(a)
        a = self.fore_angle + q[0] + q[1]
        wr, wz = er + self.fore * math.cos(a), ez - self.fore * math.sin(a)
        cp, sp = math.cos(q[0] + q[1] + q[2]), math.sin(q[0] + q[1] + q[2])
        tcp = (wr + along * cp - down * sp, wz - along * sp - down * cp)
        return (self.lift_r, self.lift_z), (er, ez), (wr, wz), tcp


def wrap(angle: float) -> float:
    """The same angle in [-pi, pi]."""
    return math.remainder(angle, 2 * math.pi)


def _wrap_many(angle: Array) -> Array:
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi))
