"""The default encoder: a small convolution stack per camera, trained on the demonstrations, then frozen."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilrl_learning.encoders.base import Encoder

FRAME_PX = 64


class CameraCNN(nn.Module):
    """64x64 planes to `features` numbers. No pooling: where something is, is the task."""

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


class SmallCNN(Encoder):
    """A `CameraCNN` per camera. All of it is trunk."""

    pretrained_here = True

    def __init__(self, cameras: int, features_per_camera: int) -> None:
        size = cameras * features_per_camera
        super().__init__(cameras, (FRAME_PX, FRAME_PX), size)
        self.cached_shape = (size,)
        self.cameras = nn.ModuleList(CameraCNN(features_per_camera) for _ in range(cameras))

    def trunk(self, planes: Tensor) -> Tensor:
        """See `Encoder.trunk`."""
        return torch.cat([encode(planes[:, i]) for i, encode in enumerate(self.cameras)], dim=-1)

    def forward(self, vision: Tensor) -> Tensor:
        """The trunk's output is the embedding."""
        return vision

    def trainable(self) -> list[nn.Parameter]:
        """Nothing: pre-training is not the critic's business."""
        return []
