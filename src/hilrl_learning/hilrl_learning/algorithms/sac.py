"""Soft actor-critic with a person's data: RLPD/HIL-SERL with a gripper critic and a filtered imitation term.

Sources: SAC (arXiv 1801.01290), RLPD (2302.02948), HIL-SERL (2410.21845); the imitation term counts only
where the critic prefers the person's action (Q-filter, Nair et al. 2018, 1709.10089); the margin that keeps
the person's gripper command ahead is DQfD's (1704.03732).
"""

import copy
import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilrl_learning.algorithms.base import ActingHead, Batch, RLAlgorithm
from hilrl_learning.algorithms.registry import register
from hilrl_learning.data import Gripper, Source
from hilrl_learning.encoders import Encoder
from hilrl_learning.networks import EnsembleMLP, GaussianActor

GRIPPER_COMMANDS = len(Gripper)
STATS_EVERY = 10
"""Updates from one set of stats to the next: gradient norms and means cost a tenth of an update."""


@dataclass(frozen=True)
class SACConfig:
    """Hyper-parameters; each becomes a parameter of the learner."""

    learning_rate: float = field(default=3e-4, metadata={"description": "Adam step size", "minimum": 0.0})
    target_rate: float = field(
        default=0.005,
        metadata={
            "description": "share of the critic its target takes over per update",
            "minimum": 0.0,
            "maximum": 1.0,
        },
    )
    hidden_units: int = field(default=256, metadata={"description": "width of hidden layers", "minimum": 1})
    hidden_layers: int = field(
        default=2, metadata={"description": "hidden layers of each network", "minimum": 1}
    )
    critics: int = field(default=2, metadata={"description": "members of the critic ensemble", "minimum": 1})
    target_critics: int = field(
        default=0,
        metadata={
            "description": "members drawn at random whose lowest value is the target (REDQ); 0: all",
            "minimum": 0,
        },
    )
    initial_temperature: float = field(
        default=0.01, metadata={"description": "entropy temperature at the start", "minimum": 0.0}
    )
    target_entropy_per_action: float = field(
        default=-0.5,
        metadata={
            "description": "entropy the temperature aims at, per action dimension",
            "minimum": -10.0,
            "maximum": 10.0,
        },
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
        default=2000,
        metadata={"description": "actor updates from the first weight to the last", "minimum": 0},
    )
    gripper_penalty: float = field(
        default=0.02,
        metadata={"description": "cost of a command that changes the gripper's goal", "minimum": 0.0},
    )
    gripper_margin: float = field(
        default=0.05,
        metadata={"description": "lead a person's gripper command keeps over the others", "minimum": 0.0},
    )
    gripper_margin_weight: float = field(
        default=0.5, metadata={"description": "weight of the gripper margin loss", "minimum": 0.0}
    )
    reward_max: float = field(
        default=1.0,
        metadata={
            "description": "largest return of an episode; targets are clipped to [0, this]",
            "minimum": 0.0,
        },
    )


