"""Goals and torque, written to six servos at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hilrl_hardware import registers as r
from hilrl_hardware.bus import BusError, NoReply, ServoBus
from hilrl_hardware.calibration import Calibration

SPEED_MARGIN = 1.25
"""The servo's own speed limit over the driver's: it bounds a step of the goal, and must not slow its path."""
ACCELERATION = 254
"""As fast as it goes; the goals themselves do not jump."""
SETTINGS_SIZE = 10
"""Bytes from Torque_Enable to Torque_Limit."""


class ArmWriter:
    """Acts on the servos of one arm. Every method raises PortGone when the board is unplugged."""

    def __init__(self, bus: ServoBus, calibration: Calibration, speed_units: Sequence[int]) -> None:
        """`speed_units`: tick/s of one count of Goal_Velocity, per servo."""
        self._bus = bus
        self._calibration = calibration
        self._ids = calibration.ids
        self._lower, self._upper = calibration.lower_rad, calibration.upper_rad
        self._speed_units = speed_units
        self._torque_limits = [0] * len(self._ids)
        self._next_check = 0

    def write_goals(self, position: NDArray[np.float64], max_speed: NDArray[np.float64]) -> None:
        """Goals [rad] and how fast the servos may at most go there [rad/s], each shape (6,)."""
        ticks = self._ticks(position)
        speeds = (max_speed * (SPEED_MARGIN / r.TICK_RAD)).tolist()
        data = {}
        for servo_id, tick, speed, unit in zip(self._ids, ticks, speeds, self._speed_units, strict=True):
            # A speed of 0 means as fast as it can.
            counts = max(1, min(int(speed), r.MAX_SPEED_TICKS) // unit)
            data[servo_id] = [
                *r.GOAL_POSITION.encode(tick),
                *r.GOAL_TIME.encode(0),
                *r.GOAL_VELOCITY.encode(counts),
            ]
        self._bus.sync_write_block(r.GOAL_POSITION.address, data)

    def prepare(self, torque_limits: Sequence[float]) -> None:
        """What takes time before torque can come on: settings that every servo confirms.

        `torque_limits`: of the stall torque, per joint. Raises BusError.
        """
        self._torque_limits = [round(limit / r.TORQUE_UNIT) for limit in torque_limits]
        for servo_id, limit in zip(self._ids, self._torque_limits, strict=True):
            self._bus.write(servo_id, r.ACCELERATION, ACCELERATION)
            self._bus.write(servo_id, r.TORQUE_LIMIT, limit)

    def switch_on(self, position: NDArray[np.float64], max_speed: NDArray[np.float64]) -> None:
        """Torque on at the goal `position`, once every servo has been seen to have that goal.

        Nothing is waited for or repeated in between, as an arm that falls would be thrown back to where it
        was. Raises NoReply where one is silent before torque comes on, another BusError where it does not do
        as it is told.
        """
        self.write_goals(position, max_speed)
        for servo_id, tick in zip(self._ids, self._ticks(position), strict=True):
            data = self._bus.read_block(servo_id, r.GOAL_POSITION.address, r.GOAL_POSITION.size, attempts=1)
            if (goal := r.GOAL_POSITION.decode(data)) != tick:
                raise BusError(f"servo {servo_id}: expected the goal {tick}, where the joint is, got {goal}")
        self._bus.sync_write(r.TORQUE_ENABLE, dict.fromkeys(self._ids, 1))
        try:
            came_on = self.torque_is_on()
        except NoReply as error:
            raise BusError(f"torque may have come on, or not: {error}") from error
        for servo_id, on in zip(self._ids, came_on, strict=True):
            if not on:
                raise BusError(f"servo {servo_id}: expected its torque to come on, it did not")

    def take_over(
        self,
        position: NDArray[np.float64],
        max_speed: NDArray[np.float64],
        torque_limits: Sequence[float],
    ) -> None:
        """As `prepare` and `switch_on`, for servos that hold already: they go on, at the goal `position`."""
        self.write_goals(position, max_speed)
        self._torque_limits = [round(limit / r.TORQUE_UNIT) for limit in torque_limits]
        self.limit_torque(1.0)

    def switch_off(self) -> None:
        """Torque off, now. Broadcast, as this must not wait for receipts; twice, as there are none."""
        for _ in range(2):
            self._bus.sync_write(r.TORQUE_ENABLE, dict.fromkeys(self._ids, 0))

    def limit_torque(self, share: float) -> None:
        """Leave only a share of the torque that each joint was switched on with."""
        self._bus.sync_write(
            r.TORQUE_LIMIT,
            {
                servo_id: int(limit * share)
                for servo_id, limit in zip(self._ids, self._torque_limits, strict=True)
            },
        )

    def _ticks(self, position: NDArray[np.float64]) -> list[int]:
        """Rounded so that what is within the limits stays within them."""
        ticks = self._calibration.to_ticks(position)
        back = self._calibration.to_radians(ticks)
        tick = np.sign(self._calibration.radians_per_tick).astype(int)
        ticks = np.where((position >= self._lower) & (back < self._lower), ticks + tick, ticks)
        ticks = np.where((position <= self._upper) & (back > self._upper), ticks - tick, ticks)
        return [int(tick) for tick in ticks]

    def goals(self) -> NDArray[np.float64]:
        """Where the servos are told to be, shape (6,) [rad]. Raises NoReply."""
        return self._calibration.to_radians([self._bus.read(i, r.GOAL_POSITION) for i in self._ids])

    def torque_is_on(self) -> list[bool]:
        """Per joint, as the servos say. Raises NoReply."""
        return [self._bus.read(servo_id, r.TORQUE_ENABLE) != 0 for servo_id in self._ids]

    def look_at_next(self) -> tuple[int, bool, bool]:
        """(joint, whether its torque is on, whether its torque limit is as written), in turn.

        Raises NoReply; the next call looks at the next joint all the same.
        """
        joint = self._next_check
        self._next_check = (joint + 1) % len(self._ids)
        data = self._bus.read_block(self._ids[joint], r.TORQUE_ENABLE.address, SETTINGS_SIZE, attempts=1)
        limit = r.TORQUE_LIMIT.decode(data[r.TORQUE_LIMIT.address - r.TORQUE_ENABLE.address :])
        return joint, data[0] != 0, limit == self._torque_limits[joint]
