"""The way home: straight up first where the TCP is below home, then along joint space, the jaws last.

A straight line in joint space from a low pose dips up to 3 cm before it rises, which is into the table.
"""

from dataclasses import dataclass

import numpy as np

from hilrl_control.arm_motion import step_towards
from hilrl_control.ee_target import EeTarget, Flags
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.joint_motion import bounded_step
from hilrl_control.kinematics import Array, Kinematics
from hilrl_control.settings import Settings

AT_HEIGHT_M = 0.005
STANDSTILL_RAD = 1e-4
AT_HOME_RAD = 0.1


@dataclass
class Homing:
    """One move home. Asked once per period for the goals that follow those in force."""

    deadline_ns: int
    """Given up by then [ns]: something is in the way."""
    risen: bool = False

    def next_goals(
        self,
        goals: Array,
        measured: Array,
        travel_s: float,
        settings: Settings,
        kinematics: Kinematics,
        inverse: InverseKinematics,
    ) -> Array:
        """Goals, shape (6,) [rad], `travel_s` of motion after `goals`; `measured` is where the arm is."""
        home = np.array(settings.home_joints)
        travel = settings.home_speed * travel_s
        following = goals.copy()
        if not self.risen:
            following[:5] = self._rise(goals[:5], home, travel, settings, kinematics, inverse)
        if self.risen:
            turn = home[:5] - goals[:5]
            largest = float(np.abs(turn).max())
            if largest > travel:
                following[:5] = goals[:5] + turn * (travel / largest)
            else:
                following[:5] = home[:5]
            if largest == 0.0:
                following[5] = bounded_step(
                    float(goals[5]), float(home[5]), settings.gripper_speed * travel_s
                )
        # A blocked arm is waited for; it must not leap once it is free.
        blocked = float(np.abs(following[:5] - measured[:5]).max()) > settings.leash_rad
        return goals if blocked else following

    def _rise(
        self,
        arm: Array,
        home: Array,
        travel: float,
        settings: Settings,
        kinematics: Kinematics,
        inverse: InverseKinematics,
    ) -> Array:
        pose, height = kinematics.forward(arm), float(kinematics.forward(home).position[2])
        if pose.position[2] < height - AT_HEIGHT_M:
            above = EeTarget(np.array([*pose.position[:2], height]), pose.pitch, pose.roll)
            step = step_towards(above, arm, travel, settings.workspace, kinematics, inverse, Flags())
            if float(np.abs(step.q - arm).max()) > STANDSTILL_RAD:
                return step.q
        self.risen = True
        return arm

    @staticmethod
    def arrived(goals: Array, measured: Array, settings: Settings) -> bool:
        """Whether the goals are home, and the arm follows them."""
        home = np.array(settings.home_joints)
        return bool((goals == home).all()) and float(np.abs(measured - home)[:5].max()) < AT_HOME_RAD
