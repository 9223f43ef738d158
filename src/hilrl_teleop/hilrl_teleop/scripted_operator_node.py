"""An operator that sees the ground truth of a simulator: `intervention/scripted` for every tick."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import Pose, Quaternion

from hilrl_interfaces.msg import EeAction, EeState, Episode, GroundTruth
from hilrl_ros import qos, stamps
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.expert import TASKS, Arm, Scene
from hilrl_teleop.messages import to_message
from hilrl_teleop.scripted_operator import ScriptedOperator

PARAMETERS = (
    Parameter("task", "lift", "what to show", choices=TASKS, read_only=True),
    Parameter("seed", 0, "of speed, aim, tremor and attention", 0, read_only=True),
    Parameter("noise", 0.15, "tremor and aiming error, in full steps", 0.0, 1.0),
    Parameter("no_progress_steps", 25, "steps without success before it may take over", 1, 1_000_000),
    Parameter("takeover_steps", 12, "steps until it lets go again", 1, 1_000_000),
    Parameter("control_hz", 10.0, "steps per second of the arm's time [Hz]", 0.1, 1000.0, read_only=True),
    Parameter(
        "step_m",
        0.02,
        "step_m of ee_controller, from the next episode on: how far a delta of 1 goes [m]",
        0.001,
        0.1,
    ),
)


class ScriptedOperatorNode(Node):
    """Pairs `ee_state` and `sim/ground_truth` by stamp; a stamp that comes again is answered again."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("scripted_operator", **kwargs)
        params = Parameters(self, PARAMETERS, on_change=self._retune)
        self._task: str = params["task"]
        self._operator = ScriptedOperator(**params.values)
        self._state: EeState | None = None
        self._truth: GroundTruth | None = None
        self._refusal = ""
        self._actions = self.create_publisher(EeAction, "intervention/scripted", qos.ACTIONS)
        # Before the episode's: of what is ready at once, the tick that ended an episode is taken first.
        self.create_subscription(EeState, "ee_state", self._on_state, qos.JOINT_STATES)
        self.create_subscription(GroundTruth, "sim/ground_truth", self._on_truth, qos.EVENTS)
        self.create_subscription(Episode, "episode", self._on_episode, qos.EVENTS)
        self.diagnostics.expect("ee_state", "is ee_controller running?")
        self.diagnostics.expect("sim/ground_truth", "is the simulator running?")

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._operator.noise, self._operator.step_m = values["noise"], values["step_m"]
        self._operator.no_progress_steps = values["no_progress_steps"]
        self._operator.takeover_steps = values["takeover_steps"]

    def _on_episode(self, message: Episode) -> None:
        if message.finished:
            self._operator.end(message.kind, message.success)
        else:
            try:
                self._operator.begin(message.episode, message.kind)
            except ValueError as error:
                self.get_logger().error(f"episode kind: {error}")

    def _on_state(self, message: EeState) -> None:
        self._state = message
        self._answer()

    def _on_truth(self, message: GroundTruth) -> None:
        self._truth = message
        self._answer()

    def _answer(self) -> None:
        state, truth = self._state, self._truth
        if state is None or truth is None:
            return
        if state.header.stamp != truth.header.stamp:
            self._operator.saw(max(map(stamps.to_ns, (state.header.stamp, truth.header.stamp))))
            return
        stamp_ns = stamps.to_ns(state.header.stamp)
        self._operator.saw(stamp_ns)
        try:
            action = self._operator.tick(stamp_ns, arm_from(state), scene_from(truth, self._task))
        except ValueError as error:
            self.diagnostics.refused(str(error))
            if str(error) != self._refusal:
                self._refusal = str(error)
                self.get_logger().error(f"not engaged: {error}")
            return
        if action is not None:
            message = to_message(action)
            message.header.frame_id = state.header.frame_id
            self._actions.publish(message)


def arm_from(state: EeState) -> Arm:
    """What the expert needs of an `EeState`."""
    position, target = state.pose.position, state.target.position
    q = state.pose.orientation
    # The TCP's -x axis, first column of the rotation matrix with its sign turned.
    opening = np.array(
        [
            2 * (q.y * q.y + q.z * q.z) - 1,
            -2 * (q.x * q.y + q.w * q.z),
            -2 * (q.x * q.z - q.w * q.y),
        ]
    )
    return Arm(
        np.array([position.x, position.y, position.z]),
        np.array([target.x, target.y, target.z]),
        opening,
        state.gripper_position,
        state.gripper_target,
    )


def scene_from(truth: GroundTruth, task: str) -> Scene:
    """What the expert needs of a `GroundTruth` to do `task`. Raises ValueError where that is not in it."""
    if truth.task != task:
        raise ValueError(f"ground_truth task: expected {task!r} as in the parameter task, got {truth.task!r}")
    poses = dict(zip(truth.names, truth.poses, strict=False))
    if missing := {"lift": {"cube"}, "place": {"cube", "bin"}}[task] - poses.keys():
        raise ValueError(f"ground_truth: expected poses of {sorted(missing)}, got those of {sorted(poses)}")
    return Scene(
        cube=_position(poses["cube"]),
        cube_yaw=_yaw(poses["cube"].orientation),
        bin=_position(poses["bin"]) if "bin" in poses else None,
        grasped=truth.grasped,
    )


def _position(pose: Pose) -> np.ndarray:
    return np.array([pose.position.x, pose.position.y, pose.position.z])


def _yaw(q: Quaternion) -> float:
    return math.atan2(2 * (q.w * q.z + q.x * q.y), 1 - 2 * (q.y * q.y + q.z * q.z))


def main() -> None:
    """Entry point."""
    run_node(ScriptedOperatorNode)
