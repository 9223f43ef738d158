"""The way home: waypoints in joint space that keep clear of the arm itself and of the table.

What stands on the table, and what the jaws hold, is in no model. So a way that first rises is preferred to
one that dips: along the straight line in joint space a low TCP may sink by 3 cm before it rises.
"""

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hilrl_control.arm_motion import step_towards
from hilrl_control.collision import CollisionModel
from hilrl_control.ee_target import EeTarget, Flags
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.joint_tree import SearchEnded, connect, shortened
from hilrl_control.kinematics import Array, Kinematics
from hilrl_control.settings import Settings

AT_HEIGHT_M = 0.005
STANDSTILL_RAD = 1e-4
RISE_STEP_RAD, RISE_STEPS = 0.05, 100
SAME_JAW_RAD = 0.02
"""Moves the tip of the jaw by less than 2 mm."""
ESCAPE_STEP_RAD, ESCAPE_STEPS = 0.05, 12
ESCAPES = 24
"""Directions tried at random where the arm starts too near to something."""
EVALUATIONS = 1500
"""Poses looked at before it is given up, about 0.2 s."""
PLANNING_S = 1.5
"""Longest that whoever asked is kept waiting [s]; an actor asks again after 2 s."""


@dataclass(frozen=True)
class HomePath:
    """Poses of the arm to go through in straight joint lines, the last of them home."""

    waypoints: list[Array]
    """Each shape (5,) [rad]."""
    kind: str
    """How it was found: straight, rise, search, or by MoveIt."""


@dataclass(frozen=True)
class HomeQuestion:
    """Where a way home begins, and what bounds it."""

    start: Array
    """Goals, shape (6,) [rad]."""
    measured: Array
    """Where the arm was, shape (6,) [rad]. Whatever the jaws hold may slip: the way must be free with the jaw
    at its goal and where it was measured."""
    settings: Settings


class Planner(Protocol):
    """Finds ways home. One instance belongs to one thread."""

    def plan(self, question: HomeQuestion) -> HomePath | str:
        """The way, or why there is none."""

    def close(self) -> None:
        """Give up what is being planned, and end what was started."""


