"""SAC against closed forms and independent references."""

import math
from dataclasses import replace

import pytest
import torch

from hilrl_learning.algorithms.base import Batch, Observations
from hilrl_learning.algorithms.sac import SAC, SACConfig, values_by_source
from hilrl_learning.data import Source
from hilrl_learning.encoders import EndToEnd, SmallCNN
from hilrl_learning.networks import EnsembleMLP, GaussianActor, normalised_tanh

FEATURES, ACTIONS = 6, 3


def batch(size: int = 32, human: int = 16, seed: int = 1, **fields) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    values = {
        "observation": Observations(torch.empty(size, 0), normal(size, FEATURES)),
        "next_observation": Observations(torch.empty(size, 0), normal(size, FEATURES)),
        "delta": torch.tanh(normal(size, 1, ACTIONS)),
        "gripper": torch.randint(0, 3, (size, 1), generator=generator),
        "gripper_moves": torch.zeros(size, 1),
        "valid": torch.ones(size, 1, dtype=torch.bool),
        "whole": torch.ones(size, dtype=torch.bool),
        "reward": torch.zeros(size),
        "discount": torch.full((size,), 0.9),
        "source": torch.arange(size) % len(Source),
        "human": human,
    }
    return Batch(**(values | fields))


def features(data: Batch) -> torch.Tensor:
    """The encoder of these tests has no cameras."""
    return data.observation.state


def statistics(algorithm: SAC, data: Batch) -> dict[str, torch.Tensor]:
    """Of the next update that gives some."""
    while not (stats := algorithm.update(data)):
        pass
    return stats


def act(algorithm: SAC, data: Batch) -> dict[str, torch.Tensor]:
    """An actor update by itself."""
    with torch.no_grad():
        values = algorithm.critic(features(data), data.delta[:, 0]).squeeze(-1)
    return algorithm._update_actor(data, features(data), values[:, : data.human], wanted=True)


def sac(**config) -> SAC:
    torch.manual_seed(0)
    config = {"hidden_units": 64} | config
    return SAC(SACConfig(**config), SmallCNN(0, 8), FEATURES, ACTIONS, torch.device("cpu"))


@pytest.mark.parametrize("outputs", [1, 2])
def test_ensemble_members_equal_perceptrons_evaluated_one_by_one(outputs):
    ensemble = EnsembleMLP(3, 5, outputs, (8, 8), extra=2)
    x, extra = torch.randn(7, 5), torch.randn(7, 2)
    everyone = ensemble(x, extra)
    torch.testing.assert_close(ensemble(x, extra, torch.tensor([2, 0])), everyone[[2, 0]])
    for member, output in enumerate(everyone):
        hidden = x
        for layer in range(2):
            hidden = hidden @ ensemble.weights[layer][member] + ensemble.biases[layer][member]
            if layer == 0:
                hidden = hidden + extra @ ensemble.extra[member]
            deviation = hidden.var(-1, unbiased=False, keepdim=True).add(1e-5).sqrt()
            hidden = torch.tanh((hidden - hidden.mean(-1, keepdim=True)) / deviation)
        hidden = hidden @ ensemble.last_weight[member].T + ensemble.last_bias[member].T
        torch.testing.assert_close(output, hidden)


def test_log_probability_equals_that_of_torch_distributions():
    actor = GaussianActor(FEATURES, ACTIONS, (32, 32))
    inputs = torch.randn(50, FEATURES)
    action, log_prob, _ = actor.sample(inputs)
    mean, log_std = actor(inputs)
    reference = torch.distributions.TransformedDistribution(
        torch.distributions.Normal(mean, log_std.exp()), torch.distributions.TanhTransform()
    )
    torch.testing.assert_close(log_prob, reference.log_prob(action).sum(-1), rtol=1e-3, atol=1e-3)


def test_critics_converge_to_the_return_of_a_terminal_reward():
    algorithm = sac(learning_rate=3e-3, critic_only_updates=10**9, gripper_margin_weight=0.0)
    data = batch(reward=torch.linspace(0, 1, 32), discount=torch.zeros(32))
    for _ in range(600):
        algorithm.update(data)
    values = algorithm.critic(features(data), data.delta[:, 0])[..., 0]
    torch.testing.assert_close(values, data.reward.expand(2, -1), rtol=0.0, atol=0.05)


def test_targets_are_clipped_to_the_possible_return():
    algorithm = sac(critic_only_updates=10**9)
    stats = statistics(algorithm, batch(reward=torch.full((32,), 7.0), discount=torch.zeros(32)))
    assert stats["target"] == 1.0


def test_gripper_penalty_is_in_its_target_and_in_no_other():
    def gripper_value(moves: float) -> tuple[float, float]:
        algorithm = sac(
            learning_rate=3e-3, critic_only_updates=10**9, gripper_penalty=0.2, gripper_margin_weight=0.0
        )
        data = batch(
            reward=torch.full((32,), 0.5),
            discount=torch.zeros(32),
            gripper_moves=torch.full((32, 1), moves),
        )
        for _ in range(400):
            algorithm.update(data)
        taken = algorithm.head().gripper(features(data))[0].gather(-1, data.gripper)
        value = algorithm.critic(features(data), data.delta[:, 0]).mean()
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
    assert (
        algorithm.head().gripper(features(data))[0].argmax(-1) == data.gripper[:, 0]
    ).float().mean() > 0.95


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
        algorithm.update(replace(data, reward=0.5 + 0.4 * data.delta[:, 0, 0]))
    return algorithm


