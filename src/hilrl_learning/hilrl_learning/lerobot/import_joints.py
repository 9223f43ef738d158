"""Episodes of joint angles, as LeRobot records an SO-100 or SO-101, in terms of end-effector actions.

A row holds the measured joints and the goals that were sent for it. A control tick takes the row at its
time; its action leads from the target in force to where the last goals before the next tick put the TCP.
What a step is too short for is left to the next one, as when a person steers: played from the start of the
episode, the actions retrace the recorded path.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hilrl_learning.data import DELTA_AXES, Gripper, Source
from hilrl_learning.lerobot.features import ACTION, STATE
from hilrl_learning.lerobot.import_own import Motion
from hilrl_learning.lerobot.import_steps import EpisodePlan
from hilrl_learning.lerobot.reader import LeRobotReader
from hilrl_ros.joints import JOINT_NAMES

Array = NDArray[np.float64]

LEROBOT_NAMES = tuple(f"{name}.pos" for name in JOINT_NAMES)
BEYOND_LIMITS_RAD = 0.2
"""Calibrations differ by so much; joints further beyond their limits are in other units."""
OUTSIDE_WORKSPACE_M = 0.005
"""A target so far outside is clipped, as the controller does."""
GRIPPER_TRAVEL_RAD = 0.15
"""A jaw that was sent over less than this was not used."""


class TcpPose(Protocol):
    """Of `hilrl_control.kinematics.Pose`."""

    position: Array
    pitch: float
    roll: float


@dataclass(frozen=True)
class Arm:
    """The arm that is to do what was recorded."""

    forward: Callable[[Array], TcpPose]
    """From six joint angles [rad]."""
    lower: Array
    """Joint limits in `JOINT_NAMES` order, shape (6,) [rad]."""
    upper: Array
    workspace_min: Array
    """Corners of the box that the TCP's target may be in, shape (3,) [m]."""
    workspace_max: Array
    gripper_open_rad: float
    gripper_closed_rad: float


@dataclass(frozen=True)
class Fit:
    """How well the steps of a run reproduce what was recorded."""

    actions: int
    clipped_share: float
    """Of the actions' axes that the policy moves: wanted more than a full step."""
    lag_m: float
    """Furthest that the target fell behind for that."""
    unmoved_rad: float
    """Largest change of pitch or roll within an episode which the policy has no axis for."""
    worst_episode: int
    """That with the largest clipped share."""
    step_m: float
    """Length of a step that would leave one action in a hundred clipped."""
    step_rad: float
    """The same of pitch and roll, where the policy moves them."""


