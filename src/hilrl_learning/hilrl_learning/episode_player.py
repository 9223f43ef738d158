"""Plays a recorded episode: first to where it began, then its actions, one per tick."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hilrl_learning.data import DELTA_AXES, Action
from hilrl_learning.lerobot.features import gripper_command
from hilrl_learning.observation_sync import state_names
from hilrl_ros.ee_action import Gripper
from hilrl_ros.joints import JOINT_NAMES

APPROACH_STEPS = 150
"""So many steps may the way to the beginning take."""
CLOSE_M = 0.002
"""The target is at the recorded one."""
CLOSE_RAD = 0.05
"""The jaw's target is at the recorded one."""
STILL_RAD_S = 0.1
"""No joint is faster: the arm has stopped."""
START_RAD = 0.15
"""The joints may differ by so much from the recorded ones where the episode begins."""

_STATE = {name: index for index, name in enumerate(state_names())}
_JOINTS = [_STATE[f"joint_position.{name}"] for name in JOINT_NAMES]
_VELOCITIES = [_STATE[f"joint_velocity.{name}"] for name in JOINT_NAMES]
_TARGET = [_STATE[f"ee_target.{axis}"] for axis in "xyz"]
_POSITION = [_STATE[f"ee_position.{axis}"] for axis in "xyz"]
_JAW_TARGET = _STATE["gripper_target"]


@dataclass
class Deviation:
    """How far the arm was from the recorded states, per step."""

    joints_rad: list[float] = field(default_factory=list)
    """Of the joint that was furthest off."""
    position_m: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"at the end the arm is {1000 * self.position_m[-1]:.1f} mm and {self.joints_rad[-1]:.3f} rad "
            f"(of its worst joint) from the recorded state; at most {1000 * max(self.position_m):.1f} mm and "
            f"{max(self.joints_rad):.3f} rad on the way"
        )


class EpisodePlayer:
    """Give it the state of each tick, it gives the action; free of ROS."""

    def __init__(self, states: NDArray[np.float32], actions: NDArray[np.float32], step_m: float) -> None:
        """`states` (n, 19) and `actions` (n, 6) of the episode; `step_m` is how far a delta of 1 goes."""
        self._states, self._actions, self._step_m = states, actions, step_m
        self._approached = 0
        self.played: int | None = None
        """Steps played; None: on the way to where the episode begins."""
        self.deviation = Deviation()

    @property
    def finished(self) -> bool:
        """Every action was played."""
        return self.played == len(self._actions)

    def tick(self, state: NDArray[np.float32]) -> Action:
        """The action for this tick. Raises RuntimeError where the beginning cannot be reached."""
        if self.played is None:
            action = self._approach(state)
            if action is not None:
                return action
            self.played = 0
        expected = self._states[self.played]
        self.deviation.joints_rad.append(float(_joint_error(state, expected)))
        self.deviation.position_m.append(float(np.linalg.norm((state - expected)[_POSITION])))
        vector = self._actions[self.played]
        self.played += 1
        return Action(vector[: len(DELTA_AXES)], gripper_command(float(vector[-1])))

    def _approach(self, state: NDArray[np.float32]) -> Action | None:
        """An action towards the first recorded state; None: it is there."""
        first = self._states[0]
        away_m = (first - state)[_TARGET]
        jaw_rad = float((first - state)[_JAW_TARGET])
        moving = np.abs(state[_VELOCITIES]).max() > STILL_RAD_S
        there = np.abs(away_m).max() < CLOSE_M and abs(jaw_rad) < CLOSE_RAD
        if there and not moving:
            if (error := _joint_error(state, first)) > START_RAD:
                raise RuntimeError(_not_there(state, first, f"{error:.2f} rad, at most {START_RAD} expected"))
            return None
        if self._approached >= APPROACH_STEPS:
            raise RuntimeError(_not_there(state, first, f"and {APPROACH_STEPS} steps were not enough"))
        self._approached += 1
        delta = np.zeros(len(DELTA_AXES), np.float32)
        delta[:3] = np.clip(away_m / self._step_m, -1.0, 1.0)
        gripper = Gripper.STAY
        if abs(jaw_rad) >= CLOSE_RAD:
            gripper = Gripper.OPEN if jaw_rad > 0 else Gripper.CLOSE
        return Action(delta, gripper)


def _joint_error(state: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs((state - other)[_JOINTS]).max())


def _not_there(state: NDArray[np.float32], first: NDArray[np.float32], how: str) -> str:
    off: Sequence[str] = [
        f"{name} {state[index]:.2f} instead of {first[index]:.2f}"
        for name, index in zip(JOINT_NAMES, _JOINTS, strict=True)
    ]
    return f"the arm is not where the episode begins, {how}: {', '.join(off)} rad"
