"""How one joint moves: a motor with a trapezoidal speed profile against gravity, between two stops.

Not a model of the STS3215's dynamics. It has what a driver has to cope with: limits of speed and
acceleration, droop under load, sagging where the torque is too small, falling where there is none, and joints
that block.
"""

import math
from dataclasses import dataclass

NO_LOAD_SPEED = 3550.0
"""At full supply [tick/s], 52 rpm."""
FALL_SPEED = 652.0
"""Of a joint whose motor is off [tick/s], 1 rad/s: the gears brake."""
DROOP_TICKS = 30.0
"""Position error at which the motor gives full torque, with P_Coefficient at `DROOP_GAIN`."""
DROOP_GAIN = 32.0
UNRAMPED_ACCELERATION = 60_000.0
"""Where Acceleration is 0 [tick/s^2]."""
ARRIVED_TICKS = 1e-6
"""Rounding, not motion."""
FRICTION = 0.05
"""Of the stall torque, while moving."""


@dataclass(frozen=True)
class Mechanics:
    """What a servo is built into. Ticks are the encoder's own, and may leave 0..4095."""

    lower_stop: float = -math.inf
    upper_stop: float = math.inf
    gravity: float = 0.0
    """Torque it takes to hold the joint, of the stall torque. Pulls towards the lower stop."""


@dataclass(frozen=True, slots=True)
class Drive:
    """What the servo's electronics want of the motor."""

    target: float
    """Of the encoder [tick]."""
    torque: float
    """Most that the motor may give, of the stall torque; 0 is off."""
    speed: float
    """Most that the goal allows [tick/s]."""
    acceleration: float
    """[tick/s^2]"""
    stiffness: float
    """P_Coefficient, of `DROOP_GAIN`."""
    damped: bool = False
    """The motor is shorted: a joint that falls, falls slowly."""


@dataclass(slots=True)
class Motion:
    """Where one joint is, and what its motor does."""

    mechanics: Mechanics
    encoder: float
    """[tick], before the homing offset."""
    held: bool = True
    """A hand keeps the joint from falling, until the motor takes over."""
    stuck: bool = False
    """Something blocks the joint."""
    speed: float = 0.0
    """[tick/s]"""
    duty: float = 0.0
    """Of the motor's supply, -1..1."""
    torque: float = 0.0
    """That the motor gives, of the stall torque, -1..1."""

    def step(self, drive: Drive, dt_s: float) -> bool:
        """Advance by `dt_s`; whether the joint moved."""
        before = self.encoder
        if drive.torque > 0:
            self.held = False
        speed = 0.0 if self.stuck else self._speed(drive, dt_s)
        stops = self.mechanics
        self.encoder = min(max(before + speed * dt_s, stops.lower_stop), stops.upper_stop)
        moved = self.encoder != before
        self.speed = speed if moved else 0.0
        self._load(drive, moved)
        return moved

    def _speed(self, drive: Drive, dt_s: float) -> float:
        gravity = self.mechanics.gravity
        if drive.torque <= 0:
            falls = gravity > 0 and not self.held
            return -FALL_SPEED * (0.2 if drive.damped else 1.0) if falls else 0.0
        error = drive.target - gravity * DROOP_TICKS / drive.stiffness - self.encoder
        if drive.torque < gravity and error > -ARRIVED_TICKS:
            return -FALL_SPEED * (1 - drive.torque / gravity)
        if abs(error) < ARRIVED_TICKS:
            return 0.0
        spare = drive.torque - math.copysign(gravity, error)
        fastest = min(drive.speed, NO_LOAD_SPEED * min(1.0, spare))
        wanted = math.copysign(min(fastest, math.sqrt(2 * drive.acceleration * abs(error))), error)
        change = drive.acceleration * dt_s
        speed = min(max(wanted, self.speed - change), self.speed + change)
        if speed * error > 0 and abs(speed) * dt_s >= abs(error):
            return error / dt_s  # arrives
        return speed

    def _load(self, drive: Drive, moved: bool) -> None:
        if drive.torque <= 0:
            self.duty = self.torque = 0.0
            return
        if moved and self.speed:
            self.torque = self.mechanics.gravity + math.copysign(FRICTION, self.speed)
            self.duty = self.torque + self.speed / NO_LOAD_SPEED
        else:
            self.torque = self.duty = (drive.target - self.encoder) * drive.stiffness / DROOP_TICKS
        self.torque = min(max(self.torque, -drive.torque), drive.torque)
        self.duty = min(max(self.duty, -drive.torque), drive.torque)
