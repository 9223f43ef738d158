"""Policies with fresh weights, for tests of how weights travel."""

from dataclasses import asdict

import torch

from hilrl_learning.algorithms.sac import SACConfig, SACHead
from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.encoders import SmallCNN
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.weights import PolicySpec

FEATURES_PER_CAMERA = 8


def fresh_policy(spec: ObservationSpec, seed: int = 0) -> tuple[dict[str, torch.Tensor], PolicySpec]:
    """Tensors by name, and the spec that goes with them."""
    torch.manual_seed(seed)
    encoder = SmallCNN(len(spec.cameras), FEATURES_PER_CAMERA)
    parts = {
        "preprocessor": Preprocessor(len(spec.state_names), encoder.frame_size),
        "encoder": encoder,
        "head": SACHead(encoder.size + len(spec.state_names), 3, (256, 256)),
    }
    tensors = {f"{p}.{k}": v for p, module in parts.items() for k, v in module.state_dict().items()}
    return tensors, PolicySpec(
        algorithm="sac",
        settings=asdict(SACConfig()),
        encoder="small_cnn",
        encoder_weights="",
        observation=spec,
        action=ActionSpec(),
        features_per_camera=FEATURES_PER_CAMERA,
        critic_updates=7,
    )
