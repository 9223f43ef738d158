"""What travels between the arm and the learner, free of ROS."""

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hilrl_ros.ee_action import Gripper, Source

DELTA_AXES = ("x", "y", "z", "pitch", "roll")
"""Axes of an end-effector delta, in the order of `EeAction.delta`."""


@dataclass(frozen=True)
class ObservationSpec:
    """Shape of an observation."""

    state_names: tuple[str, ...]
    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    """Height, width [px]."""


@dataclass(frozen=True)
class ActionSpec:
    """Which delta axes a policy moves; the others stay 0. The gripper command is always part of it."""

    axes: tuple[str, ...] = ("x", "y", "z")


@dataclass(frozen=True)
class Observation:
    """What the policy sees at one control tick."""

    stamp_ns: int
    state: NDArray[np.float32]
    """Raw, shape (state,), layout `ObservationSpec.state_names`."""
    images: NDArray[np.uint8]
    """Shape (cameras, height, width, 3), rgb."""


@dataclass(frozen=True)
class Action:
    """An action as chosen or as executed."""

    delta: NDArray[np.float32]
    """Shape (5,), each in [-1, 1], order `DELTA_AXES`."""
    gripper: Gripper = Gripper.STAY
    source: Source = Source.POLICY
    device: str = "policy"
    policy_version: int = 0


class StepLabel(IntEnum):
    """How the operator said an episode ended, on its last step; the values of `Step.label`."""

    NONE = 0
    SUCCESS = 1
    FAILURE = 2
    DISCARD = 3


@dataclass(frozen=True)
class Step:
    """One control step; fields as in `hilrl_interfaces/msg/Step`."""

    actor_id: str
    sequence: int
    episode: int
    index: int
    observation: Observation
    action: Action
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    label: StepLabel = StepLabel.NONE
    trainable: bool = True
    final_observation: Observation | None = field(default=None)
