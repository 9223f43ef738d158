"""The contract of an algorithm, apart from how data travels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """Transitions on the training device; the first `human` rows come from people."""

    features: Tensor
    """(batch, features): embedding and standardised state."""
    next_features: Tensor
    """(batch, features) of the observation the return bootstraps from."""
    delta: Tensor
    """(batch, actions): the executed delta on the policy's axes."""
    gripper: Tensor
    """(batch,) int64: the executed gripper command."""
    gripper_moves: Tensor
    """(batch,) float: 1 where the gripper command changed what the gripper was to do."""
    reward: Tensor
    """(batch,): discounted sum of rewards up to the bootstrap."""
    discount: Tensor
    """(batch,): factor of the bootstrap value; 0 where the episode terminated."""
    human: int


class ActingHead(nn.Module, ABC):
    """The part of an algorithm that chooses actions from features."""

    @abstractmethod
    def act(self, features: Tensor, explore: bool) -> tuple[Tensor, Tensor]:
        """features: (batch, features). Returns delta (batch, actions) in [-1, 1] and gripper (batch,)."""


class RLAlgorithm(ABC):
    """Learns an acting head from batches."""

    name: ClassVar[str]
    config_class: ClassVar[type]
    window: ClassVar[int] = 1
    """Length of the step windows it trains on."""

    def __init__(self, config: Any, features: int, actions: int, device: torch.device) -> None:
        self.config = config
        self.features = features
        self.actions = actions
        self.device = device
        self.critic_updates = 0
        self.actor_updates = 0

    @staticmethod
    @abstractmethod
    def acting_head(features: int, actions: int) -> ActingHead:
        """An acting head with fresh weights, for the actor to load a payload into."""

    @abstractmethod
    def imitate(self, batch: Batch) -> dict[str, float]:
        """One step of behaviour cloning of the acting head on a batch of human steps."""

    @abstractmethod
    def begin_training(self) -> None:
        """Imitation is over: prepare for `update`."""

    @abstractmethod
    def warm_up_updates(self) -> int:
        """Updates to do on the demonstrations alone before the policy first acts."""

    @abstractmethod
    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One gradient round. Returns named scalars, still on the device."""

    @abstractmethod
    def head(self) -> ActingHead:
        """The present acting head."""

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights, by name; saved in checkpoints."""

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser, by name; saved in checkpoints."""
