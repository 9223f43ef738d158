"""Films episodes as the policy sees them."""

from pathlib import Path

import imageio
import numpy as np
from numpy.typing import NDArray

SCALE = 3
"""Magnification; the policy's images are small."""


class EpisodeVideo:
    """Keeps the frames of the running episode in memory and writes one MP4 per episode."""

    def __init__(self, prefix: Path, episodes: int, control_hz: float) -> None:
        """Film the first `episodes` episodes at the pace of the arm, as `<prefix>-00-success.mp4` ...."""
        self._prefix, self._episodes, self._control_hz = prefix, episodes, control_hz
        self._number = 0
        self._frames: list[NDArray[np.uint8]] = []

    def add(self, images: NDArray[np.uint8]) -> None:
        """One tick; (cameras, height, width, 3)."""
        if self._number < self._episodes:
            self._frames.append(np.hstack(list(images)).repeat(SCALE, axis=0).repeat(SCALE, axis=1))

    def end(self, success: bool) -> None:
        """The episode is over."""
        if self._frames:
            outcome = "success" if success else "failure"
            path = self._prefix.with_name(f"{self._prefix.name}-{self._number:02d}-{outcome}.mp4")
            path.parent.mkdir(parents=True, exist_ok=True)
            imageio.mimwrite(path, self._frames, fps=self._control_hz, macro_block_size=1)
        self._frames = []
        self._number += 1
