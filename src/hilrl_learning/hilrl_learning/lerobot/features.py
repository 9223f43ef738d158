"""The columns of a recording, in the terms of LeRobotDataset v3, and how a step becomes a row of them.

Row `k` of an episode holds the observation of step `k`, the action that was *executed* for it and, in the
columns `next.*`, what came of it. The observation after the last action of an episode is not in a dataset:
LeRobot's format has a row per action. Whoever trains on a truncated episode has to do without its last
transition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilrl_learning.data import DELTA_AXES, Action, ObservationSpec, Step, StepLabel
from hilrl_ros.ee_action import Gripper

CODEBASE_VERSION = "v3.0"
ROBOT_TYPE = "so101"

STATE = "observation.state"
ACTION = "action"
REWARD = "next.reward"
DONE = "next.done"
"""The episode ends with this step, terminated or truncated."""
TRUNCATED = "next.truncated"
"""It ends by time or by a fault: not a terminal state."""
SUCCESS = "next.success"
"""The task was solved by this step; at most the last of an episode."""
SOURCE = "source"
"""Who chose the action: 0 policy, 1 intervention, 2 demonstration."""
POLICY_VERSION = "policy_version"
"""Version of the weights that chose it, 0: none."""
TRAINABLE = "trainable"
"""False: the observation was stale or the arm was held."""

ACTION_NAMES = (*DELTA_AXES, "gripper")
"""A step's delta in [-1, 1] per axis, then the gripper: -1 close, 0 stay, 1 open."""

GRIPPER_VALUES: Mapping[Gripper, float] = {Gripper.CLOSE: -1.0, Gripper.STAY: 0.0, Gripper.OPEN: 1.0}

# What LeRobot itself fills in.
TIMESTAMP, FRAME_INDEX, EPISODE_INDEX = "timestamp", "frame_index", "episode_index"
INDEX, TASK_INDEX = "index", "task_index"

DTYPES: Mapping[str, str] = {
    STATE: "float32",
    ACTION: "float32",
    REWARD: "float32",
    DONE: "bool",
    TRUNCATED: "bool",
    SUCCESS: "bool",
    SOURCE: "int64",
    POLICY_VERSION: "int64",
    TRAINABLE: "bool",
    TIMESTAMP: "float32",
    FRAME_INDEX: "int64",
    EPISODE_INDEX: "int64",
    INDEX: "int64",
    TASK_INDEX: "int64",
}
"""Of all columns of the data files, in their order."""

OF_LEROBOT = (TIMESTAMP, FRAME_INDEX, EPISODE_INDEX, INDEX, TASK_INDEX)


def image_key(camera: str) -> str:
    """Column of a camera's frames."""
    return f"observation.images.{camera}"


@dataclass(frozen=True)
class Schema:
    """What makes two recordings fit into one dataset."""

    spec: ObservationSpec
    control_hz: float
    step_m: float
    """Length of a delta of 1 along x, y, z [m]."""
    step_rad: float
    """Angle of a delta of 1 of pitch or roll [rad]."""
    action_axes: tuple[str, ...]
    """Axes that the operator and the policy move; the others are 0."""

    def __post_init__(self) -> None:
        """Raises ValueError for what the format cannot hold."""
        if self.control_hz != int(self.control_hz):
            raise ValueError(
                f"control_hz: expected a whole number, as LeRobot's fps is one, got {self.control_hz}"
            )
        if any(side % 2 for side in self.spec.image_size):
            raise ValueError(
                f"image_size: expected even numbers of pixels, as the video format does, "
                f"got {'x'.join(map(str, self.spec.image_size))}"
            )

    @property
    def fps(self) -> int:
        """Frames, and control steps, per second."""
        return int(self.control_hz)

    def features(self, video: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """`features` of info.json; `video` describes how frames are encoded."""
        height, width = self.spec.image_size
        shapes = {STATE: (len(self.spec.state_names),), ACTION: (len(ACTION_NAMES),)}
        names = {STATE: list(self.spec.state_names), ACTION: list(ACTION_NAMES)}
        columns = {
            name: {"dtype": dtype, "shape": list(shapes.get(name, (1,))), "names": names.get(name)}
            for name, dtype in DTYPES.items()
        }
        images = {
            image_key(camera): {
                "dtype": "video",
                "shape": [height, width, 3],
                "names": ["height", "width", "channels"],
                "info": {**video, "video.height": height, "video.width": width, "video.fps": self.fps},
            }
            for camera in self.spec.cameras
        }
        own = {name: columns[name] for name in DTYPES if name not in OF_LEROBOT}
        return {**own, **images, **{name: columns[name] for name in OF_LEROBOT}}

    @property
    def motion(self) -> dict[str, Any]:
        """What an action of 1 means; the block `hilrl` of info.json begins with it."""
        return {
            "control_hz": self.control_hz,
            "step_m": self.step_m,
            "step_rad": self.step_rad,
            "action_axes": list(self.action_axes),
        }


def action_vector(action: Action) -> NDArray[np.float32]:
    """Shape (6,), order `ACTION_NAMES`."""
    return np.append(action.delta, GRIPPER_VALUES[action.gripper]).astype(np.float32)


def gripper_command(value: float) -> Gripper:
    """The command nearest to the last number of an action."""
    return min(GRIPPER_VALUES, key=lambda gripper: abs(GRIPPER_VALUES[gripper] - value))


def succeeded(step: Step) -> bool:
    """Whether the task was solved by this step: the operator says so, or else the reward."""
    if step.label is not StepLabel.NONE:
        return step.label is StepLabel.SUCCESS
    return step.terminated and step.reward > 0


def columns(steps: Sequence[Step], fps: int) -> dict[str, NDArray[Any]]:
    """One episode; what depends on its place in the dataset is left out. First axis: the steps."""
    count = len(steps)
    found: dict[str, Any] = {
        STATE: np.stack([step.observation.state for step in steps]),
        ACTION: np.stack([action_vector(step.action) for step in steps]),
        REWARD: [step.reward for step in steps],
        DONE: [step.terminated or step.truncated for step in steps],
        TRUNCATED: [step.truncated for step in steps],
        SUCCESS: [succeeded(step) for step in steps],
        SOURCE: [int(step.action.source) for step in steps],
        POLICY_VERSION: [step.action.policy_version for step in steps],
        TRAINABLE: [step.trainable for step in steps],
        TIMESTAMP: np.arange(count) / fps,
        FRAME_INDEX: np.arange(count),
    }
    return {name: np.asarray(values, DTYPES[name]) for name, values in found.items()}
