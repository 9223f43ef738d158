"""What a reward looks at: the crops of all cameras and the arm, put together by stamp or by age."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from hilrl_interfaces.msg import EeState
from hilrl_perception.reward_guard import ArmState
from hilrl_ros import images
from hilrl_ros.stamps import to_ns

STAMPS_KEPT = 8
"""Stamps in assembly at once."""


@dataclass(frozen=True)
class RewardObservation:
    """One stamp as a reward sees it."""

    stamp_ns: int
    frames: NDArray[np.uint8]
    """Shape (cameras, height, width, 3), rgb; its own copy."""
    arm: ArmState


class StampJoin:
    """Puts parts of equal stamps together; a stamp is whole once."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._parts: OrderedDict[int, dict[str, object]] = OrderedDict()
        self._whole: deque[int] = deque(maxlen=STAMPS_KEPT)

    def add(self, stamp_ns: int, name: str, value: object) -> dict[str, object] | None:
        """All parts of the stamp, if this is the last one of them."""
        if stamp_ns in self._whole:
            return None
        parts = self._parts.setdefault(stamp_ns, {})
        parts[name] = value
        if len(parts) == len(self._names):
            del self._parts[stamp_ns]
            self._whole.append(stamp_ns)
            return parts
        if len(self._parts) > STAMPS_KEPT:
            self._parts.popitem(last=False)
        return None


def frame_array(camera: str, message: Image, image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """A crop as rgb of shape (*image_size, 3). Raises ValueError naming the camera."""
    try:
        frame = images.to_array(message)
    except ValueError as error:
        raise ValueError(f"image_crop[{camera}]: {error}") from None
    if frame.shape[:2] != tuple(image_size):
        raise ValueError(
            f"image_crop[{camera}]: expected height x width {image_size[0]}x{image_size[1]}, "
            f"got {frame.shape[0]}x{frame.shape[1]}"
        )
    return frame


def arm_state(message: EeState) -> ArmState:
    """Raises ValueError where a number is not finite."""
    at = message.pose.position
    arm = ArmState((at.x, at.y, at.z), message.gripper_position, message.gripper_target)
    if not np.isfinite(arm.row()).all():
        raise ValueError(
            f"ee_state.pose, gripper_position, gripper_target: expected finite numbers, got {arm.row()}"
        )
    return arm


def joined(cameras: Sequence[str], stamp_ns: int, parts: dict[str, object]) -> RewardObservation:
    """The observation in the parts `image.<camera>` and `arm`."""
    frames = np.stack([parts[f"image.{camera}"] for camera in cameras])
    return RewardObservation(stamp_ns, frames, parts["arm"])


def part_names(cameras: Sequence[str]) -> list[str]:
    """Parts of an observation."""
    return [*(f"image.{camera}" for camera in cameras), "arm"]


@dataclass
class _Newest:
    value: object
    stamp_ns: int
    arrived_s: float


class NewestJoin:
    """Real time: every stream has its own rate; the first camera sets the pace.

    Stale is what arrived more than `max_age_s` ago, or was stamped more than that away from the first
    camera's frame.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        max_age_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: seconds, never set back."""
        self.max_age_s = max_age_s
        self._cameras = tuple(cameras)
        self._clock = clock
        self._newest: dict[str, _Newest] = {}

    def add(self, stamp_ns: int, name: str, value: object) -> None:
        """Take the newest of a stream, under a name of `part_names`."""
        self._newest[name] = _Newest(value, stamp_ns, self._clock())

    def take(self) -> tuple[RewardObservation | None, str]:
        """The observation at the first camera's newest frame, or None and why there is none."""
        stamp_ns = self._newest[f"image.{self._cameras[0]}"].stamp_ns
        now_s = self._clock()
        for name in part_names(self._cameras):
            newest = self._newest.get(name)
            if newest is None:
                return None, f"{name}: nothing received yet"
            age_s = max(now_s - newest.arrived_s, abs(newest.stamp_ns - stamp_ns) * 1e-9)
            if not age_s <= self.max_age_s or math.isnan(age_s):
                return None, f"{name}: {age_s:.2f} s old, expected at most {self.max_age_s} s"
        parts = {name: newest.value for name, newest in self._newest.items()}
        return joined(self._cameras, stamp_ns, parts), ""


def stamp_of(message: Image | EeState) -> int:
    """Nanoseconds."""
    return to_ns(message.header.stamp)
