"""Nodes in their own processes, in a domain of this run's own; frames to learn from, and a model of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hilrl_perception.reward_data import LabelledEpisode, Layout
from hilrl_perception.reward_model import RewardModel
from hilrl_perception.reward_training import Trained, TrainingSettings, train
from hilrl_ros.testing import namespace, probe, start_node

__all__ = ["namespace", "probe", "start_node"]

# More threads than free cores make small products a hundred times slower.
torch.set_num_threads(1)

LAYOUT = Layout(("front", "wrist"), (64, 64))
HELD = (0.2, 0.0, 0.1, 0.0, -0.1)
"""Row of an arm that holds something in the air."""


def picture(done: bool, rng: np.random.Generator) -> np.ndarray:
    """Frames of both cameras, shape (2, 64, 64, 3): a red thing, far up where the task is done."""
    frames = rng.integers(90, 130, (2, 64, 64, 3), np.uint8)
    row = int(rng.integers(8, 16) if done else rng.integers(36, 48))
    column = int(rng.integers(12, 44))
    frames[:, row : row + 10, column : column + 10] = (220, 30, 30)
    return frames


def make_episode(labels: list[bool], seed: int, **provenance: object) -> LabelledEpisode:
    """An episode whose frames show what the labels say."""
    rng = np.random.default_rng(seed)
    return LabelledEpisode(
        np.stack([picture(done, rng) for done in labels]),
        np.array(labels, bool),
        np.arange(len(labels), dtype=np.int64) * 100_000_000 + 1,
        np.tile(HELD, (len(labels), 1)),
        {"source": "test", "episode": seed, **provenance},
    )


def make_episodes(count: int) -> list[LabelledEpisode]:
    """Every third one without success."""
    return [make_episode([False] * 6 + [i % 3 != 0] * 4, seed=i) for i in range(count)]


@pytest.fixture(scope="session")
def layout() -> Layout:
    return LAYOUT


@pytest.fixture(scope="session")
def episode_of() -> Callable[..., LabelledEpisode]:
    """`episode_of(labels, seed, **provenance)`."""
    return make_episode


@pytest.fixture(scope="session")
def trained() -> Trained:
    """On twenty episodes, in a few seconds."""
    settings = TrainingSettings(features_per_camera=16, batch=16, most_updates=80, updates_per_check=20)
    return train(LAYOUT, make_episodes(20), settings, "test")


@pytest.fixture(scope="session")
def model(trained: Trained) -> RewardModel:
    return trained.model


@pytest.fixture(scope="session")
def model_file(model: RewardModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "reward.safetensors"
    model.save(path)
    return path
