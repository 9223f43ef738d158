"""The trained heads on the cameras' feature maps."""

import torch
from torch import Tensor, nn


class SpatialHead(nn.Module):
    """Feature map of one camera to a vector, keeping where things are (HIL-SERL, arXiv 2410.21845).

    Every channel of the map is summed over its pixels with `EMBEDDINGS` learned weightings; dropout, a linear
    bottleneck, LayerNorm and tanh follow.
    """

    EMBEDDINGS = 8
    DROPOUT = 0.1

    def __init__(self, channels: int, height: int, width: int, features: int) -> None:
        super().__init__()
        pixels = height * width
        # Scaled by what is summed, so that a weighting keeps the spread of the map's values.
        self.kernel = nn.Parameter(torch.randn(channels, self.EMBEDDINGS, pixels) * pixels**-0.5)
        self.bottleneck = nn.Sequential(
            nn.Dropout(self.DROPOUT),
            nn.Linear(channels * self.EMBEDDINGS, features),
            nn.LayerNorm(features),
            nn.Tanh(),
        )

    def forward(self, feature_map: Tensor) -> Tensor:
        """feature_map: (n, channels, height, width). Returns (n, features) in (-1, 1)."""
        # A product per channel with the observations last, (embeddings, pixels) x (pixels, n): the order in
        # which neither the maps nor the sums are copied. Half the time of the other one on a CPU.
        sums = torch.bmm(self.kernel, feature_map.flatten(2).permute(1, 2, 0))
        return self.bottleneck(sums.flatten(0, 1).T)


class SpatialHeads(nn.ModuleList):
    """A `SpatialHead` per camera."""

    def __init__(self, cameras: int, channels: int, height: int, width: int, features: int) -> None:
        super().__init__(SpatialHead(channels, height, width, features) for _ in range(cameras))

    def forward(self, maps: Tensor) -> Tensor:
        """maps: (n, cameras, channels, height, width). Returns (n, cameras * features), camera by camera."""
        return torch.cat([head(maps[:, i]) for i, head in enumerate(self)], dim=-1)
