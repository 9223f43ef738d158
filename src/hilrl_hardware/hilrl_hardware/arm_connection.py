"""Taking up a conversation with an arm: are these its servos, do they agree with its file, where is it?"""

import time
from dataclasses import dataclass

import numpy as np

from hilrl_hardware import servo_calibration, servo_setup
from hilrl_hardware.arm_reader import ArmReader, Array, Reading
from hilrl_hardware.arm_writer import ArmWriter
from hilrl_hardware.bus import BusError, NoReply, ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.servo_setup import Gains

FIRST_POSE_S = 1.0
DROOP_RAD = 0.1
"""More than a loaded joint sags below its goal."""


@dataclass(frozen=True)
class Connection:
    """An arm that was found to be the right one."""

    writer: ArmWriter
    reading: Reading
    holding: list[bool]
    """Which joints have torque, in `JOINT_NAMES` order."""
    goals: Array
    """Where the servos are told to be, shape (6,) [rad]."""

    @property
    def pose_to_hold(self) -> Array:
        """Where an arm that holds itself stays, shape (6,) [rad].

        At its goals, or it would sag by its droop each time; where it is, if a goal is further than that.
        """
        pose = self.reading.position
        return np.where(np.abs(self.goals - pose) < DROOP_RAD, self.goals, pose)


def connect(
    bus: ServoBus, calibration: Calibration, role: str, gains: Gains, reader: ArmReader
) -> Connection:
    """Open the port, expect the right servos with the right calibration in them, and measure the pose.

    Raises BusError where the board or a servo is missing, ValueError for servos that do not fit; the port is
    closed again then. Nothing moves.
    """
    bus.open()
    try:
        servo_setup.expect_all_present(bus, calibration.ids)
        if differences := servo_calibration.verify(bus, calibration):
            raise ValueError(
                f"port {bus.port}: the servos hold another calibration than the file "
                f"({'; '.join(map(str, differences))}); see `hilrl calibrate --help`"
            )
        servo_setup.configure(bus, calibration.ids, role, gains)
        writer = ArmWriter(bus, calibration, servo_setup.speed_units(bus, calibration.ids))
        holding, goals = writer.torque_is_on(), writer.goals()
        # The pose last: what holds is about to be told to hold there.
        return Connection(writer, _first_reading(bus, reader), holding, goals)
    except (BusError, ValueError):
        bus.close()
        raise


def _first_reading(bus: ServoBus, reader: ArmReader) -> Reading:
    reader.forget()
    until_s = time.monotonic() + FIRST_POSE_S
    while (reading := reader.read()) is None:
        if time.monotonic() > until_s:
            raise NoReply(f"port {bus.port}: no pose within {FIRST_POSE_S} s; servos answer now and then")
    return reading
