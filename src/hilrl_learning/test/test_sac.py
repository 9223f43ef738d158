"""SAC against closed forms and independent references."""

import math
from dataclasses import replace

import pytest
import torch

from hilrl_learning.algorithms import registry
from hilrl_learning.algorithms.base import Batch
from hilrl_learning.algorithms.sac import SAC, SACConfig
from hilrl_learning.networks import EnsembleMLP, GaussianActor

FEATURES, ACTIONS = 6, 3


def batch(size: int = 32, human: int = 16, seed: int = 1, **fields) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    values = {
        "features": normal(size, FEATURES),
        "next_features": normal(size, FEATURES),
        "delta": torch.tanh(normal(size, ACTIONS)),
        "gripper": torch.randint(0, 3, (size,), generator=generator),
        "gripper_moves": torch.zeros(size),
        "reward": torch.zeros(size),
        "discount": torch.full((size,), 0.9),
        "human": human,
    }
    return Batch(**(values | fields))


def sac(**config) -> SAC:
    torch.manual_seed(0)
    return SAC(SACConfig(**config), FEATURES, ACTIONS, torch.device("cpu"))


def test_ensemble_members_equal_perceptrons_evaluated_one_by_one():
    ensemble = EnsembleMLP(3, 5, 2, (8, 8))
    x = torch.randn(7, 5)
    for member, output in enumerate(ensemble(x)):
        hidden = x
        for layer in range(3):
            hidden = hidden @ ensemble.weights[layer][member] + ensemble.biases[layer][member]
            if layer < 2:
                deviation = hidden.var(-1, unbiased=False, keepdim=True).add(1e-5).sqrt()
                hidden = torch.tanh((hidden - hidden.mean(-1, keepdim=True)) / deviation)
        torch.testing.assert_close(output, hidden)


def test_log_probability_equals_that_of_torch_distributions():
    actor = GaussianActor(FEATURES, ACTIONS)
    features = torch.randn(50, FEATURES)
    action, log_prob, _ = actor.sample(features)
    mean, log_std = actor(features)
    reference = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_std.exp()), torch.distributions.TanhTransform()
    )
    torch.testing.assert_close(log_prob, reference.log_prob(action).sum(-1), rtol=1e-3, atol=1e-3)


def test_critics_converge_to_the_return_of_a_terminal_reward():
    algorithm = sac(learning_rate=3e-3, critic_only_updates=10**9, gripper_margin_weight=0.0)
    data = batch(reward=torch.linspace(0, 1, 32), discount=torch.zeros(32))
    for _ in range(600):
        algorithm.update(data)
    values = algorithm.critic(torch.cat((data.features, data.delta), -1))[..., 0]
    torch.testing.assert_close(values, data.reward.expand(2, -1), rtol=0.0, atol=0.05)


def test_targets_are_clipped_to_the_possible_return():
    algorithm = sac(critic_only_updates=10**9)
    stats = algorithm.update(batch(reward=torch.full((32,), 7.0), discount=torch.zeros(32)))
    assert stats["target"] == 1.0


def test_gripper_penalty_is_in_its_target_and_in_no_other():
    def gripper_value(moves: float) -> tuple[float, float]:
        algorithm = sac(
            learning_rate=3e-3, critic_only_updates=10**9, gripper_penalty=0.2, gripper_margin_weight=0.0
        )
        data = batch(
            reward=torch.full((32,), 0.5),
            discount=torch.zeros(32),
            gripper_moves=torch.full((32,), moves),
        )
        for _ in range(400):
            algorithm.update(data)
        taken = algorithm.head().gripper(data.features)[0].gather(-1, data.gripper[:, None])
        value = algorithm.critic(torch.cat((data.features, data.delta), -1)).mean()
        return taken.mean().item(), value.item()

    without, with_penalty = gripper_value(0.0), gripper_value(1.0)
    assert without[0] - with_penalty[0] == pytest.approx(0.2, abs=0.02)
    assert without[1] == pytest.approx(with_penalty[1], abs=0.02)


def test_margin_keeps_the_persons_gripper_command_ahead():
    algorithm = sac(
        learning_rate=3e-3, critic_only_updates=10**9, gripper_margin=0.1, gripper_margin_weight=1.0
    )
    data = batch(human=32, reward=torch.full((32,), 0.5), discount=torch.zeros(32))
    for _ in range(400):
        algorithm.update(data)
    assert (algorithm.head().gripper(data.features)[0].argmax(-1) == data.gripper).float().mean() > 0.95


def test_actor_holds_still_until_the_critics_have_learned():
    algorithm = sac(critic_only_updates=5, critic_updates_per_actor_update=1)
    before = [parameter.clone() for parameter in algorithm.head().actor.parameters()]
    for _ in range(5):
        algorithm.update(batch())
    assert all(map(torch.equal, before, algorithm.head().actor.parameters()))
    algorithm.update(batch())
    assert not all(map(torch.equal, before, algorithm.head().actor.parameters()))


def liking_the_first_axis(**config) -> SAC:
    """An algorithm whose critics have learned Q = 0.5 + 0.4 a_0."""
    algorithm = sac(learning_rate=1e-3, critic_only_updates=10**9, **config)
    for seed in range(300):
        data = batch(seed=seed, discount=torch.zeros(32))
        algorithm.update(replace(data, reward=0.5 + 0.4 * data.delta[:, 0]))
    return algorithm


def test_actor_update_leaves_the_critics_alone_and_follows_their_gradient():
    algorithm = liking_the_first_axis(imitation_start=0.0, imitation_end=0.0, initial_temperature=1e-6)
    frozen = [parameter.clone() for parameter in algorithm.critic.parameters()]
    for _ in range(200):
        algorithm._update_actor(batch())
    assert all(map(torch.equal, frozen, algorithm.critic.parameters()))
    assert algorithm.head().act(batch().features, explore=False)[0][:, 0].min() > 0.5


def test_imitation_counts_only_where_the_critic_prefers_the_person():
    algorithm = liking_the_first_axis()
    high, low = torch.zeros(32, ACTIONS), torch.zeros(32, ACTIONS)
    high[:, 0], low[:, 0] = 0.99, -0.99
    assert algorithm._update_actor(batch(delta=high))["imitation_share"] > 0.9
    assert algorithm._update_actor(batch(delta=low))["imitation_share"] < 0.1


def test_temperature_moves_entropy_towards_its_target():
    algorithm = sac(initial_temperature=0.1)
    before = algorithm.log_temperature.item()
    stats = algorithm._update_actor(batch())
    falls = stats["entropy"] > algorithm.target_entropy
    assert (algorithm.log_temperature.item() < before) == bool(falls)


def test_imitation_reproduces_what_was_shown():
    algorithm = sac(learning_rate=3e-3)
    data = batch(human=32)
    for _ in range(500):
        losses = algorithm.imitate(data)
    assert losses["imitation_delta"] < 0.05 and losses["imitation_gripper"] < 0.1


def test_unknown_algorithm_names_the_known_ones():
    with pytest.raises(ValueError, match=r"expected one of \['sac'\], got 'sax'"):
        registry.algorithm("sax")


def test_target_entropy_counts_the_gripper_as_hil_serl_does():
    assert math.isclose(sac().target_entropy, -2.0)
