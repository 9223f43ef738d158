"""One preprocessor for training and for serving: how raw observations become network inputs."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn


class Preprocessor(nn.Module):
    """Standardises the state, brings frames to the encoder's size; its constants travel with the weights."""

    ENCODER_SIZE = 64
    """Side of the square frame an encoder sees [px]."""
    STD_FLOOR = 0.02
    """[m] or [rad]: what hardly moved in the demonstrations must not be blown up into a signal."""
    CLIP = 5.0

    def __init__(self, state_size: int) -> None:
        super().__init__()
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
        """uint8 frames (n, height, width, 3) to uint8 (n, 64, 64, 3), each pixel an area average."""
        size = self.ENCODER_SIZE
        if frames.shape[1:3] == (size, size):
            return frames
        planes = frames.permute(0, 3, 1, 2).float()
        height, width = planes.shape[2:]
        if height % size == 0 and width % size == 0:
            planes = F.avg_pool2d(planes, (height // size, width // size))
        else:
            planes = F.adaptive_avg_pool2d(planes, size)
        return planes.round_().to(torch.uint8).permute(0, 2, 3, 1)

    def planes(self, small: Tensor) -> Tensor:
        """uint8 frames (n, 64, 64, 3) to float planes (n, 3, 64, 64) in [-1, 1]."""
        return small.permute(0, 3, 1, 2).float().mul_(2.0 / 255.0).sub_(1.0)
