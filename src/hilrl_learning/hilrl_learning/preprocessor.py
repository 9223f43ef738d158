"""One preprocessor for training and for serving: how raw observations become network inputs."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn


class Preprocessor(nn.Module):
    """Standardises the state, brings frames to the encoder's size; its constants travel with the weights."""

    STD_FLOOR = 0.02
    """[m] or [rad]: what hardly moved in the demonstrations must not be blown up into a signal."""
    CLIP = 5.0

    def __init__(self, state_size: int, frame_size: tuple[int, int]) -> None:
        """`frame_size`: height and width of the frames an encoder sees [px]."""
        super().__init__()
        self.frame_size = frame_size
        self.register_buffer("state_mean", torch.zeros(state_size))
        self.register_buffer("state_std", torch.ones(state_size))

    def fit(self, states: NDArray[np.float32]) -> None:
        """Take mean and deviation from states of shape (n, state)."""
        self.state_mean.copy_(torch.from_numpy(states.mean(0)))
        self.state_std.copy_(torch.from_numpy(np.maximum(states.std(0), self.STD_FLOOR)))

    def state(self, raw: Tensor) -> Tensor:
        """Raw state (..., state) to a standardised one, clipped to +-5 deviations."""
        return ((raw - self.state_mean) / self.state_std).clamp(-self.CLIP, self.CLIP)

    def shrink(self, frames: Tensor) -> Tensor:
        """uint8 frames (n, cameras, height, width, 3) to uint8 ones of `frame_size`, by area averages."""
        height, width = self.frame_size
        if frames.shape[2:4] == (height, width):
            return frames
        rows, columns = frames.shape[2:4]
        if rows % height == 0 and columns % width == 0:
            # A third of the time of pooling: whole frames are added up, in integers.
            across, down = columns // width, rows // height
            wide = frames.to(torch.int16 if across * down <= 128 else torch.int32)
            total = sum(wide[:, :, i::down, j::across] for i in range(down) for j in range(across))
            return total.float().mul_(1.0 / (down * across)).round_().to(torch.uint8)
        planes = frames.flatten(0, 1).permute(0, 3, 1, 2).float()
        small = F.adaptive_avg_pool2d(planes, self.frame_size).round_().to(torch.uint8)
        return small.permute(0, 2, 3, 1).unflatten(0, frames.shape[:2])

    def planes(self, frames: Tensor) -> Tensor:
        """uint8 frames (n, cameras, height, width, 3) to planes (n, cameras, 3, height, width) in [-1, 1]."""
        # Laid out as the frames are, channels last, which convolutions like.
        return frames.permute(0, 1, 4, 2, 3).float().mul_(2.0 / 255.0).sub_(1.0)
