"""Records what the cameras see during the first episodes of an evaluation."""

from dataclasses import dataclass
from pathlib import Path

import imageio
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from hilrl_interfaces.msg import Episode
from hilrl_ros import images
from hilrl_ros.stamps import to_ns

CAMERAS = ("front", "wrist")
SCALE = 3
"""Magnification; the policy's images are small."""


@dataclass(frozen=True)
class _Clip:
    start_ns: int
    end_ns: int
    success: bool


class Recorder:
    """Keeps frames in memory while episodes run, writes files afterwards.

    Frames are put to episodes by their stamps: topics do not keep order among each other.
    """

    def __init__(self, episodes: int) -> None:
        """Record the first `episodes` episodes."""
        self.messages = 0
        self._wanted = episodes
        self._clips: list[_Clip] = []
        self._frames: dict[int, dict[str, NDArray[np.uint8]]] = {}
        """By stamp [ns] and camera; (height, width, 3) each."""
        self._subscriptions: list[Subscription] = []

    def subscribe(self, node: RosNode, robot: str) -> None:
        """Listen to the actor and the cameras under the namespace `robot`."""
        if not self._wanted:
            return
        self._node = node
        self._subscriptions = [
            node.create_subscription(Episode, f"{robot}/episode", self._on_episode, QoSProfile(depth=100))
        ]
        for camera in CAMERAS:
            self._subscriptions.append(
                node.create_subscription(
                    Image,
                    f"{robot}/camera/{camera}/image_raw",
                    lambda message, camera=camera: self._on_image(camera, message),
                    QoSProfile(depth=64),
                )
            )

    def write(self, folder: Path, label: str, control_hz: float) -> list[Path]:
        """One MP4 per episode, at the pace of the arm, named by its outcome."""
        written = []
        for number, clip in enumerate(self._clips[: self._wanted]):
            frames = [
                np.hstack([views[camera] for camera in CAMERAS])
                for stamp, views in sorted(self._frames.items())
                if clip.start_ns <= stamp <= clip.end_ns and len(views) == len(CAMERAS)
            ]
            if not frames:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            outcome = "success" if clip.success else "failure"
            path = folder / f"{label.replace(' ', '-')}-{number:02d}-{outcome}.mp4"
            # On a busy machine some frames do not get here; what came fills the same time.
            pace = len(frames) / max((clip.end_ns - clip.start_ns) * 1e-9, 1 / control_hz)
            imageio.mimwrite(path, _magnified(frames), fps=min(pace, control_hz), macro_block_size=1)
            written.append(path)
        return written

    def _on_episode(self, message: Episode) -> None:
        self.messages += 1
        if len(self._clips) > self._wanted:
            return
        if message.finished:
            end_ns = to_ns(message.header.stamp)
            start_ns = end_ns - round(message.duration_s * 1e9)
            self._clips.append(_Clip(start_ns, end_ns, message.success))
        elif len(self._clips) == self._wanted:
            self._stop()

    def _on_image(self, camera: str, message: Image) -> None:
        self.messages += 1
        self._frames.setdefault(to_ns(message.header.stamp), {})[camera] = images.to_array(message)

    def _stop(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []


def _magnified(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    return [frame.repeat(SCALE, axis=0).repeat(SCALE, axis=1) for frame in frames]
