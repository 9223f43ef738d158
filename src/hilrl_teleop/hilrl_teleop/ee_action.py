"""One end-effector action as plain data; the fields mean what `hilrl_interfaces/msg/EeAction` says."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilrl_ros.ee_action import Gripper, Source

AXES = ("x", "y", "z", "pitch", "roll")
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Action:
    """An action for the tick that `stamp_ns` names."""

    stamp_ns: int
    delta: NDArray[np.float32]
    """Normalised step per axis of `AXES`, each in [-1, 1]. Shape (5,)."""
    gripper: int = Gripper.STAY
    source: int = Source.POLICY
    device: str = "policy"
    engaged: bool = True
    policy_version: int = 0
    frame_id: str = "base_link"
    gripper_goal: float | None = None
    """CLOSE or OPEN only as far as this jaw angle [rad]; None: all the way."""

    def problem(self) -> str | None:
        """Why this action must not be executed, or None."""
        if self.delta.shape != (len(AXES),):
            return f"delta: expected {len(AXES)} values ({', '.join(AXES)}), got shape {self.delta.shape}"
        for axis, value in zip(AXES, self.delta.tolist(), strict=True):
            # Written so that NaN fails it too.
            if not -1.0 - ROUNDING <= value <= 1.0 + ROUNDING:
                return f"delta {axis}: expected a number in [-1, 1], got {value:g}"
        if self.gripper not in (Gripper.STAY, Gripper.CLOSE, Gripper.OPEN):
            return f"gripper: expected 0 (stay), 1 (close) or 2 (open), got {self.gripper}"
        if self.gripper_goal is not None and not math.isfinite(self.gripper_goal):
            return f"gripper_goal: expected a finite jaw angle [rad], got {self.gripper_goal:g}"
        if self.source not in (Source.POLICY, Source.INTERVENTION, Source.DEMONSTRATION):
            return f"source: expected 0 (policy), 1 (intervention) or 2 (demonstration), got {self.source}"
        return None
