"""Records what the cameras see during the first episodes of an evaluation."""

from collections.abc import Callable, Sequence
from pathlib import Path

import imageio
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

from hilrl.episodes import EpisodeRecord
from hilrl_ros import images

CAMERAS = ("front", "wrist")
SCALE = 3
"""Magnification; the policy's images are small."""


class Recorder:
    """Keeps frames in memory while episodes run, writes files afterwards."""

    def __init__(self, episodes: int) -> None:
        """Record the first `episodes` episodes."""
        self._wanted = episodes
        self._episodes: list[tuple[EpisodeRecord, list[NDArray[np.uint8]]]] = []
        self._frames: list[NDArray[np.uint8]] = []
        self._newest: dict[str, NDArray[np.uint8]] = {}
        self._subscriptions: list[Subscription] = []
        self._node: RosNode | None = None

    def subscribe(self, node: RosNode, robot: str, count: Callable[[], None]) -> None:
        """Listen to the cameras under the namespace `robot`; `count` is called for every frame."""
        if not self._wanted:
            return
        self._node = node

        def on_frame(camera: str) -> Callable[[Image], None]:
            def take(message: Image) -> None:
                count()
                self._take(camera, images.to_array(message))

            return take

        self._subscriptions = [
            node.create_subscription(
                Image, f"{robot}/camera/{name}/image_raw", on_frame(name), QoSProfile(depth=64)
            )
            for name in CAMERAS
        ]

    def end_of_episode(self, record: EpisodeRecord) -> None:
        """The frames since the last episode belong to `record`."""
        if len(self._episodes) >= self._wanted:
            return
        self._episodes.append((record, self._frames))
        self._frames, self._newest = [], {}
        if len(self._episodes) == self._wanted and self._node is not None:
            for subscription in self._subscriptions:
                self._node.destroy_subscription(subscription)

    def write(self, folder: Path, label: str, frames_per_s: float) -> list[Path]:
        """One MP4 per episode, named by its outcome."""
        written = []
        for number, (record, frames) in enumerate(self._episodes):
            if not frames:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            outcome = "success" if record.success else "failure"
            path = folder / f"{label.replace(' ', '-')}-{number:02d}-{outcome}.mp4"
            imageio.mimwrite(path, _magnified(frames), fps=frames_per_s, macro_block_size=1)
            written.append(path)
        return written

    def _take(self, camera: str, frame: NDArray[np.uint8]) -> None:
        self._newest[camera] = frame
        if len(self._newest) == len(CAMERAS):
            self._frames.append(np.hstack([self._newest.pop(name) for name in CAMERAS]))


def _magnified(frames: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    return [frame.repeat(SCALE, axis=0).repeat(SCALE, axis=1) for frame in frames]
