"""The reward classifier: crops of all cameras to the probability that the task is done; and its file.

All of it is trained, the projections of the encoder included. The one `Preprocessor` is inside, for training
and for serving.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from hilrl_learning import encoders
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.weights import MAX_BYTES, sha256
from hilrl_perception.debounce import Debounce

FORMAT = 1
ENCODERS = ("small_cnn", "end_to_end")
"""Those that are trained from their pixels up."""
HIDDEN = 128
DROPOUT = 0.1


@dataclass(frozen=True)
class RewardSpec:
    """What a classifier takes, and how its answers are to be used."""

    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    """Height, width of a crop [px]."""
    threshold: float = 0.5
    """Probability from which a frame counts as a success."""
    k: int = 2
    n: int = 3
    """A success takes `k` of the last `n` frames."""
    encoder: str = "small_cnn"
    features_per_camera: int = 64
    version: str = ""
    """Which training this is of, for logs and reports."""

    def __post_init__(self) -> None:
        """Raises ValueError naming the field."""
        if not self.cameras:
            raise ValueError("cameras: expected at least one, got none")
        if len(self.image_size) != 2 or min(self.image_size) < 8:
            raise ValueError(f"image_size: expected height and width >= 8 px, got {self.image_size}")
        if not 0.0 < self.threshold <= 1.0:
            raise ValueError(f"threshold: expected within (0, 1], got {self.threshold}")
        if reason := Debounce.problem(self.k, self.n):
            raise ValueError(reason)
        if self.encoder not in ENCODERS:
            raise ValueError(f"encoder: expected one of {ENCODERS}, got {self.encoder!r}")
        if self.features_per_camera < 1:
            raise ValueError(f"features_per_camera: expected at least 1, got {self.features_per_camera}")

    @staticmethod
    def from_fields(fields: Mapping[str, Any]) -> "RewardSpec":
        """Inverse of `asdict` through JSON. Raises ValueError or TypeError for other fields."""
        fields = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
        return RewardSpec(**fields)


class RewardNet(nn.Module):
    """Preprocessor, encoder and a head of one logit."""

    def __init__(self, spec: RewardSpec) -> None:
        super().__init__()
        self.encoder = encoders.build(
            spec.encoder, len(spec.cameras), spec.image_size, spec.features_per_camera, ""
        )
        self.preprocessor = Preprocessor(0, self.encoder.frame_size)
        self.head = nn.Sequential(
            nn.Linear(self.encoder.size, HIDDEN),
            nn.Dropout(DROPOUT),
            nn.LayerNorm(HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 1),
        )

    def forward(self, small: Tensor) -> Tensor:
        """small: uint8 frames (n, cameras, height, width, 3) as `preprocessor.shrink` gives. Logits (n,)."""
        return self.head(self.encoder.encode(self.preprocessor.planes(small))).squeeze(-1)


class RewardModel:
    """A trained classifier, ready to be asked."""

    def __init__(self, spec: RewardSpec, net: RewardNet) -> None:
        """Raises ValueError where a weight is not finite."""
        for name, tensor in net.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise ValueError(f"{name} holds values that are not finite")
        self.spec = spec
        self.net = net.requires_grad_(False).eval()

    def probability(self, frames: NDArray[np.uint8]) -> float:
        """That the task is done in this observation, shape (cameras, height, width, 3).

        Raises ValueError for any other shape or dtype.
        """
        expected = (len(self.spec.cameras), *self.spec.image_size, 3)
        if frames.shape != expected or frames.dtype != np.uint8:
            raise ValueError(f"frames: expected uint8 {expected}, got {frames.dtype} {frames.shape}")
        with torch.inference_mode():
            small = self.net.preprocessor.shrink(torch.from_numpy(frames).unsqueeze(0))
            return float(torch.sigmoid(self.net(small))[0])

    def probabilities(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Of (n, cameras, height, width, 3), shape (n,): one by one, so to the last bit as when served."""
        return np.array([self.probability(np.array(frame)) for frame in frames], np.float64)

    def save(self, path: Path) -> None:
        """Write aside and rename."""
        tensors = {name: t.contiguous() for name, t in self.net.state_dict().items()}
        spec = json.dumps(asdict(self.spec), sort_keys=True)
        metadata = {"format": str(FORMAT), "spec": spec, "sha256": _checksum(tensors, spec)}
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        with open(aside, "wb") as file:
            file.write(save(tensors, metadata))
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def load_model(path: Path) -> RewardModel:
    """Raises ValueError naming the file and what is wrong with it."""
    try:
        with open(path, "rb") as file:
            payload = file.read(MAX_BYTES + 1)
        return _unpack(payload)
    except (OSError, ValueError) as error:
        raise ValueError(f"reward model {path}: {error}") from error


def _unpack(payload: bytes) -> RewardModel:
    if len(payload) > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES} bytes, got more")
    try:
        tensors = load(payload)
        header_size = int.from_bytes(payload[:8], "little")
        metadata = json.loads(payload[8 : 8 + header_size]).get("__metadata__", {})
        found, spec_text, checksum = (metadata[key] for key in ("format", "spec", "sha256"))
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a reward model, or cut short ({error!r})") from error
    if found != str(FORMAT):
        raise ValueError(f"format: expected {FORMAT}, got {found}")
    if (computed := _checksum(tensors, spec_text)) != checksum:
        raise ValueError(f"sha256: expected {checksum}, got {computed}; the file is damaged")
    try:
        spec = RewardSpec.from_fields(json.loads(spec_text))
        with torch.device("meta"):  # shapes without memory
            RewardNet(spec).load_state_dict(tensors, assign=True)
        net = RewardNet(spec)
        net.load_state_dict(tensors)
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"spec and weights do not fit: {error}") from error
    return RewardModel(spec, net)


def _checksum(tensors: Mapping[str, Tensor], spec: str) -> str:
    """Of everything that decides an answer, in hexadecimal."""
    parts = [spec.encode()]
    for name in sorted(tensors):
        tensor = tensors[name]
        parts += [f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), tensor.numpy().tobytes()]
    return sha256(b"\0".join(parts)).hex()
