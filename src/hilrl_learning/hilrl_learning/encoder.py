"""The image encoder: one small convolution stack per camera, spatial layout kept."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilrl_learning.preprocessor import Preprocessor

SHIFT_PX = 3
"""Largest random shift, in pixels of the 64x64 frame (DrQ, arXiv 2004.13649, scaled from 84 px)."""


class CameraEncoder(nn.Module):
    """64x64 frame to `features` numbers. No pooling: where something is, is the task."""

    def __init__(self, features: int, channels: int = 32) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(3 if layer == 0 else channels, channels, 3, stride=2, padding=1) for layer in range(4)
        )
        self.project = nn.Linear(channels * 4 * 4, features)

    def forward(self, planes: Tensor) -> Tensor:
        """planes: (n, 3, 64, 64). Returns (n, features) in (-1, 1)."""
        x = planes
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        x = self.project(x.flatten(1))
        return torch.tanh(F.layer_norm(x, x.shape[-1:]))


class Encoder(nn.Module):
    """All cameras of an observation to one embedding."""

    def __init__(self, cameras: int, features_per_camera: int = 64) -> None:
        super().__init__()
        self.cameras = nn.ModuleList(CameraEncoder(features_per_camera) for _ in range(cameras))
        self.size = cameras * features_per_camera

    def forward(self, small: Tensor, preprocessor: Preprocessor) -> Tensor:
        """small: uint8 (n, cameras, 64, 64, 3) from `Preprocessor.shrink`. Returns (n, size)."""
        embeddings = [
            encode(preprocessor.planes(small[:, camera])) for camera, encode in enumerate(self.cameras)
        ]
        return torch.cat(embeddings, dim=-1)


def random_shift(small: Tensor, generator: torch.Generator) -> Tensor:
    """Shift every frame (n, cameras, 64, 64, 3) by up to `SHIFT_PX` each way, edges repeated."""
    count, cameras, size, _, channels = small.shape
    flat = small.reshape(count * cameras, size, size, channels)
    device = small.device
    offset = torch.randint(-SHIFT_PX, SHIFT_PX + 1, (2, count * cameras, 1), generator=generator).to(device)
    pixels = torch.arange(size, device=device)
    rows = (pixels + offset[0]).clamp_(0, size - 1)
    columns = (pixels + offset[1]).clamp_(0, size - 1)
    frame = torch.arange(count * cameras, device=device)[:, None, None]
    return flat[frame, rows[:, :, None], columns[:, None, :]].reshape(small.shape)


def colour_jitter(small: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random gain and offset per frame and channel, so that light and white balance are not features."""
    if strength == 0.0:
        return small
    shape = (*small.shape[:2], 1, 1, 3)
    gain = 1.0 + strength * (2.0 * torch.rand(shape, generator=generator) - 1.0)
    gain *= 1.0 + strength * (2.0 * torch.rand((*small.shape[:2], 1, 1, 1), generator=generator) - 1.0)
    offset = 128.0 * strength * (2.0 * torch.rand(shape, generator=generator) - 1.0)
    gain, offset = gain.to(small.device), offset.to(small.device)
    return (small.float() * gain + offset).clamp_(0, 255).to(torch.uint8)


def embed(
    encoder: Encoder, preprocessor: Preprocessor, images: Tensor, crops: int, generator: torch.Generator
) -> Tensor:
    """Embeddings of uint8 frames (n, cameras, height, width, 3): (n, crops, size).

    The first crop is the frame as the acting policy sees it, the others are shifted at random: caching
    embeddings would otherwise cost the augmentation.
    """
    count, cameras = images.shape[:2]
    with torch.no_grad():
        small = preprocessor.shrink(images.flatten(0, 1)).unflatten(0, (count, cameras))
        shifted = [small] + [random_shift(small, generator) for _ in range(crops - 1)]
        return encoder(torch.cat(shifted), preprocessor).unflatten(0, (crops, count)).transpose(0, 1)
