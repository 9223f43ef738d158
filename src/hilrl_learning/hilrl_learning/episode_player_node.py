"""Plays an episode of a dataset on the arm: its actions, tick by tick, through mux and `ee_controller`."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from rclpy.clock import Clock, ClockType
from rclpy.parameter_client import AsyncParameterClient
from rclpy.task import Future
from sensor_msgs.msg import JointState

from hilrl_interfaces.msg import EeAction, EeState
from hilrl_learning.episode_player import EpisodePlayer
from hilrl_learning.lerobot.dataset_files import DatasetFiles
from hilrl_learning.lerobot.features import ACTION, ACTION_NAMES, STATE
from hilrl_learning.lerobot.reader import LeRobotReader
from hilrl_learning.messages import action_to_message, finite_vector
from hilrl_learning.observation_sync import joint_values, state_names
from hilrl_learning.scene_reset import SceneReset
from hilrl_ros import qos
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_ros.stamps import to_ns

POLL_S = 0.05
SETTLE_S = 0.2
"""Until what an arm says of itself is of after it set out for home."""
MAX_AGE_S = 0.2
"""Real time: an older state of the arm is not acted on."""
MOTION = ("control_hz", "step_m", "step_rad")
"""Parameters of ee_controller that must be those of the recording."""

PARAMETERS = (
    Parameter("dataset", "datasets/default", "folder of the dataset", read_only=True),
    Parameter("episode", 0, "episode to play, from 0", 0, 1_000_000, read_only=True),
    Parameter("lockstep", True, "act on every state of a new stamp; false: on a timer", read_only=True),
    Parameter("control_hz", 10.0, "control rate [Hz]", 0.1, 1000.0, read_only=True),
    Parameter("sim_reset", True, "begin with sim/reset; false: with ee_controller/go_home", read_only=True),
    Parameter("result_file", "", "JSON: the exit status and what is said of it; empty: none", read_only=True),
    Parameter("base_frame", "base_link", "frame of the actions", read_only=True),
)  # fmt: skip


class ArmStates:
    """Pairs joint states with the `EeState` that was computed of them: an observation without images."""

    def __init__(self) -> None:
        self.stamp_ns = -1
        """Of the newest pair."""
        self.state = np.zeros(len(state_names()), np.float32)
        self.holding = False
        self.arrived_s = float("-inf")
        self._joints: tuple[int, NDArray[np.float32]] = (-1, np.zeros(0, np.float32))
        self._ee: tuple[int, NDArray[np.float32], bool] = (-1, np.zeros(0, np.float32), False)

    def add_joint_state(self, message: JointState) -> bool:
        """Whether that makes a pair. Raises ValueError naming the field that is wrong."""
        self._joints = (to_ns(message.header.stamp), joint_values(message))
        return self._pair()

    def add_ee_state(self, message: EeState) -> bool:
        """As `add_joint_state`."""
        here, there = message.pose.position, message.target.position
        values = (here.x, here.y, here.z, there.x, there.y, there.z, message.gripper_target)
        vector = finite_vector("ee_state.pose, target, gripper_target", values, len(values))
        self._ee = (to_ns(message.header.stamp), vector, message.holding)
        return self._pair()

    def _pair(self) -> bool:
        if self._joints[0] != self._ee[0]:
            return False
        self.stamp_ns, values, self.holding = self._ee
        self.state = np.concatenate((self._joints[1], values))
        self.arrived_s = time.monotonic()
        return True


class PlayedOut(SystemExit):
    """The episode is over, or cannot be played; carries the exit status."""


class EpisodePlayerNode(Node):
    """Compares, resets, approaches, plays, says how far the arm was from the recording, and ends."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where the dataset or the episode is not there or is of another kind."""
        super().__init__("replay_episode", **kwargs)
        params = self._params = Parameters(self, PARAMETERS)
        reader = LeRobotReader(Path(params["dataset"]))
        self._motion = recorded_motion(reader)
        check_playable(reader, params["episode"])
        columns = reader.episode(params["episode"])
        self._player = EpisodePlayer(columns[STATE], columns[ACTION], self._motion["step_m"])
        self._lockstep: bool = params["lockstep"]
        self._arm = ArmStates()
        self._answered_ns = -1
        self._answer: EeAction | None = None
        self._first_stamp_ns: int | None = None
        """Of the prepared scene."""
        self._ready_s = 0.0
        self._actions = self.create_publisher(EeAction, "policy_action", qos.ACTIONS)
        self.create_subscription(EeState, "ee_state", self._on_ee_state, qos.JOINT_STATES)
        self.create_subscription(JointState, "joint_states", self._on_joint_state, qos.JOINT_STATES)
        self._reset = SceneReset(self, params["sim_reset"], self._on_scene_ready)
        self._controller = AsyncParameterClient(self, "ee_controller")
        self._asked: Future | None = None
        self._asked_s = float("-inf")
        self._seed = recorded_seed(reader, params["episode"]) if params["sim_reset"] else -1
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(POLL_S, self._on_poll, clock=steady)
        if not self._lockstep:
            self.create_timer(1.0 / params["control_hz"], self._on_timer, clock=steady)

    def _on_poll(self) -> None:
        now_s = time.monotonic()
        self._reset.poll(now_s)
        if self._controller is None:
            return
        if self._asked is not None and self._asked.done():
            values = self._asked.result().values
            self._controller = None
            self._compare({n: v.double_value for n, v in zip(MOTION, values, strict=True)}, now_s)
        elif now_s - self._asked_s > 2.0 and self._controller.services_are_ready():
            self._asked, self._asked_s = self._controller.get_parameters(list(MOTION)), now_s

    def _compare(self, found: dict[str, float], now_s: float) -> None:
        """Before anything moves: an action of 1 must mean here what it meant there."""
        for name, value in found.items():
            if not np.isclose(value, self._motion[name], rtol=1e-6):
                self._end(
                    2,
                    f"ee_controller.{name}: expected {self._motion[name]}, with which the dataset was "
                    f"recorded, got {value}; start ee_controller with that",
                )
        if self._params["sim_reset"] and self._seed < 0:
            self.get_logger().warning("the dataset does not say the scene's seed: another scene is set up")
        self._reset.ask(max(self._seed, 0), now_s)

    def _on_scene_ready(self, first_stamp_ns: int) -> None:
        self._first_stamp_ns, self._ready_s = first_stamp_ns, time.monotonic()

    def _on_ee_state(self, message: EeState) -> None:
        self._take(self._arm.add_ee_state, message)

    def _on_joint_state(self, message: JointState) -> None:
        self._take(self._arm.add_joint_state, message)

    def _take(self, add: Callable[[Any], bool], message: EeState | JointState) -> None:
        try:
            whole = add(message)
        except ValueError as error:
            self.get_logger().error(f"ignored: {error}", throttle_duration_sec=5.0)
            return
        if whole and self._lockstep:
            self._act()

    def _on_timer(self) -> None:
        age_s = time.monotonic() - self._arm.arrived_s
        if age_s > MAX_AGE_S:
            self.get_logger().warning(
                f"holding: the arm is silent for {age_s:.1f} s", throttle_duration_sec=5.0
            )
        else:
            self._act()

    def _act(self) -> None:
        """Answer the newest state of the arm."""
        stamp_ns = self._arm.stamp_ns
        if self._first_stamp_ns is None or stamp_ns < self._first_stamp_ns:
            return
        if stamp_ns == self._answered_ns:
            self._actions.publish(self._answer)  # the simulator repeats where something was lost
            return
        going_home = not self._params["sim_reset"] and self._answered_ns < 0
        if going_home and (not self._arm.holding or time.monotonic() - self._ready_s < SETTLE_S):
            return
        if self._player.finished:
            self._end(0, f"played {self._player.played} steps; {self._player.deviation}")
        try:
            action = self._player.tick(self._arm.state)
        except RuntimeError as error:
            self._end(1, str(error))
        self._answered_ns = stamp_ns
        self._answer = action_to_message(action, stamp_ns, self._params["base_frame"])
        self._actions.publish(self._answer)

    def _end(self, status: int, words: str) -> None:
        (self.get_logger().error if status else self.get_logger().info)(words)
        if self._params["result_file"]:
            path = Path(self._params["result_file"])
            aside = path.with_suffix(".new")
            aside.write_text(json.dumps({"status": status, "words": words}))
            aside.rename(path)
        raise PlayedOut(status)


