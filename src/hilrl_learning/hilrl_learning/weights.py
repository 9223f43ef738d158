"""Policy weights as bytes: safetensors with a spec in the metadata, never pickle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from hilrl_learning.data import ActionSpec, ObservationSpec

MAX_BYTES = 256 * 1024 * 1024
"""A payload beyond this is refused before it is parsed."""


@dataclass(frozen=True)
class PolicySpec:
    """What a payload was trained for."""

    algorithm: str
    observation: ObservationSpec
    action: ActionSpec
    features_per_camera: int
    critic_updates: int

    @staticmethod
    def from_json(text: str) -> "PolicySpec":
        """Inverse of the JSON in a payload's metadata."""
        fields = json.loads(text)
        observation = {key: tuple(value) for key, value in fields.pop("observation").items()}
        axes = tuple(fields.pop("action")["axes"])
        return PolicySpec(observation=ObservationSpec(**observation), action=ActionSpec(axes=axes), **fields)


def pack(tensors: Mapping[str, Tensor], spec: PolicySpec) -> bytes:
    """Tensors and spec as one safetensors payload."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"spec": json.dumps(asdict(spec))})


def unpack(payload: bytes) -> tuple[dict[str, Tensor], PolicySpec]:
    """Inverse of `pack`.

    Raises ValueError when the payload is too large, damaged, without spec, or holds values not finite.
    """
    if len(payload) > MAX_BYTES:
        raise ValueError(f"weights: expected at most {MAX_BYTES} bytes, got {len(payload)}")
    try:
        tensors = load(payload)
        header_size = int.from_bytes(payload[:8], "little")
        metadata = json.loads(payload[8 : 8 + header_size]).get("__metadata__", {})
        spec = PolicySpec.from_json(metadata["spec"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"weights: not a policy payload ({error})") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"weights: {name} holds values that are not finite")
    return tensors, spec


def sha256(payload: bytes) -> bytes:
    """Checksum that travels beside a payload, 32 bytes."""
    return hashlib.sha256(payload).digest()
