"""The frozen part of an encoder, applied once to every frame of a replay."""

import numpy as np
import torch
from numpy.typing import NDArray

from hilrl_learning.encoders import Encoder
from hilrl_learning.encoders.augmentation import random_shift
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.replay import Replay

GROUP = 16
"""Observations encoded at once: one product over many frames costs little more than over one."""


class VisionCache:
    """Keeps a replay's cached trunk outputs those of the present encoder."""

    def __init__(
        self,
        encoder: Encoder,
        preprocessor: Preprocessor,
        replay: Replay,
        crops: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        """`crops` are cached per frame: the frame as served, the others shifted at random."""
        self._encoder, self._preprocessor, self._replay = encoder, preprocessor, replay
        self._crops, self._generator, self._device = crops, generator, device
        self.version = 0
        """Of the encoder; 0: it cannot be used yet."""
        self.owed = 0
        """Observations that an earlier encoder may have cached and the present one has not yet."""

    def renew(self, version: int) -> None:
        """The encoder is another one now: what is cached by others is encoded again, little by little."""
        self.version = version
        if self._replay.caches:
            self._replay.encode_with(version)
            self.owed = self._replay.uncached

    @property
    def waiting(self) -> int:
        """Observations to encode before they can be trained on."""
        return self._replay.uncached if self.version > 0 and self._replay.caches else 0

    def work(self) -> None:
        """Encode the `GROUP` that has waited longest."""
        with self._replay.lock:
            slots, serials = self._replay.take_uncached(GROUP)
            images = self._replay.images[slots]
        self._replay.cache(slots, serials, self.encode(images))
        self.owed = max(0, self.owed - len(slots))

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Frames (n, cameras, height, width, 3) to (n, crops, *cached_shape).

        Caching would otherwise cost the augmentation: the first crop is the frame as the acting policy sees
        it, the others are shifted at random.
        """
        with torch.no_grad():
            frames = self._preprocessor.shrink(torch.from_numpy(images).to(self._device))
            crops = [frames] + [random_shift(frames, self._generator) for _ in range(self._crops - 1)]
            outputs = self._encoder.trunk(self._preprocessor.planes(torch.cat(crops)))
            outputs = outputs.unflatten(0, (self._crops, len(images))).transpose(0, 1)
            return outputs.half().cpu().numpy()
