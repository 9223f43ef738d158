"""What the ticks of one SO-101 mean: ranges of its joints, and conversions to radians, degrees and percent.

A servo counts 4096 ticks to a turn and has subtracted its homing offset already.

* Radians, which the rest of the system uses, follow the encoder: 2 pi / 4096 per tick. An arm joint is at
  zero in the middle of its range, as in the URDF. The gripper's range, whatever it is, becomes the URDF's.
* Degrees, -100..100 and percent are LeRobot's, to the bit, for its data sets. Its degrees divide a turn by
  4095 instead of 4096, and it cuts off fractions of a tick on the way back.

LeRobot's degrees ignore `drive_mode` and go to the URDF as they are. So do radians here: a LeRobot file moves
the same arm the same way. `drive_mode` says which way the gripper opens, and mirrors -100..100. An arm joint
that really turns against the URDF is `reversed`, for which LeRobot has no word.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilrl_hardware.registers import CENTRE_TICK, MAX_HOMING_OFFSET, TICK_RAD, TICKS_PER_TURN
from hilrl_ros.joints import JOINT_NAMES

SERVO_IDS = {name: number for number, name in enumerate(JOINT_NAMES, 1)}
"""As the arm is built; a calibration may differ."""
URDF_LOWER_RAD = dict(
    zip(JOINT_NAMES, (-1.91986, -1.74533, -1.69, -1.65806, -2.74385, -0.174533), strict=True)
)
URDF_UPPER_RAD = dict(zip(JOINT_NAMES, (1.91986, 1.74533, 1.69, 1.65806, 2.84121, 1.74533), strict=True))
GRIPPER = "gripper"
FULL_TURN_JOINT = "wrist_roll"
"""Has no stops to calibrate by: its range is the whole turn, its limits are the URDF's."""
LAST_TICK = TICKS_PER_TURN - 1
LAST_ID = 253
LEROBOT_TICKS_PER_TURN = TICKS_PER_TURN - 1

SEAM_SPAN = 3900
"""A joint with stops cannot have a longer range: its readings jumped from 4095 to 0 or back [tick]."""
SPAN_SHARE = (0.5, 1.35)
"""Plausible ranges, of the URDF's."""
LEADER_GRIPPER_SPAN = 300
"""Least travel of the leader's trigger, which turns less than the jaw [tick]."""

NOMINAL_WIDTH_MM = ((0.0, 3.0), (9.0, 16.0), (22.0, 36.0), (35.0, 56.0), (48.0, 70.0))
"""(percent open, mm between the fingertips) of an SO-101 as drawn. Wider, the jaw swings past the tip."""


@dataclass(frozen=True)
class JointCalibration:
    """One servo's range in ticks. Raises ValueError naming the field that a servo could not hold."""

    servo_id: int
    drive_mode: int
    """LeRobot's: 1 mirrors percent and -100..100. Of the gripper: ticks fall while it opens."""
    homing_offset: int
    """The servo subtracts it from what its encoder reads [tick]."""
    range_min: int
    range_max: int
    """Lowest and highest tick that the joint reaches."""
    reversed: bool = False
    """Of an arm joint: ticks grow towards its negative direction."""

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("id", self.servo_id, 0, LAST_ID),
            ("drive_mode", self.drive_mode, 0, 1),
            ("homing_offset", self.homing_offset, -MAX_HOMING_OFFSET, MAX_HOMING_OFFSET),
            ("range_min", self.range_min, 0, LAST_TICK - 1),
            ("range_max", self.range_max, self.range_min + 1, LAST_TICK),
        ):
            if not low <= value <= high:
                more = " (more than range_min)" if name == "range_max" else ""
                raise ValueError(f"{name}: expected within [{low}, {high}]{more}, got {value}")

    @property
    def span(self) -> int:
        """Length of the range [tick]."""
        return self.range_max - self.range_min

    @property
    def middle(self) -> float:
        """Of the range [tick]; may lie between two."""
        return (self.range_min + self.range_max) / 2

    # LeRobot's units: RANGE_M100_100 and DEGREES of arm joints, RANGE_0_100 of the gripper.

    def degrees(self, tick: float) -> float:
        """From the middle of the range, in LeRobot's degrees."""
        return (tick - self.middle) * 360 / LEROBOT_TICKS_PER_TURN

    def tick_of_degrees(self, degrees: float) -> int:
        """Cut off towards zero."""
        return int(degrees * LEROBOT_TICKS_PER_TURN / 360 + self.middle)

    def normalised(self, tick: float) -> float:
        """-100..100 over the range; beyond it, its end."""
        value = self._share(tick) * 200 - 100
        return -value if self.drive_mode else value

    def tick_of_normalised(self, value: float) -> int:
        """Cut off towards zero."""
        value = min(100.0, max(-100.0, -value if self.drive_mode else value))
        return int((value + 100) / 200 * self.span + self.range_min)

    def percent(self, tick: float) -> float:
        """0..100 over the range; beyond it, its end. Of the gripper: how far open."""
        value = self._share(tick) * 100
        return 100 - value if self.drive_mode else value

    def tick_of_percent(self, percent: float) -> int:
        """Cut off towards zero."""
        percent = min(100.0, max(0.0, 100 - percent if self.drive_mode else percent))
        return int(percent / 100 * self.span + self.range_min)

    def _share(self, tick: float) -> float:
        return (min(self.range_max, max(self.range_min, tick)) - self.range_min) / self.span