class JointEpisodes:
    """A dataset of joint angles; every episode was read and converted once it exists."""

    def __init__(
        self,
        reader: LeRobotReader,
        to_radians: Callable[[Array], Array],
        arm: Arm,
        motion: Motion,
        *,
        succeeded: bool,
        most_clipped: float,
    ) -> None:
        """Read all. `to_radians`: from rows of six numbers in LeRobot's units.

        `succeeded`: every episode's last step solved the task; otherwise each is cut off there.
        `most_clipped`: share of clipped actions to accept.
        Raises ValueError naming the episode and the feature that cannot become steps of this run.
        """
        self._reader = reader
        self._arm = arm
        self._motion = motion
        self._succeeded = succeeded
        orders = {name: _joint_order(reader, name) for name in (STATE, ACTION)}
        if reader.fps < motion.control_hz:
            raise ValueError(
                f"{reader.path / 'meta/info.json'}: fps: expected at least the run's control_hz "
                f"{motion.control_hz:g}, got {reader.fps:g}"
            )
        self._joints = [
            tuple(self._radians(episode, name, orders[name], to_radians) for name in (STATE, ACTION))
            for episode in range(reader.episode_count)
        ]
        self._jaw = _jaw_range([goals[:, 5] for _, goals in self._joints])
        self._low, self._high = np.full(3, np.inf), np.full(3, -np.inf)
        self._outside = ""
        self._goals: list[Array] = []
        """Per episode: poses that goals put the TCP at, tick by tick, shape (n, 5) [m] * 3, [rad] * 2."""
        self._wanted: list[Array] = []
        """Per episode: deltas before they are clipped, shape (n, 5)."""
        self._lag_m = self._unmoved_rad = 0.0
        self._plans = [self._plan(episode) for episode in range(reader.episode_count)]
        self.fit = self._judged()
        self._refuse_misfits(most_clipped)

    def __call__(self, episode: int) -> EpisodePlan:
        """An episode in the run's terms."""
        return self._plans[episode]

    def _radians(
        self, episode: int, name: str, order: Sequence[int], to_radians: Callable[[Array], Array]
    ) -> Array:
        values = self._reader.episode(episode)[name][:, list(order)].astype(float)
        if not np.isfinite(values).all():
            raise ValueError(f"episode {episode}: {name}: expected finite numbers")
        angles = to_radians(values)
        beyond = np.maximum(self._arm.lower - angles, angles - self._arm.upper)
        row, joint = np.unravel_index(beyond.argmax(), beyond.shape)
        if beyond[row, joint] > BEYOND_LIMITS_RAD:
            limits = f"[{self._arm.lower[joint]:.2f}, {self._arm.upper[joint]:.2f}]"
            raise ValueError(
                f"episode {episode}: {name}: {JOINT_NAMES[joint]}: expected within {limits} rad, got "
                f"{values[row, joint]:g} = {angles[row, joint]:.2f} rad in frame {row}; was it recorded in "
                "other units (--joint-units), or with another zero pose?"
            )
        return angles

    def _plan(self, episode: int) -> EpisodePlan:
        q, goals = self._joints[episode]
        fps, hz = self._reader.fps, self._motion.control_hz
        ticks = int((len(q) - 1) * hz / fps + 1e-9) + 1
        if ticks < 2:
            raise ValueError(f"episode {episode}: expected at least {fps / hz + 1:g} frames, got {len(q)}")
        rows = np.round(np.arange(ticks) * fps / hz).astype(np.int64)
        newest_goals = goals[rows[1:] - 1]
        reached = [self._arm.forward(joints) for joints in newest_goals]
        measured = np.array([self._arm.forward(joints).position for joints in q[rows]])
        wanted = np.array([[*pose.position, pose.pitch, pose.roll] for pose in reached])
        wanted[:, 3:] = np.unwrap(wanted[:, 3:], axis=0)
        self._goals.append(wanted)
        self._look_outside(episode, rows, wanted[:, :3])
        start = self._arm.forward(q[0])
        deltas, targets = self._deltas(np.array([*start.position, start.pitch, start.roll]), wanted)
        grippers, gripper_targets = self._gripper(newest_goals[:, 5], goals[0, 5], q[0, 5])
        velocity = np.gradient(q, 1 / fps, axis=0)
        states = np.concatenate(
            (q[rows], velocity[rows], measured, targets[:, :3], gripper_targets[:, None]), axis=1
        )
        count = ticks - 1
        rewards = np.zeros(count, np.float32)
        rewards[-1] = float(self._succeeded)
        return EpisodePlan(
            rows=rows,
            states=states.astype(np.float32),
            deltas=deltas,
            grippers=grippers,
            sources=np.full(count, Source.DEMONSTRATION, np.uint8),
            policy_versions=np.zeros(count, np.uint64),
            rewards=rewards,
            trainable=np.ones(count, bool),
            terminated=self._succeeded,
        )

    def _deltas(self, start: Array, wanted: Array) -> tuple[NDArray[np.float32], Array]:
        """Actions, shape (n, 5), and the targets before and after each, shape (n + 1, 5)."""
        steps = np.array([self._motion.step_m] * 3 + [self._motion.step_rad] * 2)
        target = start.copy()
        targets, deltas, unclipped = [target.copy()], [], []
        for goal in wanted:
            away = goal - target
            away[3:] = (away[3:] + np.pi) % (2 * np.pi) - np.pi
            unclipped.append(away / steps)
            delta = np.clip(unclipped[-1], -1.0, 1.0).astype(np.float32)
            target += delta * steps
            target[:3] = np.clip(target[:3], self._arm.workspace_min, self._arm.workspace_max)
            targets.append(target.copy())
            deltas.append(delta)
            left = np.clip(goal[:3], self._arm.workspace_min, self._arm.workspace_max) - target[:3]
            self._lag_m = max(self._lag_m, float(np.linalg.norm(left)))
        turned = np.ptp(np.array(targets)[:, 3:], axis=0)
        for axis, name in enumerate(("pitch", "roll")):
            if name not in self._motion.action_axes:
                self._unmoved_rad = max(self._unmoved_rad, float(turned[axis]))
        self._wanted.append(np.array(unclipped))
        return np.array(deltas, np.float32), np.array(targets)

    def _gripper(self, goals: Array, first_goal: float, measured: float) -> tuple[NDArray[np.uint8], Array]:
        """Commands, shape (n,), and the gripper target before and after each, shape (n + 1,).

        The outer thirds of the jaw's travel over the dataset mean CLOSE and OPEN, in between it stays.
        """
        low, high = self._jaw
        if high - low < GRIPPER_TRAVEL_RAD:
            return np.full(len(goals), Gripper.STAY, np.uint8), np.full(len(goals) + 1, measured)
        share = (goals - low) / (high - low)
        commands = np.select([share < 1 / 3, share > 2 / 3], [Gripper.CLOSE, Gripper.OPEN], Gripper.STAY)
        angles = {Gripper.CLOSE: self._arm.gripper_closed_rad, Gripper.OPEN: self._arm.gripper_open_rad}
        is_open = first_goal - low > (high - low) / 2
        targets = [angles[Gripper.OPEN if is_open else Gripper.CLOSE]]
        for command in commands.tolist():
            targets.append(angles.get(Gripper(command), targets[-1]))
        return commands.astype(np.uint8), np.array(targets)

    def _look_outside(self, episode: int, rows: NDArray[np.int64], targets: Array) -> None:
        self._low = np.minimum(self._low, targets.min(axis=0))
        self._high = np.maximum(self._high, targets.max(axis=0))
        low, high = self._arm.workspace_min, self._arm.workspace_max
        outside = np.maximum(low - targets, targets - high).max(axis=1)
        if outside.max() > OUTSIDE_WORKSPACE_M and not self._outside:
            step = int((outside > OUTSIDE_WORKSPACE_M).argmax())
            self._outside = (
                f"episode {episode}: {ACTION}: expected goals within the run's workspace {_box(low, high)}, "
                f"got {targets[step].round(3).tolist()} m in frame {rows[step + 1] - 1}"
            )

    def _judged(self) -> Fit:
        axes = [axis for axis, name in enumerate(DELTA_AXES) if name in self._motion.action_axes]
        is_clipped = [np.abs(wanted[:, axes]) > 1.0 + 1e-6 for wanted in self._wanted]
        # How far the recorded path itself goes in a period, whatever fell behind.
        path = np.abs(np.concatenate([np.zeros((1, 5)), *(np.diff(goals, axis=0) for goals in self._goals)]))
        turns = [axis for axis in axes if axis > 2]
        return Fit(
            actions=sum(map(len, is_clipped)),
            clipped_share=float(np.concatenate(is_clipped).mean()),
            lag_m=self._lag_m,
            unmoved_rad=self._unmoved_rad,
            worst_episode=int(np.argmax([each.mean() for each in is_clipped])),
            step_m=float(np.quantile(path[:, :3].max(axis=1), 0.99)),
            step_rad=float(np.quantile(path[:, turns].max(axis=1), 0.99)) if turns else 0.0,
        )

    def _refuse_misfits(self, most_clipped: float) -> None:
        if self._outside:
            raise ValueError(
                f"{self._outside}; all goals lie within {_box(self._low, self._high)}: begin a run whose "
                "ee_controller.workspace_min and workspace_max hold them"
            )
        fit = self.fit
        if fit.clipped_share > most_clipped:
            raise ValueError(
                f"{ACTION}: {fit.clipped_share:.1%} of the actions want more than a full step, expected at "
                f"most {most_clipped:.1%}; the target falls up to {1000 * fit.lag_m:.0f} mm behind, most in "
                f"episode {fit.worst_episode}; begin a run with {self._longer_steps()}, or accept it with "
                "--most-clipped"
            )

    def _longer_steps(self) -> str:
        """Settings under which the recording would fit."""
        needed = {
            name: (math.ceil(1000 * getattr(self.fit, name)) / 1000, getattr(self._motion, name))
            for name in ("step_m", "step_rad")
        }
        return " and ".join(
            f"ee_controller.{name} {max(wanted, now):g} instead of {now:g}"
            for name, (wanted, now) in needed.items()
            if wanted > now or name == "step_m"
        )


