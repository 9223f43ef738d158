"""Soft actor-critic with a person's data: RLPD/HIL-SERL with a gripper critic and a filtered imitation term.

Sources: SAC (arXiv 1801.01290), RLPD (2302.02948), HIL-SERL (2410.21845); the imitation term counts only
where the critic prefers the person's action (Q-filter, Nair et al. 2018, 1709.10089); the margin that keeps
the person's gripper command ahead is DQfD's (1704.03732).
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilrl_learning.algorithms.base import ActingHead, Batch, RLAlgorithm
from hilrl_learning.algorithms.registry import register
from hilrl_learning.data import Gripper
from hilrl_learning.networks import EnsembleMLP, GaussianActor

GRIPPER_COMMANDS = len(Gripper)


@dataclass(frozen=True)
class SACConfig:
    """Hyper-parameters; each becomes a parameter of the learner."""

    learning_rate: float = field(default=3e-4, metadata={"description": "Adam step size", "minimum": 0.0})
    target_rate: float = field(
        default=0.005, metadata={"description": "share of the critic its target takes over per update"}
    )
    critics: int = field(default=2, metadata={"description": "members of the critic ensemble", "minimum": 1})
    initial_temperature: float = field(
        default=0.01, metadata={"description": "entropy temperature at the start", "minimum": 0.0}
    )
    target_entropy_per_action: float = field(
        default=-0.5, metadata={"description": "entropy the temperature aims at, per action dimension"}
    )
    critic_updates_per_actor_update: int = field(
        default=2, metadata={"description": "critic updates for each update of the actor", "minimum": 1}
    )
    critic_only_updates: int = field(
        default=1000, metadata={"description": "critic updates before the actor first moves", "minimum": 0}
    )
    imitation_start: float = field(
        default=0.2, metadata={"description": "weight of the imitation term at first", "minimum": 0.0}
    )
    imitation_end: float = field(
        default=0.01, metadata={"description": "weight of the imitation term at last", "minimum": 0.0}
    )
    imitation_updates: int = field(
        default=2000, metadata={"description": "actor updates from the first weight to the last"}
    )
    gripper_penalty: float = field(
        default=0.02, metadata={"description": "cost of a command that changes the gripper's goal"}
    )
    gripper_margin: float = field(
        default=0.05, metadata={"description": "lead a person's gripper command keeps over the others"}
    )
    gripper_margin_weight: float = field(
        default=0.5, metadata={"description": "weight of the gripper margin loss", "minimum": 0.0}
    )
    reward_max: float = field(
        default=1.0,
        metadata={"description": "largest return of an episode; targets are clipped to [0, this]"},
    )


class SACHead(ActingHead):
    """Gaussian actor for the delta, greedy Q-network for the gripper."""

    def __init__(self, features: int, actions: int) -> None:
        super().__init__()
        self.actor = GaussianActor(features, actions)
        self.gripper = EnsembleMLP(1, features, GRIPPER_COMMANDS)

    def act(self, features: Tensor, explore: bool) -> tuple[Tensor, Tensor]:
        """See `ActingHead.act`."""
        sample, _, mean = self.actor.sample(features)
        return (sample if explore else mean), self.gripper(features)[0].argmax(-1)


@register("sac")
class SAC(RLAlgorithm):
    """See the module's first lines."""

    config_class = SACConfig

    def __init__(self, config: SACConfig, features: int, actions: int, device: torch.device) -> None:
        super().__init__(config, features, actions, device)
        self._head = self.acting_head(features, actions).to(device)
        self.critic = EnsembleMLP(config.critics, features + actions, 1).to(device)
        self.critic_target = EnsembleMLP(config.critics, features + actions, 1).to(device)
        self.gripper_target = EnsembleMLP(1, features, GRIPPER_COMMANDS).to(device)
        self.critic_target.load_state_dict(self.critic.state_dict())
        self.gripper_target.load_state_dict(self._head.gripper.state_dict())
        self.critic_target.requires_grad_(False)
        self.gripper_target.requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.initial_temperature), device=device))
        self.target_entropy = config.target_entropy_per_action * (actions + 1)
        self._critic_parameters = [*self.critic.parameters(), *self._head.gripper.parameters()]
        self._target_parameters = [*self.critic_target.parameters(), *self.gripper_target.parameters()]
        adam = {"lr": config.learning_rate, "fused": True}
        self._critic_optimizer = torch.optim.Adam(self._critic_parameters, **adam)
        self._actor_optimizer = torch.optim.Adam(self._head.actor.parameters(), **adam)
        self._temperature_optimizer = torch.optim.Adam([self.log_temperature], **adam)

    @staticmethod
    def acting_head(features: int, actions: int) -> SACHead:
        """See `RLAlgorithm.acting_head`."""
        return SACHead(features, actions)

    def head(self) -> SACHead:
        """See `RLAlgorithm.head`."""
        return self._head

    def modules(self) -> dict[str, nn.Module]:
        """See `RLAlgorithm.modules`."""
        return {
            "head": self._head,
            "critic": self.critic,
            "critic_target": self.critic_target,
            "gripper_target": self.gripper_target,
            "temperature": nn.ParameterDict({"log": self.log_temperature}),
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """See `RLAlgorithm.optimizers`."""
        return {
            "critic": self._critic_optimizer,
            "actor": self._actor_optimizer,
            "temperature": self._temperature_optimizer,
        }

    def imitate(self, batch: Batch) -> dict[str, float]:
        """Squared error of the mean plus cross entropy of the gripper, on the human rows."""
        _, _, mean = self._head.actor.sample(batch.features)
        delta_loss = (mean - batch.delta).square().sum(-1).mean()
        gripper_loss = F.cross_entropy(self._head.gripper(batch.features)[0], batch.gripper)
        self._actor_optimizer.zero_grad()
        self._critic_optimizer.zero_grad()
        (delta_loss + gripper_loss).backward()
        self._actor_optimizer.step()
        self._critic_optimizer.step()
        return {"imitation_delta": delta_loss.item(), "imitation_gripper": gripper_loss.item()}

    def warm_up_updates(self) -> int:
        """The critics learn first, from people's steps, so that the imitated actor is not led astray."""
        return self.config.critic_only_updates

    def begin_training(self) -> None:
        """Start the gripper critic afresh: after imitation its outputs are logits, not values."""
        self._head.gripper.load_state_dict(
            EnsembleMLP(1, self.features, GRIPPER_COMMANDS).to(self.device).state_dict()
        )
        self.gripper_target.load_state_dict(self._head.gripper.state_dict())
        for parameter in self._head.gripper.parameters():
            self._critic_optimizer.state.pop(parameter, None)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One critic update, and an actor update where it is due."""
        stats = self._update_critics(batch)
        self.critic_updates += 1
        due = self.critic_updates % self.config.critic_updates_per_actor_update == 0
        if due and self.critic_updates > self.config.critic_only_updates:
            stats |= self._update_actor(batch)
            self.actor_updates += 1
        return stats

    def _update_critics(self, batch: Batch) -> dict[str, Tensor]:
        config = self.config
        with torch.no_grad():
            next_delta, _, _ = self._head.actor.sample(batch.next_features)
            next_value = self.critic_target(torch.cat((batch.next_features, next_delta), -1))
            target = batch.reward + batch.discount * next_value.squeeze(-1).amin(0)
            target = target.clamp(0.0, config.reward_max)
            # Double DQN (1509.06461): chosen by the network, valued by its target.
            next_gripper = self._head.gripper(batch.next_features)[0].argmax(-1, keepdim=True)
            next_gripper_value = self.gripper_target(batch.next_features)[0].gather(-1, next_gripper)
            gripper_target = batch.reward + batch.discount * next_gripper_value.squeeze(-1)
            gripper_target = gripper_target.clamp(0.0, config.reward_max)
            gripper_target -= config.gripper_penalty * batch.gripper_moves

        values = self.critic(torch.cat((batch.features, batch.delta), -1)).squeeze(-1)
        critic_loss = (values - target).square().mean(1).sum()

        gripper_values = self._head.gripper(batch.features)[0]
        taken = gripper_values.gather(-1, batch.gripper[:, None]).squeeze(-1)
        gripper_loss = (taken - gripper_target).square().mean()
        lead = config.gripper_margin * (1.0 - F.one_hot(batch.gripper[: batch.human], GRIPPER_COMMANDS))
        margin_loss = ((gripper_values[: batch.human] + lead).amax(-1) - taken[: batch.human]).mean()

        self._critic_optimizer.zero_grad()
        (critic_loss + gripper_loss + config.gripper_margin_weight * margin_loss).backward()
        self._critic_optimizer.step()
        torch._foreach_lerp_(self._target_parameters, self._critic_parameters, config.target_rate)
        values = values.detach()
        return {
            "critic_loss": critic_loss.detach(),
            "gripper_loss": gripper_loss.detach(),
            "gripper_margin_loss": margin_loss.detach(),
            "q_human": values[:, : batch.human].mean(),
            "q_all": values[:, batch.human :].mean(),
            "target": target.mean(),
        }

    def _update_actor(self, batch: Batch) -> dict[str, Tensor]:
        delta, log_prob, mean = self._head.actor.sample(batch.features)
        for parameter in self.critic.parameters():
            parameter.requires_grad_(False)
        value = self.critic(torch.cat((batch.features, delta), -1)).squeeze(-1).mean(0)
        human = slice(0, batch.human)
        with torch.no_grad():
            human_value = self.critic(torch.cat((batch.features[human], batch.delta[human]), -1))
            preferred = (human_value.squeeze(-1).mean(0) > value[human]).float()
        for parameter in self.critic.parameters():
            parameter.requires_grad_(True)
        distance = (mean[human] - batch.delta[human]).square().sum(-1)
        imitation_loss = (preferred * distance).mean()
        temperature = self.log_temperature.exp()
        actor_loss = (temperature.detach() * log_prob - value).mean()
        loss = actor_loss + self._imitation_weight() * imitation_loss
        self._actor_optimizer.zero_grad()
        loss.backward()
        self._actor_optimizer.step()

        entropy = -log_prob.detach().mean()
        self._temperature_optimizer.zero_grad()
        (temperature * (entropy - self.target_entropy)).backward()
        self._temperature_optimizer.step()
        return {
            "actor_loss": actor_loss.detach(),
            "imitation_loss": imitation_loss.detach(),
            "imitation_share": preferred.mean(),
            "entropy": entropy,
            "temperature": temperature.detach(),
        }

    def _imitation_weight(self) -> float:
        config = self.config
        done = min(1.0, self.actor_updates / max(1, config.imitation_updates))
        return config.imitation_start + done * (config.imitation_end - config.imitation_start)
