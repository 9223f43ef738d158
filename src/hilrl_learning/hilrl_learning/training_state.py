"""What a checkpoint holds of a training run, so that it goes on exactly as it would have."""

import subprocess
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hilrl_learning import checkpoint

if TYPE_CHECKING:
    from hilrl_learning.trainer import Trainer


def save(trainer: "Trainer") -> Path:
    """Write a checkpoint of everything and make it the latest. Raises OSError when it cannot be written."""
    trainer.replay.flush()
    tensors = {
        f"{name}.{key}": value
        for name, module in trainer.modules().items()
        for key, value in module.state_dict().items()
    }
    for name, optimizer in trainer.algorithm.optimizers().items():
        tensors |= checkpoint.flatten_optimizer(name, optimizer)
    tensors["rng.torch"] = torch.get_rng_state()
    tensors["rng.frames"] = trainer.generator.get_state()
    if torch.cuda.is_initialized():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    state = {
        "code": code_version(),
        "phase": int(trainer.phase),
        "elapsed_s": trainer.elapsed_s,
        "critic_updates": trainer.algorithm.critic_updates,
        "actor_updates": trainer.algorithm.actor_updates,
        "imitation_updates": trainer.imitation_updates,
        "steps_before_training": trainer.steps_before_training,
        "encoder_version": trainer.cache.version,
        "version": trainer.version,
        "rng": trainer.rng.bit_generator.state,
        "config": asdict(trainer.config),
        "algorithm": asdict(trainer.algorithm.config),
    }
    folder = trainer.run_dir / "checkpoints"
    saved = checkpoint.save(folder, str(trainer.version), tensors, state, trainer.pack())
    checkpoint.mark_latest(folder, saved.name)
    return saved


def restore(trainer: "Trainer") -> tuple[bool, list[str]]:
    """Bring a new trainer to where the newest good checkpoint was.

    Returns whether there was one, and why newer ones were refused.
    """
    found, refused = checkpoint.load_newest(trainer.run_dir / "checkpoints")
    if found is None:
        return False, refused
    for name, module in trainer.modules().items():
        own = {k[len(name) + 1 :]: v for k, v in found.tensors.items() if k.startswith(name + ".")}
        module.load_state_dict(own)
    for name, optimizer in trainer.algorithm.optimizers().items():
        checkpoint.restore_optimizer(name, optimizer, found.tensors)
    torch.set_rng_state(found.tensors["rng.torch"])
    trainer.generator.set_state(found.tensors["rng.frames"])
    if "rng.cuda" in found.tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(found.tensors["rng.cuda"])
    state = found.state
    trainer.rng.bit_generator.state = state["rng"]
    trainer.elapsed_before_s = state["elapsed_s"]
    trainer.algorithm.critic_updates = state["critic_updates"]
    trainer.algorithm.actor_updates = state["actor_updates"]
    trainer.imitation_updates = state["imitation_updates"]
    trainer.steps_before_training = state["steps_before_training"]
    trainer.phase = type(trainer.phase)(state["phase"])
    trainer.version = state["version"]
    if trainer.encoder.pretrained_here and state["encoder_version"] > 0:
        trainer.encoder.requires_grad_(False)
        trainer.cache.renew(state["encoder_version"])
    return True, refused


@cache
def code_version() -> str:
    """Of this package, with the commit where it runs from a checkout."""
    here = Path(__file__).resolve().parent
    commit = subprocess.run(
        ["git", "-C", str(here), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return version("hilrl_learning") + (f"+{commit}" if commit else "")