def _joint_order(reader: LeRobotReader, name: str) -> list[int]:
    """Where in a row of `name` each of `JOINT_NAMES` is."""
    where = f"{reader.path / 'meta/info.json'}: features.{name}"
    feature = reader.features.get(name)
    if feature is None:
        raise ValueError(f"{where}: missing")
    if feature.shape != (len(JOINT_NAMES),) or set(feature.names) not in (
        set(LEROBOT_NAMES),
        set(JOINT_NAMES),
    ):
        old = any(joint.startswith("main_") for joint in feature.names)
        raise ValueError(
            f"{where}.names: expected {list(LEROBOT_NAMES)}, got {list(feature.names)} of shape "
            f"{list(feature.shape)}"
            + ("; joints named main_* have the zero pose of LeRobot before June 2025" if old else "")
        )
    names = [joint.removesuffix(".pos") for joint in feature.names]
    return [names.index(joint) for joint in JOINT_NAMES]


def _jaw_range(goals: Sequence[Array]) -> tuple[float, float]:
    """How far the jaw was sent over a dataset, strays left out [rad]."""
    low, high = np.quantile(np.concatenate(goals), [0.01, 0.99]) if goals else (0.0, 0.0)
    return float(low), float(high)


def _box(low: Array, high: Array) -> str:
    return f"{np.floor(low * 1000) / 1000} to {np.ceil(high * 1000) / 1000} m".replace("  ", " ")
