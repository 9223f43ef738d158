"""Checkpoints: safetensors and JSON in a folder that appears whole or not at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

KEEP = 3
"""Checkpoints of a run that are kept; `bc` is kept apart."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read back."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    folder: Path


def save(
    folder: Path, name: str, tensors: Mapping[str, Tensor], state: Mapping[str, Any], policy: bytes
) -> Path:
    """Write `folder/name/` with training state and acting policy, synced, then renamed into place."""
    final, temporary = folder / name, folder / f".{name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    (temporary / "policy.safetensors").write_bytes(policy)
    save_file(
        {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()},
        temporary / "training.safetensors",
    )
    digests = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
    (temporary / "state.json").write_text(json.dumps({"sha256": digests, **state}, indent=1))
    for path in (*temporary.iterdir(), temporary):
        _sync(path)
    shutil.rmtree(final, ignore_errors=True)
    os.replace(temporary, final)
    _sync(folder)
    return final


def mark_latest(folder: Path, name: str) -> None:
    """Make `name` the one to resume from, and drop older ones beyond `KEEP`."""
    temporary = folder / ".latest.tmp"
    temporary.write_text(name)
    _sync(temporary)
    os.replace(temporary, folder / "latest")
    for old in _versions(folder)[:-KEEP]:
        shutil.rmtree(folder / old)


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and why newer ones were refused."""
    refused = []
    for name in reversed(_versions(folder)):
        try:
            return _load(folder / name), refused
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            refused.append(f"checkpoint {name}: refused: {error}")
    return None, refused


def _load(folder: Path) -> Checkpoint:
    state = json.loads((folder / "state.json").read_text())
    for name, digest in state.pop("sha256").items():
        if _digest(folder / name) != digest:
            raise ValueError(f"{name} is damaged: its checksum is not the one in state.json")
    return Checkpoint(load_file(folder / "training.safetensors"), state, folder)


def _versions(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted((path.name for path in folder.iterdir() if path.name.isdigit()), key=int)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flatten_optimizer(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State tensors of an optimiser by flat names."""
    return {
        f"optimizer.{name}.{index}.{key}": value
        for index, entry in optimizer.state_dict()["state"].items()
        for key, value in entry.items()
    }


def restore_optimizer(name: str, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Inverse of `flatten_optimizer`."""
    prefix = f"optimizer.{name}."
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, field = key[len(prefix) :].split(".")
            state.setdefault(int(index), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
