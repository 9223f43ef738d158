"""From commands to goals on the bus: whatever is commanded, the goals move within bounds, or stay.

From one call of `JointGoals.step` to the next a goal moves by no more than `max_step_rad`, no faster than
its joint's speed limit, towards the joint's limits but never beyond them, and to no more than `leash_rad`
ahead of where the joint is, so that a blocked arm does not wind up. Nothing here pulls a goal after its
joint: an arm that droops under its weight would follow its own droop to the table.

Times are monotonic seconds, and are only told, never asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilrl_ros.joints import JOINT_NAMES

MAX_DT_S = 0.05
"""A longer cycle moves the goals no further than one of this length."""
CAUGHT_UP_RAD = 0.02
"""A goal this near to its target has caught up with it."""
WORTH_SAYING = 0.002
"""A command beyond a limit by no more, rad or rad/s, is clamped without a word: rounding does that."""
FIELD = "joint_commands"
_JOINTS = len(JOINT_NAMES)
_NO_RELIEF = (None,) * _JOINTS
_UNBOUNDED = (math.inf,) * _JOINTS


@dataclass(frozen=True)
class GoalLimits:
    """The bounds of `JointGoals`; six numbers per joint field, in `JOINT_NAMES` order, kept as tuples.

    Raises ValueError naming the field where they make no sense.
    """

    lower_rad: Sequence[float]
    upper_rad: Sequence[float]
    max_speed: Sequence[float]
    """[rad/s]"""
    ramp_speed: float = 0.5
    """Of a slow approach [rad/s]."""
    max_step_rad: float = 0.1
    """Of a goal in one cycle [rad], whatever the speeds say."""
    leash_rad: float = 0.4
    """How far a goal may move ahead of its joint [rad]. More than the arm's droop plus its lag at full speed,
    or a healthy arm stops: a loaded joint droops by 0.05 rad, and lags by some 0.07 s."""
    command_timeout_s: float = 0.5
    """Without a command for this long the goals stay [s]."""
    far_rad: float = 0.5
    """A command that is further than this from the one before is approached slowly [rad]; inf: none is."""

    def __post_init__(self) -> None:
        for name in ("lower_rad", "upper_rad", "max_speed"):
            object.__setattr__(self, name, tuple(_six_numbers(name, getattr(self, name))))
        for joint, low, high, speed in zip(
            JOINT_NAMES, self.lower_rad, self.upper_rad, self.max_speed, strict=True
        ):
            if not low <= high:
                raise ValueError(f"lower_rad: expected at most upper_rad = {high} for {joint}, got {low}")
            if not speed > 0.0:
                raise ValueError(f"max_speed: expected rad/s > 0, got {speed} for {joint}")
        for name in ("ramp_speed", "max_step_rad", "leash_rad", "command_timeout_s", "far_rad"):
            value = getattr(self, name)
            if not value > 0.0 or (math.isinf(value) and name != "far_rad"):
                raise ValueError(f"{name}: expected a finite number > 0, got {value}")


class JointGoals:
    """The goals of one arm; every array in `JOINT_NAMES` order and of shape (6,).

    Some commands are approached slowly: the first after `start`, the first after a hold for anything but
    silence, and one that is further than `far_rad` from the one before. Then no joint exceeds
    `ramp_speed` until all have caught up. Where commands move on meanwhile, and the time that their first
    distance takes is over, the pace grows by `ramp_speed` each second, or an arm could lag behind a
    moving leader for good. After mere silence motion goes on at once.

    Not for two threads: whoever owns it calls `command`, `hold` and `step` one after the other.
    """

    def __init__(self, limits: GoalLimits) -> None:
        self.limits = limits
        """May be replaced at any time; the next call uses the new ones."""
        self.holding = True
        """Whether the goals stay rather than follow commands."""
        self.reason = ""
        """Why they stay; empty when they follow."""
        self._goal: list[float] | None = None
        self._forget()
        self._stay("waiting for the arm's pose")

    def _forget(self) -> None:
        self._target: Sequence[float] = ()
        self._speed: Sequence[float] = _UNBOUNDED
        self._relief: Sequence[float | None] = _NO_RELIEF
        self._heard_s = -math.inf
        self._ramping, self._ramp_s, self._pace = True, 0.0, 0.0
        self._reported: frozenset[str] = frozenset()

    @property
    def ramping(self) -> bool:
        """Whether the newest command is being approached slowly."""
        return self._ramping and not self.holding

    def start(self, measured: ArrayLike) -> None:
        """Begin where the arm is, and forget all before. Raises ValueError unless six finite numbers come."""
        self._goal = _six_numbers("measured position", measured)
        self._forget()
        self._stay("waiting for the first command")

    def command(self, position: ArrayLike, velocity: ArrayLike | None, now_s: float) -> list[str]:
        """Go to `position` [rad] no faster than `velocity` [rad/s]; 0, or none, is the joint's limit.

        Returns what is not done as commanded; what was said of the command before is not said again. Raises
        ValueError naming field and joint for what is no command; then the goals stay where they are.
        """
        try:
            wanted, speeds = _checked(position, velocity)
            if self._goal is None:
                raise ValueError(f"{FIELD}: refused, the arm has no torque; enable it first")
        except ValueError as error:
            self.hold(str(error))
            raise
        limits = self.limits
        reports: dict[str, str] = {}
        for index, joint in enumerate(JOINT_NAMES):
            asked, fastest = wanted[index], limits.max_speed[index]
            wanted[index] = limit = min(max(asked, limits.lower_rad[index]), limits.upper_rad[index])
            if abs(limit - asked) > WORTH_SAYING:
                reports[f"position {joint}"] = _beyond("position", joint, asked, "rad", limit)
            if speeds[index] > fastest + WORTH_SAYING:
                reports[f"velocity {joint}"] = _beyond("velocity", joint, speeds[index], "rad/s", fastest)
            speeds[index] = min(speeds[index], fastest) or fastest
        if distance := self._ramp_to(wanted):
            reports["far"] = distance
        self._target, self._speed, self._heard_s = wanted, speeds, now_s
        self.holding, self.reason = False, ""
        news = [text for key, text in reports.items() if key not in self._reported]
        self._reported = frozenset(reports)
        return news

    def _ramp_to(self, wanted: Sequence[float]) -> str:
        """Approach `wanted` slowly if that is due; what to say of it, or an empty string."""
        assert self._goal is not None
        limits = self.limits
        jump = max(abs(new - old) for new, old in zip(wanted, self._target, strict=True))
        if not (jump > limits.far_rad or (self._ramping and self.holding)):
            return ""
        distances = [abs(new - goal) for new, goal in zip(wanted, self._goal, strict=True)]
        furthest = max(distances)
        self._ramping, self._ramp_s, self._pace = True, furthest / limits.ramp_speed, limits.ramp_speed
        if furthest <= CAUGHT_UP_RAD:
            return ""
        joint = JOINT_NAMES[distances.index(furthest)]
        pace = f"{limits.ramp_speed:.2f} rad/s"
        return f"{FIELD} distance: {joint} is {furthest:.2f} rad away: approached at {pace}"

    def hold(
        self,
        reason: str,
        measured: ArrayLike | None = None,
        joints: Sequence[bool] | None = None,
        follow: bool = False,
    ) -> None:
        """Stay until a new command comes, which is then approached slowly. May be called in every cycle.

        `measured` [rad]: relieve joints that squeeze or are blocked. Their goals go to where they were in the
        first such call, at the joints' speed limits; were it each call, a drooping arm would creep down.
        `joints`: which of them, by default all. `follow`: to where they are in each call, for joints that
        gave way and whose servos would throw them back up when they recover.
        """
        if measured is not None:
            here = np.asarray(measured, float).tolist()
            chosen = (True,) * _JOINTS if joints is None else joints
            self._relief = [
                place if choose and math.isfinite(place) and (follow or old is None) else old
                for old, place, choose in zip(self._relief, here, chosen, strict=True)
            ]
        self._ramping = True
        self._stay(reason)

    def _stay(self, reason: str) -> None:
        self.holding, self.reason = True, reason
        if self._goal is not None:
            self._target = [
                goal if relief is None else relief
                for goal, relief in zip(self._goal, self._relief, strict=True)
            ]
        self._speed = _UNBOUNDED

    def step(self, measured: ArrayLike, dt_s: float, now_s: float) -> NDArray[np.float64]:
        """The goals for this cycle [rad], `dt_s` after those before, for an arm at `measured` [rad].

        They stay, all of them, where `measured` or a time is not finite. Raises RuntimeError before `start`.
        """
        if self._goal is None:
            raise RuntimeError("JointGoals.step: called before start, there is no pose to move from")
        timeout_s = self.limits.command_timeout_s
        # A command may be stamped a little after the cycle that it came in. NaN is silence, too.
        if not self.holding and not abs(now_s - self._heard_s) <= timeout_s:
            self._stay(f"no {FIELD} for {timeout_s:g} s")
        here = np.asarray(measured, float).tolist()
        total = sum(here) + dt_s
        if dt_s > 0.0 and total - total == 0.0:
            self._advance(here, min(dt_s, MAX_DT_S))
        return np.array(self._goal)

    def _advance(self, here: Sequence[float], dt_s: float) -> None:
        limits, goals = self.limits, self._goal
        assert goals is not None
        leash, most = limits.leash_rad, limits.max_step_rad
        if self.ramping:
            most = min(most, self._pace * dt_s)
        caught_up, leashed = True, False
        new_goals = []
        for goal, target, place, speed, fastest, low, high in zip(
            goals,
            self._target,
            here,
            self._speed,
            limits.max_speed,
            limits.lower_rad,
            limits.upper_rad,
            strict=True,
        ):
            travel = min(speed, fastest) * dt_s
            if travel > most:
                travel = most
            # A goal outside the limits, as after start or new limits, may stay there or come in.
            if target > high:
                target = goal if goal > high else high
            elif target < low:
                target = goal if goal < low else low
            if target > goal:
                reach, end = min(target, goal + travel), max(place + leash, goal)
                new_goal, blocked = min(reach, end), end < reach
            else:
                reach, end = max(target, goal - travel), min(place - leash, goal)
                new_goal, blocked = max(reach, end), end > reach
            leashed = leashed or blocked
            caught_up = caught_up and abs(target - new_goal) <= CAUGHT_UP_RAD
            new_goals.append(new_goal)
        self._goal = new_goals
        if self.holding:
            return
        self._relief = _NO_RELIEF
        if caught_up:
            self._ramping = False
        elif self._ramping and not leashed:  # whoever stands still does not fall behind
            self._ramp_s -= dt_s
            if self._ramp_s < 0.0:
                self._pace += limits.ramp_speed * dt_s


def _beyond(field: str, joint: str, asked: float, unit: str, limit: float) -> str:
    return f"{FIELD} {field} of {joint}: {asked:.2f} {unit} is beyond its limit {limit:.2f}, clamped"


def _checked(position: ArrayLike, velocity: ArrayLike | None) -> tuple[list[float], list[float]]:
    wanted = _six_numbers(f"{FIELD} position", position)
    if velocity is None:
        return wanted, [0.0] * _JOINTS
    speeds = _six_numbers(f"{FIELD} velocity", velocity)
    for joint, speed in zip(JOINT_NAMES, speeds, strict=True):
        if speed < 0.0:
            raise ValueError(f"{FIELD} velocity: expected rad/s >= 0, got {speed:.3g} for {joint}")
    return wanted, speeds


def _six_numbers(what: str, values: ArrayLike) -> list[float]:
    """Raises ValueError naming the joint that is not finite."""
    try:
        numbers = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: expected {_JOINTS} numbers ({error})") from error
    if numbers.shape != (_JOINTS,):
        raise ValueError(f"{what}: expected {_JOINTS} numbers, got shape {numbers.shape}")
    plain = numbers.tolist()
    for joint, number in zip(JOINT_NAMES, plain, strict=True):
        if not math.isfinite(number):
            raise ValueError(f"{what}: expected finite numbers, got {number} for {joint}")
    return plain