def check_playable(reader: LeRobotReader, episode: int) -> None:
    """Raises ValueError where the episode is not there or was not recorded by `hilrl up record`."""
    recorded_motion(reader)
    if episode >= reader.episode_count:
        raise ValueError(
            f"episode: expected less than {reader.episode_count}, the number of episodes in {reader.path}, "
            f"got {episode}"
        )


def recorded_motion(reader: LeRobotReader) -> dict[str, Any]:
    """What an action of 1 meant in the recording. Raises ValueError where the dataset does not say so."""
    found = reader.info.get("hilrl", {})
    for name in MOTION:
        if not isinstance(found.get(name), float | int):
            raise ValueError(
                f"{reader.path}: hilrl.{name}: expected a number, got {found.get(name)!r}; only what "
                "`hilrl up record` has recorded can be played"
            )
    names = {ACTION: ACTION_NAMES, STATE: state_names()}
    for column, expected in names.items():
        feature = reader.features.get(column)
        if feature is None or tuple(feature.names or ()) != expected:
            raise ValueError(
                f"{reader.path}: features.{column}.names: expected {list(expected)}, got "
                f"{None if feature is None else feature.names}"
            )
    if reader.fps != found["control_hz"]:
        raise ValueError(f"{reader.path}: fps: expected control_hz {found['control_hz']}, got {reader.fps}")
    return dict(found)


def recorded_seed(reader: LeRobotReader, episode: int) -> int:
    """Of the scene, -1: not known."""
    entry = parquet.read_table(reader.path / DatasetFiles(reader.path, ()).of_episode(episode)["episodes"])
    return int(entry["seed"][0].as_py()) if "seed" in entry.column_names else -1


def main() -> None:
    """Entry point."""
    run_node(EpisodePlayerNode)
