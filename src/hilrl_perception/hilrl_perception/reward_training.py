"""Training of the reward classifier: balanced batches, split by episode, stopped by the validation loss."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from hilrl_learning.encoders.augmentation import colour_jitter, random_shift
from hilrl_perception.reward_data import LabelledEpisode, Layout
from hilrl_perception.reward_metrics import ThresholdChoice, choose_threshold, given_up
from hilrl_perception.reward_model import RewardModel, RewardNet, RewardSpec

VETO_SHARE = 0.25
"""Of the negatives of a batch, where there are vetoes: what people took back is learned first."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train."""

    encoder: str = "small_cnn"
    features_per_camera: int = 64
    k: int = 2
    n: int = 3
    wanted_precision: float = 0.99
    """Of the frames above the threshold, on the validation episodes."""
    validation_share: float = 0.2
    """Of the episodes."""
    batch: int = 64
    """Half of it positive."""
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    jitter: float = 0.2
    """Strength of random gain and offset of light and colours."""
    noise: float = 4.0
    """Standard deviation of noise per pixel, of 255."""
    most_updates: int = 1200
    updates_per_check: int = 100
    patience: int = 4
    """Checks without a better validation loss until it is over."""
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """What came of it."""

    model: RewardModel
    choice: ThresholdChoice
    train: list[LabelledEpisode]
    validation: list[LabelledEpisode]
    losses: list[tuple[int, float, float]]
    """(updates, training loss, validation loss) at each check."""
    taken_s: float


def split(
    episodes: Sequence[LabelledEpisode], validation_share: float, rng: np.random.Generator
) -> tuple[list[LabelledEpisode], list[LabelledEpisode]]:
    """Whole episodes to train on, and others to validate on; both have some with and some without success.

    Raises ValueError where there are too few for that.
    """
    train: list[LabelledEpisode] = []
    validation: list[LabelledEpisode] = []
    for what, group in (
        ("with success", [e for e in episodes if e.labels.any()]),
        ("without success", [e for e in episodes if not e.labels.any()]),
    ):
        if len(group) < 2:
            raise ValueError(
                f"data: expected at least 2 episodes {what}, one to train and one to validate on, "
                f"got {len(group)}"
            )
        count = min(max(1, round(validation_share * len(group))), len(group) - 1)
        chosen = set(rng.permutation(len(group))[:count].tolist())
        validation += [episode for i, episode in enumerate(group) if i in chosen]
        train += [episode for i, episode in enumerate(group) if i not in chosen]
    return train, validation


class BalancedFrames:
    """Rows of frames to draw batches from: half positive, half negative, vetoes over-represented."""

    def __init__(self, episodes: Sequence[LabelledEpisode]) -> None:
        labels = np.concatenate([episode.labels for episode in episodes])
        veto = np.concatenate([np.full(len(episode.labels), episode.is_veto) for episode in episodes])
        self.labels = labels
        self.counts = ~np.concatenate([given_up(episode.labels) for episode in episodes])
        """Frames that anything is learned from."""
        self.positive = np.flatnonzero(labels)
        self.negative = np.flatnonzero(~labels & ~veto & self.counts)
        self.veto = np.flatnonzero(~labels & veto)

    def draw(self, batch: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows, shape (batch,)."""
        half = batch // 2
        vetoed = round(VETO_SHARE * half) if len(self.veto) else 0
        parts = [
            (self.positive, batch - half),
            (self.negative if len(self.negative) else self.veto, half - vetoed),
            (self.veto, vetoed),
        ]
        return np.concatenate([rng.choice(rows, count) for rows, count in parts if count])


def train(
    layout: Layout,
    episodes: Sequence[LabelledEpisode],
    settings: TrainingSettings = TrainingSettings(),
    version: str = "",
) -> Trained:
    """Raises ValueError where the episodes do not suffice."""
    start = time.monotonic()
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    spec = RewardSpec(
        layout.cameras,
        layout.image_size,
        k=settings.k,
        n=settings.n,
        encoder=settings.encoder,
        features_per_camera=settings.features_per_camera,
        version=version,
    )
    train_episodes, validation_episodes = split(episodes, settings.validation_share, rng)
    net = RewardNet(spec)
    losses = _fit(net, train_episodes, validation_episodes, settings, rng, generator)
    model = RewardModel(spec, net)
    # Through the very path that serves, so that the threshold is one of what will be asked.
    probabilities = np.concatenate([model.probabilities(e.frames) for e in validation_episodes])
    rows = BalancedFrames(validation_episodes)
    choice = choose_threshold(rows.labels[rows.counts], probabilities[rows.counts], settings.wanted_precision)
    model = RewardModel(replace(spec, threshold=choice.threshold), net)
    return Trained(model, choice, train_episodes, validation_episodes, losses, time.monotonic() - start)


def augment(frames: Tensor, settings: TrainingSettings, generator: torch.Generator) -> Tensor:
    """uint8 frames (n, cameras, height, width, 3), as they might have been on another day."""
    frames = colour_jitter(random_shift(frames, generator), settings.jitter, generator)
    noise = settings.noise * torch.randn(frames.shape, generator=generator)
    return (frames.float() + noise).round_().clamp_(0, 255).to(torch.uint8)


def shrunk(net: RewardNet, episodes: Sequence[LabelledEpisode]) -> Tensor:
    """All frames as the encoder sees them, uint8."""
    return torch.cat([net.preprocessor.shrink(torch.from_numpy(np.array(e.frames))) for e in episodes])


def _fit(
    net: RewardNet,
    train_episodes: Sequence[LabelledEpisode],
    validation_episodes: Sequence[LabelledEpisode],
    settings: TrainingSettings,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> list[tuple[int, float, float]]:
    """Train until it no longer helps; the net then has the weights of the best check."""
    frames, rows = shrunk(net, train_episodes), BalancedFrames(train_episodes)
    labels = torch.from_numpy(rows.labels).float()
    held, held_rows = shrunk(net, validation_episodes), BalancedFrames(validation_episodes)
    optimizer = torch.optim.AdamW(
        net.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, best_weights, checks_since = float("inf"), copy.deepcopy(net.state_dict()), 0
    losses: list[tuple[int, float, float]] = []
    for update in range(1, settings.most_updates + 1):
        drawn = torch.from_numpy(rows.draw(settings.batch, rng))
        logits = net.train()(augment(frames[drawn], settings, generator))
        loss = F.binary_cross_entropy_with_logits(logits, labels[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % settings.updates_per_check:
            continue
        validation_loss = _balanced_loss(net, held, held_rows)
        losses.append((update, loss.item(), validation_loss))
        checks_since += 1
        if validation_loss < best:
            best, best_weights, checks_since = validation_loss, copy.deepcopy(net.state_dict()), 0
        if checks_since >= settings.patience:
            break
    net.load_state_dict(best_weights)
    return losses


def _balanced_loss(net: RewardNet, frames: Tensor, rows: BalancedFrames) -> float:
    """Mean loss of the positives and mean loss of the negatives, half and half."""
    net.eval()
    with torch.inference_mode():
        logits = torch.cat([net(part) for part in frames.split(256)])
        loss = F.binary_cross_entropy_with_logits(
            logits, torch.from_numpy(rows.labels).float(), reduction="none"
        )
    positive, negative = rows.labels, ~rows.labels & rows.counts
    return 0.5 * (loss[positive].mean() + loss[negative].mean()).item()
