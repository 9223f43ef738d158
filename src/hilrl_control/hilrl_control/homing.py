"""Following the way home: one waypoint after the other at bounded speed, the jaw last."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hilrl_control.home_path import HomePath
from hilrl_control.joint_motion import bounded_step
from hilrl_control.kinematics import Array
from hilrl_control.settings import Settings

AT_HOME_RAD = 0.1
"""How far behind a measured joint may be at a turn of the way, and at home."""
STRAIGHT_ON = 0.99
"""Cosine of the angle between two pieces of the way that are gone through without a stop."""
SPARE_S = 3.0


@dataclass
class Homing:
    """One move home. Asked once per period for the goals that follow those in force."""

    home: Array
    """Shape (6,) [rad]; what it was when the arm set out."""
    waypoints: list[Array]
    """Still to be reached, each shape (5,) [rad]; the last is home."""
    corners: list[bool]
    """Which of them the way turns at. Around a corner goals and arm would leave the way: both stop there."""
    deadline_ns: int
    """Given up by then [ns]: something is in the way."""

    @staticmethod
    def along(path: HomePath, start: Array, now_ns: int, settings: Settings) -> "Homing":
        """Set out from `start`, shape (6,) [rad]; twice the time that this takes is given, and some."""
        home = np.array(settings.home_joints)
        turns = np.diff([start[:5], *path.waypoints], axis=0)
        corners = [*(_is_corner(a, b) for a, b in pairwise(turns)), True]
        arm_s = float(np.abs(turns).max(axis=1).sum()) / settings.home_speed
        jaw_s = abs(float(start[5] - home[5])) / settings.gripper_speed
        deadline_ns = now_ns + int((2.0 * (arm_s + jaw_s) + SPARE_S) * 1e9)
        return Homing(home, list(path.waypoints), corners, deadline_ns)

    def next_goals(self, goals: Array, measured: Array, travel_s: float, settings: Settings) -> Array:
        """Goals, shape (6,) [rad], `travel_s` of motion after `goals`; `measured` is where the arm is."""
        following, passed = goals.copy(), 0
        if (goals[:5] == self.home[:5]).all():
            travel = settings.gripper_speed * travel_s
            following[5] = bounded_step(float(goals[5]), float(self.home[5]), travel)
        else:
            travel = settings.home_speed * travel_s
            following[:5], passed = self._along_the_way(goals[:5], measured[:5], travel)
        # A blocked arm is waited for; it must not leap once it is free.
        if float(np.abs(following[:5] - measured[:5]).max()) > settings.leash_rad:
            return goals
        del self.waypoints[:passed], self.corners[:passed]
        return following

    def _along_the_way(self, arm: Array, measured: Array, travel: float) -> tuple[Array, int]:
        """Where the way leads within `travel` [rad] of the joint that turns most, and waypoints passed."""
        for passed, (waypoint, is_corner) in enumerate(zip(self.waypoints, self.corners, strict=True)):
            turn = waypoint - arm
            largest = float(np.abs(turn).max())
            if largest > travel:
                return arm + turn * (travel / largest), passed
            arm, travel = waypoint, travel - largest
            if is_corner and (largest > 0.0 or float(np.abs(arm - measured).max()) > AT_HOME_RAD):
                return arm, passed
        return arm, passed

    def arrived(self, goals: Array, measured: Array) -> bool:
        """Whether the goals are home, and arm and jaw follow them."""
        return bool((goals == self.home).all()) and float(np.abs(measured - self.home).max()) < AT_HOME_RAD


def _is_corner(turn: Array, onwards: Array) -> bool:
    return float(turn @ onwards) < STRAIGHT_ON * float(np.linalg.norm(turn) * np.linalg.norm(onwards))
