"""What bounds an arm: one value per tunable."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilrl_hardware.calibration import Calibration
from hilrl_hardware.gears import GEARS
from hilrl_hardware.health_limits import HealthLimits
from hilrl_hardware.joint_goals import GoalLimits
from hilrl_hardware.registers import MAX_SPEED_TICKS, TICK_RAD
from hilrl_hardware.servo_setup import GRIPPER, Gains

ROLES = tuple(GEARS)
FOLLOWER, LEADER = ROLES
LETTING_GO = ("ease_down", "hold", "limp")
"""What to do with the torque: let the arm down gently, leave it on, or switch it off."""
EASE_DOWN, HOLD, LIMP = LETTING_GO


@dataclass(frozen=True)
class ArmSettings:
    """Replaced as a whole, so that a cycle sees one consistent set."""

    max_joint_speed: float = 3.0
    """Of the five arm joints [rad/s]."""
    gripper_speed: float = 4.0
    """Of the jaw [rad/s]."""
    ramp_speed: float = 0.5
    """Of every joint from the measured pose to the first command [rad/s]."""
    leash_rad: float = 0.4
    """How far a goal may be ahead of its joint: more only stores up force against what blocks it [rad]."""
    far_rad: float = 0.8
    """A command further than this from the one before is approached like a first one [rad]."""
    command_timeout_s: float = 0.5
    """Without a command for this long the follower holds and the leader lets go [s]."""
    torque_limit: float = 1.0
    """Of the arm joints' stall torque."""
    gripper_torque_limit: float = 0.5
    ease_down_s: float = 2.0
    """In which the torque goes down to nothing when the arm is let down [s]."""
    on_emergency_stop: str = EASE_DOWN
    on_shutdown: str = EASE_DOWN
    gains: Gains = field(default_factory=Gains)
    health: HealthLimits = field(default_factory=HealthLimits)

    @property
    def torque_limits(self) -> list[float]:
        """Per joint, of its stall torque."""
        limits = [self.torque_limit] * 6
        limits[GRIPPER] = self.gripper_torque_limit
        return limits

    @property
    def max_speed(self) -> NDArray[np.float64]:
        """Per joint, shape (6,) [rad/s]."""
        speeds = np.full(6, self.max_joint_speed)
        speeds[GRIPPER] = self.gripper_speed
        return np.minimum(speeds, MAX_SPEED_TICKS * TICK_RAD)

    def goal_limits(self, calibration: Calibration) -> GoalLimits:
        """What bounds the goals of an arm with this calibration."""
        return GoalLimits(
            calibration.lower_rad,
            calibration.upper_rad,
            self.max_speed,
            ramp_speed=self.ramp_speed,
            leash_rad=self.leash_rad,
            command_timeout_s=self.command_timeout_s,
            far_rad=self.far_rad,
        )