def test_actor_update_leaves_the_critics_alone_and_follows_their_gradient():
    algorithm = liking_the_first_axis(imitation_start=0.0, imitation_end=0.0, initial_temperature=1e-6)
    frozen = [parameter.clone() for parameter in algorithm.critic.parameters()]
    for _ in range(200):
        act(algorithm, batch())
    assert all(map(torch.equal, frozen, algorithm.critic.parameters()))
    assert algorithm.head().act(features(batch()), explore=False)[0][:, 0].min() > 0.5


def test_imitation_counts_only_where_the_critic_prefers_the_person():
    algorithm = liking_the_first_axis()
    high, low = torch.zeros(32, 1, ACTIONS), torch.zeros(32, 1, ACTIONS)
    high[..., 0], low[..., 0] = 0.99, -0.99
    assert act(algorithm, batch(delta=high))["imitation_share"] > 0.9
    assert act(algorithm, batch(delta=low))["imitation_share"] < 0.1


def test_temperature_moves_entropy_towards_its_target():
    algorithm = sac(initial_temperature=0.1)
    before = algorithm.log_temperature.item()
    stats = act(algorithm, batch())
    falls = stats["entropy"] > algorithm.target_entropy
    assert (algorithm.log_temperature.item() < before) == bool(falls)


def test_imitation_reproduces_what_was_shown():
    algorithm = sac(learning_rate=3e-3)
    data = batch(human=32)
    for _ in range(500):
        losses = algorithm.imitate(data)
    assert losses["imitation_delta"] < 0.05 and losses["imitation_gripper"] < 0.1


def test_target_is_the_lowest_of_a_fresh_subset_of_the_ensemble():
    """REDQ, against its definition: every pair turns up, and nothing but pairs."""
    algorithm = sac(critics=4, target_critics=2, critic_only_updates=10**9)
    with torch.no_grad():
        for member in range(4):  # constant critics, 0.1 0.2 0.3 0.4
            algorithm.critic_target.last_weight[member] = 0.0
            algorithm.critic_target.last_bias[member] = 0.1 * (member + 1)
    data = batch(discount=torch.ones(32))
    lowest = {round(algorithm._targets(data)[0].mean().item(), 3) for _ in range(200)}
    assert lowest == {0.1, 0.2, 0.3}  # the lowest of a pair is never the fourth


def test_more_target_critics_than_critics_are_refused():
    with pytest.raises(ValueError, match=r"target_critics: expected at most sac.critics \(2\), got 3"):
        sac(target_critics=3)


def test_values_are_told_apart_by_who_acted():
    source = torch.tensor([Source.POLICY, Source.DEMONSTRATION, Source.POLICY, Source.DEMONSTRATION])
    values = values_by_source(torch.tensor([0.1, 0.7, 0.3, 0.9]), source)
    assert values == {"q_policy": pytest.approx(0.2), "q_demonstration": pytest.approx(0.8)}


def test_stats_say_what_a_person_needs_to_know():
    stats = statistics(sac(critic_only_updates=0, critic_updates_per_actor_update=1), batch())
    assert {"q_policy", "q_intervention", "q_demonstration", "entropy", "temperature"} <= stats.keys()
    assert min(stats[name] for name in ("td_error", "critic_gradient_norm", "actor_gradient_norm")) > 0


def test_a_trained_encoder_learns_from_the_critics_and_not_from_the_actor():
    encoder = EndToEnd(1, (40, 40), 4)
    algorithm = SAC(
        SACConfig(critic_only_updates=0, critic_updates_per_actor_update=1),
        encoder, FEATURES, ACTIONS, torch.device("cpu"),
    )  # fmt: skip
    data = batch()
    frames = [Observations(torch.randn(32, 1, 3, 40, 40), data.observation.state) for _ in range(2)]
    data = replace(data, observation=frames[0], next_observation=frames[1])
    before = [parameter.clone() for parameter in encoder.parameters()]
    embedded = algorithm.embed(frames[0]).detach()
    algorithm._update_actor(data, embedded, torch.zeros(2, 16), wanted=False)
    assert all(map(torch.equal, before, encoder.parameters()))
    algorithm.update(data)
    assert not any(map(torch.equal, before, encoder.parameters()))


def test_compiled_updates_are_the_same_updates():
    """On the CPU; a GPU's CUDA graphs come from the same switch."""
    eager, compiled = sac(critic_only_updates=0), sac(critic_only_updates=0)
    compiled.compile()
    for algorithm in (eager, compiled):
        for seed in range(3):  # critics only, and with noise that does not count
            algorithm.update(batch(seed=seed, discount=torch.zeros(32)))
    for ours, theirs in zip(eager.critic.parameters(), compiled.critic.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_normalised_tanh_is_the_tanh_of_the_norm():
    x = 30.0 * torch.randn(3, 50, 16)
    expected = torch.tanh(torch.nn.functional.layer_norm(x, (16,)))
    torch.testing.assert_close(normalised_tanh(x), expected, rtol=0.0, atol=1e-6)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalised_tanh, (x,))


def test_target_entropy_counts_the_gripper_as_hil_serl_does():
    assert math.isclose(sac().target_entropy, -2.0)
