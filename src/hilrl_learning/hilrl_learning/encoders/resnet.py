"""Frozen ResNets with the weights that timm and torchvision publish, and a head that the critic trains."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilrl_learning.encoders.base import Encoder
from hilrl_learning.encoders.spatial import SpatialHeads

HUB = "https://huggingface.co"
"""Where timm's models are; the environment variable HF_ENDPOINT names a mirror."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
STRIDE = 32
"""Pixels of a frame per pixel of the last feature map, each way."""


class ResNet(Encoder):
    """A frozen ResNet, shared by all cameras, up to its last feature map; a `SpatialHead` per camera.

    The feature maps are cached; the critic trains the heads alone (HIL-SERL, arXiv 2410.21845).
    """

    def __init__(
        self,
        cameras: int,
        image_size: tuple[int, int],
        features_per_camera: int,
        weights: str,
        pretrained: bool = True,
    ) -> None:
        """`weights` says where the trunk's come from; raises ValueError as `load_backbone` does.

        Without `pretrained` it tells the architecture alone, for whoever loads a state dict next.
        """
        super().__init__(cameras, image_size, cameras * features_per_camera)
        backbone = load_backbone(weights) if pretrained else Backbone(_parse(weights)[0])
        self.backbone = backbone.requires_grad_(False)
        height, width = (-(-side // STRIDE) for side in image_size)
        self.cached_shape = (cameras, self.backbone.channels, height, width)
        self.heads = SpatialHeads(*self.cached_shape, features_per_camera)
        # Of planes in [-1, 1], not of colours in [0, 1].
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        self.register_buffer("mean", (2.0 * mean - 1.0).view(3, 1, 1), persistent=False)
        self.register_buffer("std", (2.0 * std).view(3, 1, 1), persistent=False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Only the heads have a training mode: the trunk's batch statistics stay those of its weights."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.no_grad()
    def trunk(self, planes: Tensor) -> Tensor:
        """See `Encoder.trunk`. All cameras are one batch."""
        maps = self.backbone((planes.flatten(0, 1) - self.mean) / self.std)
        return maps.unflatten(0, planes.shape[:2])

    def forward(self, vision: Tensor) -> Tensor:
        """vision: feature maps (n, *cached_shape). Returns (n, size)."""
        return self.heads(vision)


class Architecture(NamedTuple):
    """What a ResNet's name stands for."""

    depths: tuple[int, int, int, int]
    """Blocks per stage."""
    bottleneck: bool = False
    tiered: bool = False
    """timm's "t": three 3x3 convolutions in place of the first, shortcuts that average before they skip."""


ARCHITECTURES = {
    "resnet10t": Architecture((1, 1, 1, 1), tiered=True),
    "resnet18": Architecture((2, 2, 2, 2)),
    "resnet34": Architecture((3, 4, 6, 3)),
    "resnet50": Architecture((3, 4, 6, 3), bottleneck=True),
}


class Backbone(nn.Module):
    """A ResNet (arXiv 1512.03385) without its classifier. Parameters are named as timm and torchvision do."""

    def __init__(self, name: str) -> None:
        """`name` is one of `ARCHITECTURES`."""
        super().__init__()
        architecture = ARCHITECTURES[name]
        block = Bottleneck if architecture.bottleneck else BasicBlock
        self.conv1 = _tiered_stem() if architecture.tiered else nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.channels = 64
        for stage, depth in enumerate(architecture.depths):
            width, blocks = 64 << stage, []
            for i in range(depth):
                stride = 2 if i == 0 and stage > 0 else 1
                blocks.append(block(self.channels, width, stride, architecture.tiered))
                self.channels = width * block.EXPANSION
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, planes: Tensor) -> Tensor:
        """planes: (n, 3, height, width), standardised. Returns (n, channels, height / 32, width / 32)."""
        x = F.relu(self.bn1(self.conv1(planes)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    EXPANSION = 1

    def __init__(self, channels: int, width: int, stride: int, tiered: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels, width, stride, tiered)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels, height, width)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two that narrow and widen, and a shortcut."""

    EXPANSION = 4

    def __init__(self, channels: int, width: int, stride: int, tiered: bool) -> None:
        super().__init__()
        wide = width * self.EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, wide, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(wide)
        self.downsample = _shortcut(channels, wide, stride, tiered)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, channels, height, width)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _tiered_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1, bias=False),
        nn.BatchNorm2d(24),
        nn.ReLU(),
        nn.Conv2d(24, 32, 3, 1, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 1, 1, bias=False),
    )


def _shortcut(channels: int, wide: int, stride: int, tiered: bool) -> nn.Module:
    if stride == 1 and channels == wide:
        return nn.Identity()
    if not tiered:
        return nn.Sequential(nn.Conv2d(channels, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))
    return nn.Sequential(
        nn.AvgPool2d(2, stride, ceil_mode=True) if stride > 1 else nn.Identity(),
        nn.Conv2d(channels, wide, 1, bias=False),
        nn.BatchNorm2d(wide),
    )


def load_backbone(weights: str) -> Backbone:
    """A `Backbone` with published weights, in float32, on the CPU.

    weights: "resnet18:/path/to/file.safetensors", an architecture of `ARCHITECTURES` and a local file
    (.safetensors, .pth or .pt); or "timm/resnet18.a1_in1k", a model of timm's on the Hugging Face hub,
    fetched once into PyTorch's cache. They are to expect ImageNet's mean and deviation. Raises ValueError
    when they cannot be had, or saying which tensors do not fit the architecture.
    """
    name, file = _parse(weights)
    path = Path(file).expanduser() if file else _fetch(weights)
    backbone = Backbone(name)
    wanted, given = _needed(backbone.state_dict()), _needed(_read(path))
    wrong = (
        [f"{key} is missing" for key in wanted.keys() - given.keys()]
        + [f"{key} is not known" for key in given.keys() - wanted.keys()]
        + [
            f"{key} has shape {tuple(given[key].shape)}, expected {tuple(wanted[key].shape)}"
            for key in wanted.keys() & given.keys()
            if given[key].shape != wanted[key].shape
        ]
        + [f"{key} is not finite" for key, tensor in given.items() if not tensor.isfinite().all()]
    )
    if wrong:
        raise ValueError(
            f"encoder weights: expected a {name} of timm or torchvision, but {len(wrong)} tensors of {path} "
            f"are wrong: {', '.join(sorted(wrong)[:3])}; name the file's architecture, or another file"
        )
    backbone.load_state_dict(given)
    return backbone.eval()


def _needed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the classifier, and the counters that only training needs and old files lack."""
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.startswith("fc.") and not name.endswith(".num_batches_tracked")
    }


def _parse(weights: str) -> tuple[str, str]:
    """Architecture and local file, which is empty for a model on the hub."""
    name, _, file = weights.partition(":")
    if name in ARCHITECTURES and file:
        return name, file
    name = weights.removeprefix("timm/").partition(".")[0]
    if name in ARCHITECTURES and weights.startswith("timm/"):
        return name, ""
    raise ValueError(
        "encoder weights: expected 'ARCHITECTURE:FILE' as in 'resnet18:/path/to/file.safetensors', or a "
        f"model of timm's as in 'timm/resnet18.a1_in1k', of {', '.join(ARCHITECTURES)}; got {weights!r}. "
        "Random weights are no choice: frozen, they stay random"
    )


def _fetch(model: str) -> Path:
    """The weights of a model on the hub, from PyTorch's cache if they were fetched before."""
    path = Path(torch.hub.get_dir(), "checkpoints", model.replace("/", "--") + ".safetensors")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        url = f"{os.environ.get('HF_ENDPOINT', HUB)}/{model}/resolve/main/model.safetensors"
        try:
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except OSError as error:
            raise ValueError(
                f"encoder weights: cannot fetch {url} ({error}); fetch it elsewhere and give its path, "
                "as in 'resnet18:/path/to/file.safetensors'"
            ) from error
    return path


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ValueError(f"encoder weights: there is no file {path}")
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise ValueError(f"encoder weights: expected a .safetensors, .pth or .pt file, got {path}")
    try:
        if path.suffix == ".safetensors":
            tensors = safetensors.torch.load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes a reader raise
        raise ValueError(f"encoder weights: cannot read {path} ({error})") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(x, Tensor) for x in tensors.values()):
        raise ValueError(f"encoder weights: expected named tensors and nothing else in {path}")
    return tensors
