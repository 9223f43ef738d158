"""From the servos' replies to the pose of the arm: whole, fresh and plausible, or none."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilrl_hardware.bus import ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.feedback import Feedback
from hilrl_hardware.gears import Gear
from hilrl_hardware.plausibility import PositionFilter

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Reading:
    """All six joints in one cycle, in `JOINT_NAMES` order, each of shape (6,)."""

    position: Array
    """[rad]"""
    velocity: Array
    """[rad/s]"""
    effort: Array
    """[N m], from the motors' duty: it grows with the torque and is not one."""
    measured_s: float
    """Monotonic time of the last reply."""


class ArmReader:
    """Reads six servos. What one of them said is kept for diagnostics, never for a pose."""

    def __init__(self, bus: ServoBus, calibration: Calibration, gears: Sequence[Gear]) -> None:
        self._bus = bus
        self._calibration = calibration
        self.ids = calibration.ids
        """Of the servos, in `JOINT_NAMES` order."""
        self._radians_per_tick = calibration.radians_per_tick
        self._torque_per_load = np.sign(self._radians_per_tick) * [gear.stall_torque_nm for gear in gears]
        self._filter = PositionFilter()
        self.feedback: list[Feedback | None] = [None] * len(self.ids)
        """What each servo said last, however long ago."""
        self.heard_s = [-np.inf] * len(self.ids)
        """Monotonic time of that."""

    @property
    def refused(self) -> int:
        """Poses that were not believed."""
        return self._filter.refused

    def expect_speed(self, max_speed: float) -> None:
        """How fast a joint may at most turn from now on [rad/s]: a hand is faster than a servo."""
        self._filter.max_speed = max_speed

    def forget(self) -> None:
        """The arm may be anywhere when it is read again."""
        self._filter = PositionFilter()

    def read(self) -> Reading | None:
        """A pose, if every servo answered; one that did not is asked twice. Raises PortGone."""
        replies = self._bus.read_feedback(self.ids)
        missing = [servo_id for servo_id in self.ids if servo_id not in replies]
        # Silence of all six is a bus that stalls: asking again at once would not help.
        if missing and replies:
            replies.update(self._bus.read_feedback(missing))
        now_s = time.monotonic()
        for index, servo_id in enumerate(self.ids):
            if servo_id in replies:
                self.feedback[index], self.heard_s[index] = replies[servo_id], now_s
        if len(replies) < len(self.ids):
            return None
        feedback = [replies[servo_id] for servo_id in self.ids]
        ticks = [one.position for one in feedback]
        speeds = [one.velocity for one in feedback]
        if not self._filter.accept(ticks, now_s, speeds):
            return None
        return Reading(
            position=self._calibration.to_radians(np.array(ticks)),
            velocity=self._radians_per_tick * speeds,
            effort=self._torque_per_load * [one.load for one in feedback],
            measured_s=now_s,
        )