@dataclass(frozen=True)
class Calibration:
    """All joints of one arm. Raises ValueError naming what is wrong; `problems` tells what is merely odd."""

    joints: Mapping[str, JointCalibration]
    """One for each of JOINT_NAMES, in that order."""
    role: str = ""
    """follower or leader, where known."""
    port: str = ""
    """Where the arm was, for a person to recognise it by."""
    written: str = ""
    """When the calibration was made."""
    gripper_width_mm: tuple[tuple[float, float], ...] = NOMINAL_WIDTH_MM
    """(percent open, mm between the fingertips), both rising; linear in between."""

    def __post_init__(self) -> None:
        if set(self.joints) != set(JOINT_NAMES):
            raise ValueError(f"joints: expected {', '.join(JOINT_NAMES)}, got {', '.join(self.joints)}")
        object.__setattr__(self, "joints", {name: self.joints[name] for name in JOINT_NAMES})
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"id: expected a different one for each joint, got {list(self.ids)}")
        if self.joints[GRIPPER].reversed:
            raise ValueError("gripper: reversed: expected drive_mode 1 to say that ticks fall while it opens")
        if self.role not in ("", "follower", "leader"):
            raise ValueError(f"role: expected follower or leader, got {self.role!r}")
        points = np.array(self.gripper_width_mm, float)
        if (
            points.ndim != 2
            or points.shape[1:] != (2,)
            or len(points) < 2
            or not (np.diff(points, axis=0) > 0).all()
            or not (points[0, 0] >= 0 and points[-1, 0] <= 100 and points[0, 1] >= 0)
        ):
            raise ValueError(
                "gripper_width_mm: expected two or more pairs of percent (0..100) and mm, both rising, got "
                f"{[list(point) for point in self.gripper_width_mm]}"
            )

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Of the servos, in JOINT_NAMES order."""
        return tuple(joint.servo_id for joint in self.joints.values())

    @cached_property
    def radians_per_tick(self) -> NDArray[np.float64]:
        """Shape (6,), JOINT_NAMES order; negative where ticks grow towards the negative direction."""
        gripper = self.joints[GRIPPER]
        jaw = (URDF_UPPER_RAD[GRIPPER] - URDF_LOWER_RAD[GRIPPER]) / gripper.span
        arm = [-TICK_RAD if joint.reversed else TICK_RAD for joint in list(self.joints.values())[:-1]]
        return _fixed([*arm, -jaw if gripper.drive_mode else jaw])

    @cached_property
    def _zero_ticks(self) -> NDArray[np.float64]:
        gripper = self.joints[GRIPPER]
        closed = gripper.range_max if gripper.drive_mode else gripper.range_min
        jaw = closed - URDF_LOWER_RAD[GRIPPER] / self.radians_per_tick[-1]
        return _fixed([*(joint.middle for joint in list(self.joints.values())[:-1]), jaw])

    def to_radians(self, ticks: ArrayLike) -> NDArray[np.float64]:
        """Of ticks, shape (..., 6) in JOINT_NAMES order; also beyond the ranges."""
        return (np.asarray(ticks, float) - self._zero_ticks) * self.radians_per_tick

    def to_ticks(self, radians: ArrayLike) -> NDArray[np.int64]:
        """The nearest ticks, shape (..., 6); the inverse of `to_radians`. Does not clip.

        Raises ValueError for what is not finite.
        """
        radians = np.asarray(radians, float)
        if not np.isfinite(radians).all():
            raise ValueError(f"radians: expected finite numbers, got {radians.tolist()}")
        return np.rint(radians / self.radians_per_tick + self._zero_ticks).astype(np.int64)

    @cached_property
    def lower_rad(self) -> NDArray[np.float64]:
        """Shape (6,): the ranges' lower ends; of a joint that turns without stops not below the URDF's."""
        limits = self._range_rad.min(axis=0)
        roll = JOINT_NAMES.index(FULL_TURN_JOINT)
        limits[roll] = max(limits[roll], URDF_LOWER_RAD[FULL_TURN_JOINT])
        return _fixed(limits)

    @cached_property
    def upper_rad(self) -> NDArray[np.float64]:
        """Shape (6,), as `lower_rad`."""
        limits = self._range_rad.max(axis=0)
        roll = JOINT_NAMES.index(FULL_TURN_JOINT)
        limits[roll] = min(limits[roll], URDF_UPPER_RAD[FULL_TURN_JOINT])
        return _fixed(limits)

    @property
    def _range_rad(self) -> NDArray[np.float64]:
        joints = self.joints.values()
        return self.to_radians([[joint.range_min for joint in joints], [joint.range_max for joint in joints]])

    def gripper_width_m(self, radians: float) -> float:
        """Between the fingertips at an angle of the gripper [m]."""
        percent, width_mm = np.transpose(self.gripper_width_mm)
        return float(np.interp(radians, _gripper_rad(percent), width_mm)) / 1000

    def gripper_radians(self, width_m: float) -> float:
        """The gripper's angle at a width between the fingertips [rad]."""
        percent, width_mm = np.transpose(self.gripper_width_mm)
        return float(np.interp(width_m * 1000, width_mm, _gripper_rad(percent)))

    def problems(self) -> list[str]:
        """What makes this calibration unlikely to be this arm's; empty where all is plausible."""
        return [problem for name in JOINT_NAMES if (problem := self._problem(name))]

    def _problem(self, name: str) -> str | None:
        joint = self.joints[name]
        full_turn = name == FULL_TURN_JOINT
        least = least_span(name, self.role)
        most = LAST_TICK if full_turn else round(SPAN_SHARE[1] * expected_span(name))
        if joint.span > SEAM_SPAN and not full_turn:
            expected = f"at most {SEAM_SPAN} ticks (readings that jump from 4095 to 0 look longer)"
        elif not least <= joint.span <= most:
            expected = f"{least}..{most} ticks from stop to stop"
        elif not joint.range_min <= CENTRE_TICK <= joint.range_max:
            expected = f"the position at homing, {CENTRE_TICK}, inside"
        else:
            return None
        got = f"{joint.span} ticks ({joint.range_min}..{joint.range_max})"
        return (
            f"{name}: range: expected {expected}, got {got}; calibrate again with the joint in the middle of "
            "its travel at homing"
        )


def expected_span(name: str) -> int:
    """Of a joint's travel in the URDF [tick]."""
    return round((URDF_UPPER_RAD[name] - URDF_LOWER_RAD[name]) / TICK_RAD)


def least_span(name: str, role: str = "") -> int:
    """A shorter range was not swept from stop to stop [tick]."""
    if name == GRIPPER and role == "leader":
        return LEADER_GRIPPER_SPAN
    return round(SPAN_SHARE[0] * expected_span(name))


def _gripper_rad(percent: NDArray[np.float64]) -> NDArray[np.float64]:
    lower, upper = URDF_LOWER_RAD[GRIPPER], URDF_UPPER_RAD[GRIPPER]
    return lower + percent / 100 * (upper - lower)


def _fixed(values: ArrayLike) -> NDArray[np.float64]:
    array = np.array(values, float)
    array.flags.writeable = False
    return array
