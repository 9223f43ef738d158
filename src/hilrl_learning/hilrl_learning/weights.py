"""Policy weights as bytes: safetensors with a spec in the metadata, never pickle."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from hilrl_learning.data import ActionSpec, ObservationSpec

MAX_BYTES = 256 * 1024 * 1024
"""A payload beyond this is refused before it is parsed."""

HALVED_FROM = 1024
"""Elements from which a tensor may travel as float16; biases and statistics are few and stay exact."""

DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""As safetensors names them."""


@dataclass(frozen=True)
class PolicySpec:
    """What a payload was trained for."""

    algorithm: str
    settings: dict[str, Any]
    """Fields of the algorithm's config dataclass."""
    encoder: str
    encoder_weights: str
    """Where a pre-trained trunk came from; it says what architecture it has."""
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

    def is_alike(self, other: "PolicySpec") -> bool:
        """Whether weights of the other fit into networks of this one."""
        return replace(self, critic_updates=other.critic_updates) == other


def pack(tensors: Mapping[str, Tensor], spec: PolicySpec, half: bool = False) -> bytes:
    """Tensors and spec as one safetensors payload; what occurs twice is in it once.

    With `half`, tensors of `HALVED_FROM` elements or more travel as float16, at half the bytes and a relative
    error of up to 2^-11, and come out as they were otherwise. Raises ValueError, naming the tensor, where a
    value is beyond what float16 holds.
    """
    kept: dict[str, Tensor] = {}
    same: dict[str, str] = {}
    alike: dict[tuple, list[str]] = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        group = alike.setdefault((plain.dtype, plain.shape), [])
        twin = next((other for other in group if torch.equal(_bytes(kept[other]), _bytes(plain))), None)
        if twin is None:
            group.append(name)
            kept[name] = plain
        else:
            same[name] = twin
    halved = {}
    if half:
        wide = (torch.float32, torch.float64)
        names = [name for name, t in kept.items() if t.dtype in wide and t.numel() >= HALVED_FROM]
        halved = {name: str(kept[name].dtype).removeprefix("torch.") for name in names}
        kept |= {name: _halve(name, kept[name]) for name in names}
    return _serialize(
        kept, {"spec": json.dumps(asdict(spec)), "same": json.dumps(same), "halved": json.dumps(halved)}
    )


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
        for name, dtype in json.loads(metadata["halved"]).items():
            tensors[name] = tensors[name].to({"float32": torch.float32, "float64": torch.float64}[dtype])
        tensors |= {name: tensors[twin] for name, twin in json.loads(metadata["same"]).items()}
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"weights: not a policy payload ({error})") from error
    for name, tensor in tensors.items():
        # One number that is not finite makes the sum so; a sum that overflows is looked at more closely.
        suspect = tensor.is_floating_point() and not torch.isfinite(tensor.sum())
        if suspect and not torch.isfinite(tensor).all():
            raise ValueError(f"weights: {name} holds values that are not finite")
    return tensors, spec


def _bytes(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1).view(torch.uint8)


def _halve(name: str, tensor: Tensor) -> Tensor:
    largest, limit = float(tensor.abs().max()), torch.finfo(torch.float16).max
    if largest > limit:
        raise ValueError(
            f"weights: {name}: expected values of at most {limit:g} to publish them as float16, "
            f"got {largest:g}; publish in full precision"
        )
    return tensor.half()


def _serialize(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The safetensors format with a single copy: the library's `save` takes 17 times as long.

    https://github.com/huggingface/safetensors#format
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    parts, end = [], 0
    for name, tensor in tensors.items():
        part = _bytes(tensor).numpy().data
        header[name] = {
            "dtype": DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [end, end + part.nbytes],
        }
        parts.append(part)
        end += part.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join((len(text).to_bytes(8, "little"), text, *parts))


def sha256(payload: bytes) -> bytes:
    """Checksum that travels beside a payload, 32 bytes."""
    return hashlib.sha256(payload).digest()