class SACHead(ActingHead):
    """Gaussian actor for the delta, greedy Q-network for the gripper."""

    def __init__(self, features: int, actions: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.actor = GaussianActor(features, actions, hidden)
        self.gripper = EnsembleMLP(1, features, GRIPPER_COMMANDS, hidden)

    def act(self, features: Tensor, explore: bool) -> tuple[Tensor, Tensor]:
        """See `ActingHead.act`."""
        sample, _, mean = self.actor.sample(features)
        return (sample if explore else mean), self.gripper(features)[0].argmax(-1)


@register("sac")
class SAC(RLAlgorithm):
    """See the module's first lines."""

    config_class = SACConfig

    def __init__(
        self, config: SACConfig, encoder: Encoder, state_size: int, actions: int, device: torch.device
    ) -> None:
        """Raises ValueError when more target critics are asked for than there are critics."""
        super().__init__(config, encoder, state_size, actions, device)
        if config.target_critics > config.critics:
            raise ValueError(
                f"sac.target_critics: expected at most sac.critics ({config.critics}), "
                f"got {config.target_critics}"
            )
        hidden = _hidden(config)
        self._head = self.acting_head(config, self.features, actions).to(device)
        self.critic = EnsembleMLP(config.critics, self.features, 1, hidden, extra=actions).to(device)
        # Deep copies draw no random numbers, and start where the originals are.
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.gripper_target = copy.deepcopy(self._head.gripper).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.initial_temperature), device=device))
        self.target_entropy = config.target_entropy_per_action * (actions + 1)
        self._actor_parameters = [*self._head.actor.parameters(), self.log_temperature]
        self._valued_parameters = [*self.critic.parameters(), *self._head.gripper.parameters()]
        self._target_parameters = [*self.critic_target.parameters(), *self.gripper_target.parameters()]
        self._critic_parameters = [*self._valued_parameters, *encoder.trainable()]
        adam = {"lr": config.learning_rate, "fused": True}
        self._critic_optimizer = torch.optim.Adam(self._critic_parameters, **adam)
        self._actor_optimizer = torch.optim.Adam(self._actor_parameters, **adam)

    def compile(self) -> None:
        """Fuse the networks' small operations; on a GPU replay them as CUDA graphs."""
        mode = "reduce-overhead" if self.device.type == "cuda" else "default"
        self._targets = torch.compile(self._targets, mode=mode)
        for module in (self.critic, self._head.gripper):
            module.forward = torch.compile(module.forward, mode=mode)
        self._head.actor.sample = torch.compile(self._head.actor.sample, mode=mode)

    @staticmethod
    def acting_head(config: SACConfig, features: int, actions: int) -> SACHead:
        """See `RLAlgorithm.acting_head`."""
        return SACHead(features, actions, _hidden(config))

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
        }

    def imitate(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error of the mean plus cross entropy of the gripper, on the human rows."""
        features = self.embed(batch.observation)
        _, _, mean = self._head.actor.sample(features)
        delta_loss = (mean - batch.delta[:, 0]).square().sum(-1).mean()
        gripper_loss = F.cross_entropy(self._head.gripper(features)[0], batch.gripper[:, 0])
        self._actor_optimizer.zero_grad()
        self._critic_optimizer.zero_grad()
        (delta_loss + gripper_loss).backward()
        self._actor_optimizer.step()
        self._critic_optimizer.step()
        return {"imitation_delta": delta_loss.detach(), "imitation_gripper": gripper_loss.detach()}

    def warm_up_updates(self) -> int:
        """The critics learn first, from people's steps, so that the imitated actor is not led astray."""
        return self.config.critic_only_updates

    def begin_training(self) -> None:
        """Start the gripper critic afresh: after imitation its outputs are logits, not values."""
        fresh = EnsembleMLP(1, self.features, GRIPPER_COMMANDS, _hidden(self.config))
        self._head.gripper.load_state_dict(fresh.state_dict())
        self.gripper_target.load_state_dict(self._head.gripper.state_dict())
        for parameter in self._head.gripper.parameters():
            self._critic_optimizer.state.pop(parameter, None)

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """One critic update, and an actor update where it is due. Every `STATS_EVERY`th returns stats."""
        torch.compiler.cudagraph_mark_step_begin()
        self.critic_updates += 1
        wanted = self.critic_updates % STATS_EVERY == 0
        features = self.embed(batch.observation)
        values, stats = self._update_critics(batch, features, wanted)
        due = self.critic_updates % self.config.critic_updates_per_actor_update == 0
        if due and self.critic_updates > self.config.critic_only_updates:
            # What the critics' update computed of the observation serves again; only they train the encoder.
            stats |= self._update_actor(batch, features.detach(), values[:, : batch.human], wanted)
            self.actor_updates += 1
        return stats

    def _update_critics(
        self, batch: Batch, features: Tensor, wanted: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the values (critics, batch) of what was done, and stats."""
        target, gripper_target = self._targets(batch)
        values = self.critic(features, batch.delta[:, 0]).squeeze(-1)
        error = values - target
        critic_loss = error.square().mean(1).sum()

        gripper = batch.gripper[:, 0]
        gripper_values = self._head.gripper(features)[0]
        taken = gripper_values.gather(-1, gripper[:, None]).squeeze(-1)
        gripper_loss = (taken - gripper_target).square().mean()
        shown = slice(0, batch.human)
        lead = self.config.gripper_margin * (1.0 - F.one_hot(gripper[shown], GRIPPER_COMMANDS))
        margin_loss = ((gripper_values[shown] + lead).amax(-1) - taken[shown]).mean()

        self._critic_optimizer.zero_grad()
        loss = critic_loss + gripper_loss + self.config.gripper_margin_weight * margin_loss
        loss.backward()
        values = values.detach()
        stats = {}
        if wanted:
            stats = {
                "critic_loss": critic_loss.detach(),
                "gripper_loss": gripper_loss.detach(),
                "gripper_margin_loss": margin_loss.detach(),
                "td_error": error.detach().abs().mean(),
                "target": target.mean(),
                "critic_gradient_norm": gradient_norm(self._critic_parameters),
                **values_by_source(values.mean(0), batch.source),
            }
        self._critic_optimizer.step()
        torch._foreach_lerp_(self._target_parameters, self._valued_parameters, self.config.target_rate)
        return values, stats

    @torch.no_grad()
    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the critics (batch,) and the gripper's network (batch,) should say."""
        config = self.config
        features = self.embed(batch.next_observation)
        delta, _, _ = self._head.actor.sample(features)
        members = None
        if 0 < config.target_critics < config.critics:
            # REDQ (arXiv 2101.05982): a fresh subset for every update.
            members = torch.randperm(config.critics, device=self.device)[: config.target_critics]
        next_value = self.critic_target(features, delta, members).squeeze(-1).amin(0)
        target = (batch.reward + batch.discount * next_value).clamp(0.0, config.reward_max)
        # Double DQN (1509.06461): chosen by the network, valued by its target.
        chosen = self._head.gripper(features)[0].argmax(-1, keepdim=True)
        next_value = self.gripper_target(features)[0].gather(-1, chosen).squeeze(-1)
        gripper_target = (batch.reward + batch.discount * next_value).clamp(0.0, config.reward_max)
        return target, gripper_target - config.gripper_penalty * batch.gripper_moves[:, 0]

    def _update_actor(
        self, batch: Batch, features: Tensor, human_values: Tensor, wanted: bool
    ) -> dict[str, Tensor]:
        """`human_values`: (critics, human), of what people did."""
        delta, log_prob, mean = self._head.actor.sample(features)
        value = self.critic(features, delta).squeeze(-1).mean(0)
        shown = slice(0, batch.human)
        preferred = (human_values.mean(0) > value[shown].detach()).float()
        distance = (mean[shown] - batch.delta[shown, 0]).square().sum(-1)
        imitation_loss = (preferred * distance).mean()
        temperature = self.log_temperature.exp()
        actor_loss = (temperature.detach() * log_prob - value).mean()
        entropy = -log_prob.detach().mean()
        # Nothing but the temperature has a part in the last term, and it in nothing else: one pass for both.
        temperature_loss = temperature * (entropy - self.target_entropy)
        loss = actor_loss + self._imitation_weight() * imitation_loss + temperature_loss
        self._actor_optimizer.zero_grad()
        loss.backward(inputs=self._actor_parameters)
        norm = gradient_norm(self._actor_parameters) if wanted else None
        self._actor_optimizer.step()
        if not wanted:
            return {}
        return {
            "actor_loss": actor_loss.detach(),
            "imitation_loss": imitation_loss.detach(),
            "imitation_share": preferred.mean(),
            "entropy": entropy,
            "temperature": temperature.detach(),
            "actor_gradient_norm": norm,
        }

    def _imitation_weight(self) -> float:
        config = self.config
        done = min(1.0, self.actor_updates / max(1, config.imitation_updates))
        return config.imitation_start + done * (config.imitation_end - config.imitation_start)


def _hidden(config: SACConfig) -> tuple[int, ...]:
    return (config.hidden_units,) * config.hidden_layers


def gradient_norm(parameters: list[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together."""
    return torch.stack(torch._foreach_norm([parameter.grad for parameter in parameters])).norm()


def values_by_source(values: Tensor, source: Tensor) -> dict[str, Tensor]:
    """Mean of values (batch,) for each kind of step that is there: `q_policy`, `q_demonstration` ..."""
    kinds = {kind: source == kind for kind in Source}
    return {f"q_{kind.name.lower()}": values[rows].mean() for kind, rows in kinds.items() if rows.any()}
