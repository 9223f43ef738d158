"""The contract of an algorithm, apart from how data travels."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hilrl_learning.encoders import Encoder


@dataclass(frozen=True)
class Observations:
    """A batch of observations on the training device."""

    vision: Tensor
    """What `Encoder.forward` takes: (batch, *cached_shape), or planes where nothing is cached."""
    state: Tensor
    """(batch, state), standardised."""


@dataclass(frozen=True)
class Batch:
    """Windows of consecutive steps; the first `human` rows begin with a person's step.

    A window holds the actions of up to `window` steps. Where an episode ends before, `valid` is False and
    the last action is repeated.
    """

    observation: Observations
    """At the window's first step."""
    next_observation: Observations
    """From which the return bootstraps."""
    delta: Tensor
    """(batch, window, actions): the executed deltas on the policy's axes."""
    gripper: Tensor
    """(batch, window) int64: the executed gripper commands."""
    gripper_moves: Tensor
    """(batch, window) float: 1 where a gripper command changed what the gripper was to do."""
    valid: Tensor
    """(batch, window) bool."""
    whole: Tensor
    """(batch,) bool: all steps of the return are there, or the last one terminated the episode."""
    reward: Tensor
    """(batch,): discounted sum of rewards up to the bootstrap."""
    discount: Tensor
    """(batch,): factor of the bootstrap value; 0 where the episode terminated."""
    source: Tensor
    """(batch,) int64: who chose the first action, a `Source`."""
    human: int


class ActingHead(nn.Module, ABC):
    """The part of an algorithm that chooses actions from features."""

    @abstractmethod
    def act(self, features: Tensor, explore: bool) -> tuple[Tensor, Tensor]:
        """features: (batch, features). Returns delta (batch, actions) in [-1, 1] and gripper (batch,)."""


class RLAlgorithm(ABC):
    """Learns an acting head, and the head of an encoder, from batches."""

    name: ClassVar[str]
    config_class: ClassVar[type]

    def __init__(
        self, config: Any, encoder: Encoder, state_size: int, actions: int, device: torch.device
    ) -> None:
        """`actions`: delta axes that the policy moves. The encoder is on `device` already."""
        self.config = config
        self.encoder = encoder
        self.features = encoder.size + state_size
        self.actions = actions
        self.device = device
        self.critic_updates = 0
        self.actor_updates = 0

    @property
    def window(self) -> int:
        """Consecutive actions it needs per sample, 1 unless it works on chunks."""
        return 1

    def compile(self) -> None:  # noqa: B027
        """Compile what gains by it; called once, where the run asks for it."""

    @staticmethod
    @abstractmethod
    def acting_head(config: Any, features: int, actions: int) -> ActingHead:
        """An acting head with fresh weights, for the actor to load a payload into."""

    @abstractmethod
    def imitate(self, batch: Batch) -> dict[str, Tensor]:
        """One step of behaviour cloning of the acting head on a batch of human steps."""

    @abstractmethod
    def begin_training(self) -> None:
        """Imitation is over: prepare for `update`."""

    @abstractmethod
    def warm_up_updates(self) -> int:
        """Updates to do on the demonstrations alone before the policy first acts."""

    @abstractmethod
    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One gradient round. Returns named scalars, still on the device; it need not every time."""

    @abstractmethod
    def head(self) -> ActingHead:
        """The present acting head."""

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """Everything with weights but the encoder, by name; saved in checkpoints."""

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser, by name; saved in checkpoints."""

    def embed(self, observation: Observations) -> Tensor:
        """Features (batch, features): the encoder's and the state."""
        return torch.cat((self.encoder(observation.vision), observation.state), dim=-1)
