"""Encoders: frames to features. `build` makes one by name."""

from hilrl_learning.encoders.base import Encoder
from hilrl_learning.encoders.end_to_end import EndToEnd
from hilrl_learning.encoders.resnet import ResNet
from hilrl_learning.encoders.small_cnn import SmallCNN

NAMES = ("small_cnn", "resnet", "end_to_end")


def build(
    name: str,
    cameras: int,
    image_size: tuple[int, int],
    features_per_camera: int,
    weights: str,
    pretrained: bool = True,
) -> Encoder:
    """An encoder for frames of `image_size` (height, width).

    `weights` says where a pre-trained trunk comes from, see `ResNet`; the others have none. Without
    `pretrained` they are not read: the caller has them already. Raises ValueError naming the known encoders,
    or what is wrong with the weights.
    """
    if name == "small_cnn":
        return SmallCNN(cameras, features_per_camera)
    if name == "resnet":
        return ResNet(cameras, image_size, features_per_camera, weights, pretrained)
    if name == "end_to_end":
        return EndToEnd(cameras, image_size, features_per_camera)
    raise ValueError(f"encoder: expected one of {NAMES}, got {name!r}")
