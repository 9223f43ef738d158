"""What every encoder promises: a frozen trunk whose output is cached, and a head that the critic trains."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """All cameras of an observation to one vector of features, in two parts.

    The trunk is frozen while the algorithm trains, so that its output can be cached with every frame. The
    head, the module's `forward`, takes that output; its parameters are trained with the critic. An encoder
    that trains all of its layers has no trunk and caches nothing.
    """

    pretrained_here: ClassVar[bool] = False
    """Whether the demonstrations train it before it is frozen."""

    def __init__(self, cameras: int, frame_size: tuple[int, int], size: int) -> None:
        super().__init__()
        self.camera_count = cameras
        self.frame_size = frame_size
        """Height and width that frames are brought to [px]."""
        self.size = size
        """Features of an observation."""
        self.cached_shape: tuple[int, ...] | None = None
        """Shape of what the trunk gives for an observation; None where there is no trunk."""

    def trunk(self, planes: Tensor) -> Tensor:
        """planes: (n, cameras, 3, height, width) in [-1, 1]. Returns (n, *cached_shape)."""
        raise NotImplementedError(f"{type(self).__name__} has no trunk")

    @abstractmethod
    def forward(self, vision: Tensor) -> Tensor:
        """vision: (n, *cached_shape), or planes where there is no trunk. Returns (n, size)."""

    def trainable(self) -> list[nn.Parameter]:
        """What the critic trains."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def encode(self, planes: Tensor) -> Tensor:
        """Trunk and head: (n, cameras, 3, height, width) to (n, size)."""
        return self(planes if self.cached_shape is None else self.trunk(planes))
