"""Assembles what the policy sees at one tick from crops, joint states, EE states and rewards.

In lockstep everything of a tick carries the same stamp, and a tick is whole when its last part has
arrived. In real time every stream has its own rate, and a tick is the newest of each, if none is stale.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, JointState

from hilrl_interfaces.msg import EeState, RewardEstimate
from hilrl_learning.data import Observation, ObservationSpec
from hilrl_learning.messages import finite_vector, image_array
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.stamps import to_ns

STAMPS_KEPT = 8
"""Ticks in assembly at once. One is usual; a few more only while a scene is reset."""


def state_names() -> tuple[str, ...]:
    """Names of the state vector's 19 elements, in order: [rad], [rad/s], [m], [m], [rad]."""
    return (
        *(f"joint_position.{name}" for name in JOINT_NAMES),
        *(f"joint_velocity.{name}" for name in JOINT_NAMES),
        *(f"ee_position.{axis}" for axis in "xyz"),
        *(f"ee_target.{axis}" for axis in "xyz"),
        "gripper_target",
    )


@dataclass(frozen=True)
class Tick:
    """One control tick as the actor finds it."""

    observation: Observation
    reward: float = 0.0
    """For arriving at this observation."""
    success: bool = False
    holding: bool = False
    """ee_controller moves nothing."""
    oldest_ns: int = 0
    """Stamp of its oldest part; in lockstep that of all."""


@dataclass(frozen=True)
class _Ee:
    values: NDArray[np.float32]
    """EE position, EE target, gripper target; shape (7,)."""
    holding: bool


def joint_values(message: JointState) -> NDArray[np.float32]:
    """Positions [rad], then velocities [rad/s], in the order of `JOINT_NAMES`; shape (12,).

    Raises ValueError naming the field when a joint is missing or a number is not finite.
    """
    count = len(JOINT_NAMES)
    names = tuple(message.name)
    if names != JOINT_NAMES and set(names) != set(JOINT_NAMES):
        raise ValueError(f"joint_states.name: expected {list(JOINT_NAMES)}, got {list(names)}")
    positions = finite_vector("joint_states.position", message.position, count)
    velocities = finite_vector("joint_states.velocity", message.velocity, count)
    if names != JOINT_NAMES:
        order = [names.index(name) for name in JOINT_NAMES]
        positions, velocities = positions[order], velocities[order]
    return np.concatenate((positions, velocities))


def _ee(message: EeState) -> _Ee:
    here, there = message.pose.position, message.target.position
    values = (here.x, here.y, here.z, there.x, there.y, there.z, message.gripper_target)
    return _Ee(finite_vector("ee_state.pose, target, gripper_target", values, len(values)), message.holding)


def _reward(message: RewardEstimate) -> tuple[float, bool]:
    if not np.isfinite(message.reward):
        raise ValueError(f"reward.reward: expected a finite number, got {message.reward}")
    return message.reward, message.success


def _observation(
    stamp_ns: int, joints: NDArray[np.float32], ee: _Ee, frames: list[NDArray[np.uint8]]
) -> Observation:
    # Frames may be views of received messages; the stack is the observation's own copy.
    return Observation(stamp_ns, np.concatenate((joints, ee.values)), np.stack(frames))


class LockstepSync:
    """Ticks of equal stamps. Each `add_*` returns the tick that its message made whole, else None.

    A stamp that comes again is a repeat: its joint state gives the same tick again, once.
    """

    def __init__(self, spec: ObservationSpec) -> None:
        self._spec = spec
        self._parts: OrderedDict[int, dict[str, object]] = OrderedDict()
        self._whole: OrderedDict[int, Tick] = OrderedDict()
        self._part_count = len(spec.cameras) + 3

    def add_image(self, camera: str, message: Image) -> Tick | None:
        """Raises ValueError naming the field when the image does not fit the spec."""
        frame = image_array(f"image_crop[{camera}]", message, self._spec.image_size)
        return self._add(to_ns(message.header.stamp), f"image.{camera}", frame)

    def add_joint_state(self, message: JointState) -> Tick | None:
        """Raises ValueError naming the field when joints are missing or not finite."""
        stamp_ns = to_ns(message.header.stamp)
        return self._add(stamp_ns, "joints", joint_values(message)) or self._whole.get(stamp_ns)

    def add_ee_state(self, message: EeState) -> Tick | None:
        """Raises ValueError naming the field when a number is not finite."""
        return self._add(to_ns(message.header.stamp), "ee", _ee(message))

    def add_reward(self, message: RewardEstimate) -> Tick | None:
        """Raises ValueError naming the field when the reward is not finite."""
        return self._add(to_ns(message.header.stamp), "reward", _reward(message))

    def newest(self) -> Tick | None:
        """The tick that became whole last."""
        return next(reversed(self._whole.values()), None)

    def forget(self) -> None:
        """What came so far belongs to a scene that is over."""
        self._parts.clear()
        self._whole.clear()

    def _add(self, stamp_ns: int, part: str, value: object) -> Tick | None:
        if stamp_ns in self._whole:
            return None
        parts = self._parts.setdefault(stamp_ns, {})
        parts[part] = value
        if len(parts) < self._part_count:
            if len(self._parts) > STAMPS_KEPT:
                self._parts.popitem(last=False)
            return None
        del self._parts[stamp_ns]
        reward, success = parts["reward"]
        frames = [parts[f"image.{camera}"] for camera in self._spec.cameras]
        observation = _observation(stamp_ns, parts["joints"], parts["ee"], frames)
        tick = Tick(observation, reward, success, parts["ee"].holding, stamp_ns)
        self._whole[stamp_ns] = tick
        if len(self._whole) > STAMPS_KEPT:
            self._whole.popitem(last=False)
        return tick