class HomePlanner:
    """Finds the way home. Repeatable: the same start gives the same way, or none in time."""

    def __init__(self, kinematics: Kinematics, inverse: InverseKinematics, collision: CollisionModel) -> None:
        self._kinematics, self._inverse, self._collision = kinematics, inverse, collision
        self.limit_s = PLANNING_S
        """Of wall time for one plan."""

    def plan(self, question: HomeQuestion) -> HomePath | str:
        """See `Planner.plan`."""
        start, settings, way = question.start, question.settings, self._way(question)
        home = np.array(settings.home_joints)
        if reason := self._home_problem(home, way):
            return reason
        arm, end = start[:5], home[:5]
        straight, rise = ("straight", [end]), ("rise", [*self._rise(arm, end, settings), end])
        try:
            for kind, waypoints in (rise, straight) if self._dips(arm, end) else (straight, rise):
                if way.is_free([arm, *waypoints]):
                    return HomePath(waypoints, kind)
            if (found := self._search(arm, end, rise[1], way)) is not None:
                return HomePath(found, "search")
        except SearchEnded:
            return f"found no free way home in time, {self._collision.nearest(start)}"
        return f"found no free way home, {self._collision.nearest(start)}; move the arm away from there"

    def checked(self, question: HomeQuestion, waypoints: list[Array], kind: str) -> HomePath | str:
        """The way that another planner proposes, each waypoint of shape (5,) [rad], or why it is none."""
        home, way = np.array(question.settings.home_joints), self._way(question)
        if reason := self._home_problem(home, way):
            return reason
        path = HomePath([*waypoints, home[:5]], kind)
        try:
            if way.is_free([question.start[:5], *path.waypoints]):
                return path
        except SearchEnded:
            return "a way home was proposed, but not looked at in time"
        return f"a way home was proposed that does not keep {1000 * way.clearance_m:.1f} mm of clearance"

    def close(self) -> None:
        """Nothing was started; a plan ends by itself."""

    def _way(self, question: HomeQuestion) -> "_Way":
        settings, jaws = question.settings, [float(question.start[5])]
        self._collision.table_z_m = settings.table_z_m
        measured_jaw = float(question.measured[5])
        if abs(measured_jaw - jaws[0]) > SAME_JAW_RAD:
            jaws.append(measured_jaw)
        most, until_s = self._collision.evaluations + EVALUATIONS, time.monotonic() + self.limit_s
        return _Way(self._collision, settings.clearance_m, jaws, most, until_s)

    def _home_problem(self, home: Array, way: "_Way") -> str:
        """Why the arm cannot be at home with its jaw on its way to where it belongs there, or ''."""
        for jaw in way.jaws:
            before = np.append(home[:5], jaw)
            hit = self._collision.first_collision(before, home, way.clearance_m)
            if hit is not None:
                return (
                    f"home_joints: expected {1000 * way.clearance_m:.1f} mm of clearance, there "
                    f"{self._collision.nearest(hit)}"
                )
        return ""

    def _dips(self, arm: Array, home: Array) -> bool:
        """Whether the TCP sinks on the straight way."""
        heights = [
            self._kinematics.forward(arm + (home - arm) * share).position[2]
            for share in np.linspace(0.0, 1.0, 21)
        ]
        return min(heights) < min(heights[0], heights[-1]) - AT_HEIGHT_M

    def _rise(self, arm: Array, home: Array, settings: Settings) -> list[Array]:
        """Straight up to the height of home, as far as that goes."""
        pose, height = self._kinematics.forward(arm), float(self._kinematics.forward(home).position[2])
        above = EeTarget(np.array([*pose.position[:2], height]), pose.pitch, pose.roll)
        waypoints: list[Array] = []
        for _ in range(RISE_STEPS):
            if self._kinematics.forward(arm).position[2] >= height - AT_HEIGHT_M:
                break
            step = step_towards(
                above, arm, RISE_STEP_RAD, settings.workspace, self._kinematics, self._inverse, Flags()
            )
            if float(np.abs(step.q - arm).max()) < STANDSTILL_RAD:
                break
            arm = step.q
            waypoints.append(arm)
        return waypoints

    def _search(self, arm: Array, home: Array, rise: list[Array], way: "_Way") -> list[Array] | None:
        """Out of what the arm is too near to, then a search in joint space, then short cuts."""
        generator = np.random.default_rng(0)
        lower, upper = self._kinematics.lower[:5], self._kinematics.upper[:5]
        out = self._escape(arm, rise, way, generator)
        if out is None:
            return None

        def is_free(a: Array, b: Array) -> bool:
            return way.is_clear([a, b])

        found = connect(out[-1], home, lower, upper, is_free, generator)
        return [*out[1:], *shortened(found, is_free, generator)[1:]]

    def _escape(
        self, arm: Array, rise: list[Array], way: "_Way", generator: np.random.Generator
    ) -> list[Array] | None:
        """Waypoints from `arm`, itself the first, to a pose that is clear; nothing comes nearer meanwhile."""
        if way.is_clear([arm]):
            return [arm]
        lower, upper = self._kinematics.lower[:5], self._kinematics.upper[:5]
        single = [sign * axis for axis in np.eye(5) for sign in (1.0, -1.0)]
        directions = [*single, *generator.uniform(-1.0, 1.0, (ESCAPES, 5))]
        for candidate in (
            rise,
            *(
                [
                    np.clip(arm + direction * ESCAPE_STEP_RAD * n, lower, upper)
                    for n in range(1, ESCAPE_STEPS + 1)
                ]
                for direction in directions
            ),
        ):
            allowed, taken = way.allowed_from(arm), [arm]
            for pose in candidate:
                if not way.is_free([taken[-1], pose], allowed):
                    break
                taken.append(pose)
                if way.is_clear([pose]):
                    return taken
        return None


@dataclass(frozen=True)
class _Way:
    """Whether the arm can go through poses with its jaw at any of `jaws` [rad]."""

    collision: CollisionModel
    clearance_m: float
    jaws: list[float]
    most_evaluations: int
    """Of the collision model; then SearchEnded is raised."""
    until_s: float
    """And from this moment of the monotonic clock on."""

    def allowed_from(self, arm: Array) -> list[Array]:
        """What every pair must keep, one entry per jaw angle."""
        return [self.collision.allowed_from(np.append(arm, jaw), self.clearance_m) for jaw in self.jaws]

    def is_free(self, poses: list[Array], allowed: list[Array] | None = None) -> bool:
        """Pairs that are too near at the first of `poses` may be, and must not come nearer."""
        allowed = self.allowed_from(poses[0]) if allowed is None else allowed
        return self._passes(poses, allowed)

    def is_clear(self, poses: list[Array]) -> bool:
        """The clearance is kept everywhere."""
        return self._passes(poses, [None] * len(self.jaws))

    def _passes(self, poses: list[Array], allowed: list[Array | None]) -> bool:
        if self.collision.evaluations > self.most_evaluations or time.monotonic() > self.until_s:
            raise SearchEnded
        pairs = zip(poses, poses[1:] or poses, strict=False)
        return all(
            self.collision.first_collision(np.append(a, jaw), np.append(b, jaw), self.clearance_m, least)
            is None
            for a, b in pairs
            for jaw, least in zip(self.jaws, allowed, strict=True)
        )
