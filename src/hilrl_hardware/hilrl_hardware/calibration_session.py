"""A calibration in the making, step by step. It says nothing; `calibrate` talks with the person."""

from collections.abc import Callable, Collection
from itertools import pairwise
from types import TracebackType

from hilrl_hardware import registers as r
from hilrl_hardware import servo_calibration
from hilrl_hardware.bus import BusError, NoReply, ServoBus
from hilrl_hardware.calibration import (
    FULL_TURN_JOINT,
    GRIPPER,
    LAST_TICK,
    NOMINAL_WIDTH_MM,
    SERVO_IDS,
    Calibration,
    JointCalibration,
    least_span,
)
from hilrl_hardware.registers import CENTRE_TICK, MAX_HOMING_OFFSET, TICKS_PER_TURN
from hilrl_ros.joints import ARM_JOINTS, JOINT_NAMES

REMEMBERED = (r.PHASE, *servo_calibration.KEPT)
HOMED_TICKS = 200
"""A joint that is held in place reads the centre within this after homing."""
DIRECTION_TICKS = 150
"""A joint has been moved on purpose once it went this far, 13 degrees."""
GRIPPER_SHARE = 0.8
"""Closed and open are at least this share of the gripper's range apart."""


class Sweep:
    """Where one joint is and has been since homing [tick]."""

    def __init__(self, tick: int) -> None:
        self.position = self.lowest = self.highest = tick
        self.travel = 0
        """Way gone since homing, the seam between 4095 and 0 taken into account."""
        self.crossed_seam = False

    @property
    def span(self) -> int:
        """Of the readings."""
        return self.highest - self.lowest

    def follow(self, tick: int) -> None:
        """The joint is at `tick` now. Must be told more often than every half turn."""
        step = tick - self.position
        if abs(step) > TICKS_PER_TURN // 2:
            self.crossed_seam = True
            step -= TICKS_PER_TURN if step > 0 else -TICKS_PER_TURN
        self.travel += step
        self.position = tick
        self.lowest, self.highest = min(self.lowest, tick), max(self.highest, tick)