@dataclass
class _Newest:
    value: object
    stamp_ns: int
    arrived_s: float
    interval_s: float = math.inf
    """Since the one before it arrived."""


class RealTimeSync:
    """The newest of every stream, refused with a reason when one of them is stale.

    Stale is what arrived more than `max_age_s` ago, and what was stamped more than `max_age_s` away from
    the joint state. Both are independent of the clocks of this machine and of the camera's agreeing.
    """

    def __init__(
        self, spec: ObservationSpec, max_age_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds, never set back."""
        self._spec = spec
        self._clock = clock
        self.max_age_s = max_age_s
        self._newest: dict[str, _Newest] = {}
        self._cameras = [f"image_crop[{name}]" for name in spec.cameras]
        self._names = [*self._cameras, "joint_states", "ee_state"]
        self._reward = 0.0
        self._success = False
        self._taken: Tick | None = None
        self._seen_ns: dict[str, int] = {}
        """Stamp of the frame of each camera that was taken last."""

    @property
    def has_new_frames(self) -> bool:
        """Whether it is time to take them.

        Each camera has given one since the last tick, and none of them is so old that it is worth waiting for
        the next one: of cameras that see at one time, it is the last that counts.
        """
        newest = [self._newest[name] for name in self._cameras if name in self._newest]
        seen = [self._seen_ns.get(name) for name in self._cameras]
        if len(newest) < len(seen) or any(n.stamp_ns == s for n, s in zip(newest, seen, strict=True)):
            return False
        now_s = max(n.arrived_s for n in newest)
        return all(now_s - n.arrived_s <= 0.5 * n.interval_s for n in newest)

    def add_image(self, camera: str, message: Image) -> None:
        """Raises ValueError as in lockstep."""
        name = f"image_crop[{camera}]"
        self._set(name, image_array(name, message, self._spec.image_size), message)

    def add_joint_state(self, message: JointState) -> None:
        """Raises ValueError as in lockstep."""
        self._set("joint_states", joint_values(message), message)

    def add_ee_state(self, message: EeState) -> None:
        """Raises ValueError as in lockstep."""
        self._set("ee_state", _ee(message), message)

    def add_reward(self, message: RewardEstimate) -> None:
        """A success between two ticks counts, even if a later estimate takes it back."""
        reward, success = _reward(message)
        if success or not self._success:
            self._reward, self._success = reward, success

    def take(self) -> tuple[Tick | None, str]:
        """The tick of this moment, or None and why there is none.

        Its stamp is that of the joint state; its reward is of what came since the last tick taken.
        Until there is a new joint state it is the same tick again.
        """
        self._seen_ns = {n: self._newest[n].stamp_ns for n in self._cameras if n in self._newest}
        if reason := self._stale():
            return None, reason
        joints = self._newest["joint_states"]
        if self._taken is not None and self._taken.observation.stamp_ns == joints.stamp_ns:
            return self._taken, ""
        ee = self._newest["ee_state"].value
        frames = [self._newest[name].value for name in self._cameras]
        observation = _observation(joints.stamp_ns, joints.value, ee, frames)
        oldest_ns = min(self._newest[name].stamp_ns for name in self._names)
        self._taken = Tick(observation, self._reward, self._success, ee.holding, oldest_ns)
        self._reward, self._success = 0.0, False
        return self._taken, ""

    def forget(self) -> None:
        """What came so far belongs to a scene that is over."""
        self._newest.clear()
        self._reward, self._success = 0.0, False
        self._taken = None

    def _set(self, name: str, value: object, message: Image | JointState | EeState) -> None:
        now_s, before = self._clock(), self._newest.get(name)
        interval_s = now_s - before.arrived_s if before else math.inf
        self._newest[name] = _Newest(value, to_ns(message.header.stamp), now_s, interval_s)

    def _stale(self) -> str:
        now_s = self._clock()
        for name in self._names:
            newest = self._newest.get(name)
            if newest is None:
                return f"{name}: nothing received yet"
            age_s = now_s - newest.arrived_s
            if age_s > self.max_age_s:
                return f"{name}: the newest is {age_s:.2f} s old, expected at most {self.max_age_s} s"
        joints = self._newest["joint_states"]
        for name in self._names:
            apart_s = abs(self._newest[name].stamp_ns - joints.stamp_ns) * 1e-9
            if apart_s > self.max_age_s:
                return (
                    f"{name}: stamped {apart_s:.2f} s away from the joint state, "
                    f"expected at most {self.max_age_s} s"
                )
        return ""
