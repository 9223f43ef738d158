"""An encoder that the critic trains from its pixels up."""

from torch import Tensor, nn

from hilrl_learning.encoders.base import Encoder
from hilrl_learning.encoders.spatial import SpatialHeads

CHANNELS = 32
KERNELS = (7, 5, 3, 3)
SMALLEST_PX = 39
"""Side of a frame of which the convolutions leave one pixel [px]."""


class EndToEnd(Encoder):
    """Four stride-2 convolutions shared by all cameras, and a `SpatialHead` per camera.

    The layers of LeRobot's default image encoder. Nothing is cached: every update sees frames, shifted at
    random (DrQ, arXiv 2004.13649). A CPU takes a hundred times as long for it as for cached features.
    """

    def __init__(self, cameras: int, frame_size: tuple[int, int], features_per_camera: int) -> None:
        """Raises ValueError when frames are too small for the convolutions."""
        super().__init__(cameras, frame_size, cameras * features_per_camera)
        layers: list[nn.Module] = []
        channels, (height, width) = 3, frame_size
        for kernel in KERNELS:
            convolution = nn.Conv2d(channels, CHANNELS, kernel, stride=2)
            # DrQ's start. With PyTorch's own the signal fades from layer to layer; some seeds never learn.
            nn.init.orthogonal_(convolution.weight, nn.init.calculate_gain("relu"))
            nn.init.zeros_(convolution.bias)
            # In place: the first layer's output is by far the largest tensor of an update.
            layers += [convolution, nn.ReLU(inplace=True)]
            channels, height, width = CHANNELS, (height - kernel) // 2 + 1, (width - kernel) // 2 + 1
        if min(height, width) < 1:
            raise ValueError(
                f"end_to_end: expected frames of at least {SMALLEST_PX} px a side, got {frame_size}; "
                "raise image_size or choose small_cnn"
            )
        self.convolutions = nn.Sequential(*layers)
        self.heads = SpatialHeads(cameras, CHANNELS, height, width, features_per_camera)

    def forward(self, vision: Tensor) -> Tensor:
        """vision: planes (n, cameras, 3, height, width). Returns (n, size)."""
        maps = self.convolutions(vision.flatten(0, 1))
        return self.heads(maps.unflatten(0, vision.shape[:2]))