class CalibrationSession:
    """Leads one arm from homing to a calibration.

    A context manager: entering it lets go of all joints, so the arm must be held. Leaving it without
    `commit` gives the servos their settings back. All methods raise BusError; entering raises ValueError
    for an arm that is not complete.
    """

    def __init__(self, bus: ServoBus, role: str) -> None:
        self.role = role
        self.sweeps: dict[str, Sweep] = {}
        """By joint, since homing."""
        self.silent: Collection[str] = ()
        """Joints that did not answer when observed last."""
        self.reversed: set[str] = set()
        """Arm joints found to turn against the URDF."""
        self._bus = bus
        self._ids = tuple(SERVO_IDS.values())
        self._offsets: dict[str, int] = {}
        self._gripper_ends: dict[bool, int] = {}
        self._widths: dict[float, float] = {}
        self._committed = False

    def __enter__(self) -> "CalibrationSession":
        self._expect_all_present()
        self._before = servo_calibration.read(self._bus, self._ids, REMEMBERED)
        servo_calibration.torque_off(self._bus, self._ids)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._offsets and not self._committed:
            servo_calibration.restore(self._bus, self._before, error)

    def home(self) -> None:
        """All joints are in the middle of their travel: from now on they read the centre there."""
        self.sweeps.clear()
        for name, servo_id in SERVO_IDS.items():
            self._offsets[name] = 0
            self._write(servo_id, 0)
            # The encoder may read 4095, one more than an offset can make up for.
            offset = min(self._bus.read(servo_id, r.PRESENT_POSITION) - CENTRE_TICK, MAX_HOMING_OFFSET)
            self._write(servo_id, offset)
            reads = self._bus.read(servo_id, r.PRESENT_POSITION)
            if abs(reads - CENTRE_TICK) > HOMED_TICKS:
                raise BusError(
                    f"{name} (servo {servo_id}): expected to read about {CENTRE_TICK} after homing, reads "
                    f"{reads}; hold the arm still meanwhile"
                )
            self._offsets[name] = offset
            self.sweeps[name] = Sweep(reads)

    def observe(self) -> None:
        """Follow the joints; often while they are moved."""
        feedback = self._bus.read_feedback(self._ids)
        for name, servo_id in SERVO_IDS.items():
            if servo_id in feedback:
                self.sweeps[name].follow(feedback[servo_id].position % TICKS_PER_TURN)
        self.silent = [name for name, servo_id in SERVO_IDS.items() if servo_id not in feedback]

    @property
    def crossed_seam(self) -> list[str]:
        """Joints whose readings jumped between 4095 and 0: they were not in the middle at homing."""
        return [name for name in self._swept if self.sweeps[name].crossed_seam]

    @property
    def too_short(self) -> list[str]:
        """Joints that were not moved from stop to stop."""
        return [name for name in self._swept if self.sweeps[name].span < least_span(name, self.role)]

    @property
    def _swept(self) -> list[str]:
        return [name for name in JOINT_NAMES if name != FULL_TURN_JOINT]

    def mark_gripper(self, is_open: bool) -> None:
        """The gripper is where it was observed last, fully closed or fully open."""
        self._gripper_ends[is_open] = self.sweeps[GRIPPER].position

    @property
    def gripper_problem(self) -> str | None:
        """Why the marked ends cannot be right, or None."""
        closed, opened = self._gripper_ends[False], self._gripper_ends[True]
        least = round(GRIPPER_SHARE * self.sweeps[GRIPPER].span)
        if abs(opened - closed) >= least:
            return None
        return (
            f"gripper: expected closed and open at least {least} ticks apart, got {closed} and {opened}; "
            "move it as far as it goes"
        )

    def add_width(self, width_mm: float) -> float:
        """The fingertips are so far apart; the percentage at which they are.

        Raises ValueError for a width that does not fit in between those that there are.
        """
        percent = round(self._joint(GRIPPER).percent(self.sweeps[GRIPPER].position), 1)
        points = sorted({**self._widths, percent: width_mm}.items())
        if width_mm < 0 or any(a[1] >= b[1] for a, b in pairwise(points)):
            known = ", ".join(f"{width:g} mm at {at:g} %" for at, width in sorted(self._widths.items()))
            raise ValueError(
                f"width: expected to grow as the gripper opens ({known}), got {width_mm:g} mm at "
                f"{percent:g} %"
            )
        self._widths[percent] = width_mm
        return percent

    def direction(self, joint: str, travel_before: int) -> int:
        """Whether ticks have grown (1) or fallen (-1) since `travel` was that; 0: too little to tell."""
        way = self.sweeps[joint].travel - travel_before
        return 0 if abs(way) < DIRECTION_TICKS else (1 if way > 0 else -1)

    def result(self, port: str = "", written: str = "") -> Calibration:
        """What has been found. With fewer than two widths the gripper's map is the nominal one."""
        widths = tuple(sorted(self._widths.items())) if len(self._widths) > 1 else NOMINAL_WIDTH_MM
        return Calibration(
            {name: self._joint(name) for name in JOINT_NAMES}, self.role, port, written, widths
        )

    def _joint(self, name: str) -> JointCalibration:
        sweep = self.sweeps[name]
        full_turn = name == FULL_TURN_JOINT
        falls = name == GRIPPER and self._gripper_ends[True] < self._gripper_ends[False]
        return JointCalibration(
            servo_id=SERVO_IDS[name],
            drive_mode=int(falls),
            homing_offset=self._offsets[name],
            range_min=0 if full_turn else sweep.lowest,
            range_max=LAST_TICK if full_turn else sweep.highest,
            reversed=name in ARM_JOINTS and name in self.reversed,
        )

    def commit(self, calibration: Calibration, save: Callable[[Calibration], None]) -> None:
        """Write it to the servos, then have it saved. From then on it holds.

        Raises ValueError for a calibration that cannot be right.
        """
        problems = [*calibration.problems(), *(f"{name}: crossed the seam" for name in self.crossed_seam)]
        if problems:
            raise ValueError("; ".join(problems))
        servo_calibration.write(self._bus, servo_calibration.settings_of(calibration))
        save(calibration)
        self._committed = True

    def _expect_all_present(self) -> None:
        missing = []
        for name, servo_id in SERVO_IDS.items():
            try:
                model = self._bus.ping(servo_id)
            except NoReply:
                missing.append(f"{name} ({servo_id})")
                continue
            if model != r.MODEL_STS3215:
                raise ValueError(
                    f"port {self._bus.port}: {name} ({servo_id}): expected an STS3215, model "
                    f"{r.MODEL_STS3215}, got model {model}"
                )
        if missing:
            raise ValueError(
                f"port {self._bus.port}: expected six servos, powered and chained, got no answer from "
                f"{', '.join(missing)}; new servos need `hilrl setup-servos` first"
            )

    def _write(self, servo_id: int, offset: int) -> None:
        single_turn = self._before[servo_id][r.PHASE] & ~r.PHASE_MULTI_TURN
        values = (single_turn, offset, 0, LAST_TICK)
        servo_calibration.write(self._bus, {servo_id: dict(zip(REMEMBERED, values, strict=True))})
