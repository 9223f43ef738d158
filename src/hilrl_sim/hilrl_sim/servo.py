"""Six Feetech STS3215 in position mode: what they do to a goal, and what they report.

The joint itself is a MuJoCo position actuator with the gains below; this module holds what happens between
the bus and that actuator: dead time, 12-bit ticks, position limits and the profile speed.
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

JOINTS = 6
TICK_RAD = 2 * math.pi / 4096
"""One step of the 12-bit encoder [rad]. Zero of every joint lies on a tick."""
MAX_SPEED = 3400 * TICK_RAD
"""Most that the speed register takes: 3400 tick/s [rad/s]."""
STALL_TORQUE = 1.91
"""1:345 gear at 7.4 V [N m]; the same as the URDF's effort limit."""
LOAD_STEP = STALL_TORQUE / 1000
"""Present_Load counts in 0.1 % [N m]."""

TORQUE_LIMIT = STALL_TORQUE * np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.5])
"""Shape (6,), [N m]. LeRobot halves the gripper's (Max_Torque_Limit 500)."""
POSITION_GAIN = np.array([50.0, 50.0, 50.0, 50.0, 50.0, 15.0])
"""Shape (6,), [N m/rad]. Gives the droop measured on a real servo: 2 deg under 1.5 N m."""
VELOCITY_GAIN = 2.7
"""[N m s/rad]"""
JOINT_DAMPING = 0.6
"""[N m s/rad]"""
JOINT_FRICTION = 0.052
"""[N m]"""
JOINT_ARMATURE = 0.028
"""Inertia of the geared rotor [kg m^2]."""


def quantised(values: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """The nearest multiples of `step`; same shape as `values`."""
    return np.round(values / step) * step


class ServoBank:
    """Goals in, actuator setpoints out, one substep at a time.

    `lag_s` is dead time: a goal takes effect that much after it was commanded, unchanged in shape. The
    slow rise that a first-order lag would model is there already, in the joint's gains and damping
    (about 70 ms); what a real arm adds is bus, USB and servo cycle, during which nothing moves.
    """

    def __init__(
        self,
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
        timestep_s: float,
        lag_s: float = 0.0,
        quantise: bool = True,
    ) -> None:
        """`lower`, `upper`: position limits, shape (6,) [rad]."""
        self.lag_s = lag_s
        self.quantise = quantise
        self._lower, self._upper = lower, upper
        self._timestep_s = timestep_s
        self.reset(np.zeros(JOINTS))

    def reset(self, position: NDArray[np.float64]) -> None:
        """Hold `position`, shape (6,) [rad], and forget every goal."""
        self.setpoint: NDArray[np.float64] = position.astype(np.float64)
        self._goal = self.setpoint.copy()
        self._step = np.full(JOINTS, MAX_SPEED * self._timestep_s)
        self._substep = 0
        self._waiting: deque[tuple[int, NDArray[np.float64], NDArray[np.float64]]] = deque()

    def command(self, goal: NDArray[np.float64], speed: NDArray[np.float64] | None = None) -> None:
        """Go to `goal` [rad] no faster than `speed` [rad/s], both of shape (6,).

        A speed of 0, or none, is the servo's maximum. Goals beyond the joint limits stop at the limit.
        Raises ValueError naming the argument for a wrong shape, a number that is not finite or a negative
        speed.
        """
        goal = _checked("joint goal", goal)
        speed = np.zeros(JOINTS) if speed is None else _checked("joint speed", speed)
        if (speed < 0).any():
            raise ValueError(f"joint speed: expected rad/s >= 0, got {speed.tolist()}")
        if self.quantise:
            goal = quantised(goal, TICK_RAD)
            # A small speed must not become 0, which means maximum.
            speed = np.where(speed > 0, np.maximum(quantised(speed, TICK_RAD), TICK_RAD), 0.0)
        speed = np.where(speed > 0, np.minimum(speed, MAX_SPEED), MAX_SPEED)
        due = self._substep + round(self.lag_s / self._timestep_s)
        self._waiting.append((due, np.clip(goal, self._lower, self._upper), speed * self._timestep_s))

    def hold(self) -> None:
        """Stop where the setpoint is now; goals still on their way are dropped."""
        self._waiting.clear()
        self._goal = self.setpoint.copy()

    def advance(self) -> NDArray[np.float64]:
        """The setpoint for the next substep, shape (6,) [rad]: it ramps to the goal at the profile speed."""
        while self._waiting and self._waiting[0][0] <= self._substep:
            _, self._goal, self._step = self._waiting.popleft()
        self._substep += 1
        ahead = self._goal - self.setpoint
        self.setpoint = self.setpoint + np.minimum(np.maximum(ahead, -self._step), self._step)
        return self.setpoint

    def readout(
        self,
        position: NDArray[np.float64],
        velocity: NDArray[np.float64],
        torque: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Reported for the true state: position [rad], velocity [rad/s], effort [N m]; each (6,)."""
        if not self.quantise:
            return position.copy(), velocity.copy(), torque.copy()
        return (
            quantised(position, TICK_RAD),
            quantised(velocity, TICK_RAD),
            quantised(torque, LOAD_STEP),
        )


def _checked(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(values, np.float64)
    if values.shape != (JOINTS,):
        raise ValueError(f"{name}: expected {JOINTS} numbers, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: expected finite numbers, got {values.tolist()}")
    return values
