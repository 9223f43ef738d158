"""Fixed rules that say when a task is done. Plain, no ROS."""

import math
from dataclasses import dataclass

from hilrl_perception.reward_guard import ArmState, Guard

RULES = ("object_height", "gripper_width", "ee_pose", "never")
STILL_RAD_S = 0.2
"""A jaw that moves faster is on its way, and has not met anything yet [rad/s]."""


@dataclass
class Rule:
    """Whether a stamp, on its own, looks like a success."""

    name: str
    bounds: Guard
    """gripper_width: of the jaws; ee_pose: of the TCP."""
    object_rise_m: float
    """object_height: how far the first object has risen since the episode began [m]."""

    def __post_init__(self) -> None:
        """Raises ValueError for a rule that is not there."""
        if self.name not in RULES:
            raise ValueError(f"rule: expected one of {list(RULES)}, got {self.name!r}")
        self.begin()

    @property
    def needs_truth(self) -> bool:
        """It asks a simulator."""
        return self.name == "object_height"

    def begin(self) -> None:
        """An episode begins: where the object rests is to be seen anew."""
        self._rest_height_m = math.inf
        self._jaw: tuple[int, float] | None = None

    def holds(self, stamp_ns: int, arm: ArmState, object_height_m: float | None = None) -> bool:
        """`object_height_m`: of the first object, needed where the rule `needs_truth`."""
        if self.name == "never":
            return False
        if self.name == "object_height":
            # The lowest one: the first may still be of the scene before.
            self._rest_height_m = min(self._rest_height_m, object_height_m)
            return object_height_m - self._rest_height_m >= self.object_rise_m
        if self.name == "gripper_width":
            jaws = Guard(self.bounds.gripper_range, self.bounds.gripper_target_range)
            return self._jaw_is_still(stamp_ns, arm.gripper_position) and not jaws.objection(arm)
        return not Guard(ee_min=self.bounds.ee_min, ee_max=self.bounds.ee_max).objection(arm)

    def _jaw_is_still(self, stamp_ns: int, angle: float) -> bool:
        before, self._jaw = self._jaw, (stamp_ns, angle)
        if before is None or stamp_ns <= before[0]:
            return False
        return abs(angle - before[1]) <= STILL_RAD_S * (stamp_ns - before[0]) * 1e-9
