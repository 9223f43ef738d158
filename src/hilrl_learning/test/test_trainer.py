"""The course of a run, and its resumption."""

from pathlib import Path

import numpy as np
import pytest
import torch
from step_stream import SPEC, StepStream

from hilrl_learning.algorithms.sac import SACConfig
from hilrl_learning.data import ActionSpec, ObservationSpec, Source
from hilrl_learning.policy import load_policy
from hilrl_learning.trainer import Phase, TrainConfig, Trainer

STATE = ObservationSpec(
    ("ee_position.x", "ee_position.y", "ee_position.z", "gripper_target"), SPEC.cameras, SPEC.image_size
)
CONFIG = TrainConfig(
    duration_s=0,
    demonstrations=3,
    capacity=2000,
    features_per_camera=8,
    pretraining_s=0.3,
    pretraining_threads=1,
    imitation_updates=20,
    batch=16,
    publish_hz=1000.0,
)
ALGORITHM = SACConfig(critic_only_updates=10)


def trainer(folder: Path, **changes) -> Trainer:
    config = TrainConfig(**{**CONFIG.__dict__, **changes})
    return Trainer(config, ALGORITHM, STATE, ActionSpec(), folder)


def demonstrate(run: Trainer, stream: StepStream, count: int = 3) -> None:
    for _ in range(count):
        for step in stream.steps(8, Source.DEMONSTRATION):
            run.add(step)


def train_until(run: Trainer, phase: Phase) -> None:
    for _ in range(10_000):
        if run.phase is phase:
            return
        assert run.work(), f"stuck in {run.phase}"
    raise AssertionError(run.phase)


@pytest.fixture
def trained(tmp_path, stream) -> Trainer:
    run = trainer(tmp_path)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    for step in stream.steps(20):
        run.add(step)
    for _ in range(40):
        run.work()
    return run


def test_run_waits_for_demonstrations_that_succeeded(tmp_path, stream):
    run = trainer(tmp_path)
    for step in stream.steps(8, Source.DEMONSTRATION, reward=0.0):
        run.add(step)
    demonstrate(run, stream, 2)
    assert run.demonstrations == 2 and not run.work() and run.phase is Phase.DEMONSTRATIONS
    demonstrate(run, stream, 1)
    assert run.work() and run.phase is Phase.PRETRAINING


def test_an_episode_that_the_policy_began_is_no_demonstration(tmp_path, stream):
    run = trainer(tmp_path)
    for step in stream.steps(8, lambda index: Source.DEMONSTRATION if index else Source.POLICY):
        run.add(step)
    assert run.demonstrations == 0
    demonstrate(run, stream, 2)
    assert run.demonstrations == 2
    assert trainer(tmp_path).demonstrations == 2


def test_first_policy_is_the_imitation_policy(tmp_path, stream):
    run = trainer(tmp_path)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    version, payload = run.acting_payload()
    assert version == 1
    assert (tmp_path / "checkpoints" / "bc" / "policy.safetensors").read_bytes() == payload


def test_updates_are_bounded_by_the_data_seen(tmp_path, stream):
    run = trainer(tmp_path, max_updates_per_env_step=2.0)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    while run.work():
        pass
    assert run.critic_updates == ALGORITHM.critic_only_updates
    for step in stream.steps(5):
        run.add(step)
    while run.work():
        pass
    assert run.critic_updates == ALGORITHM.critic_only_updates + 10


def test_served_features_are_those_trained_on(trained, stream):
    """Train like you serve: the first cached crop is exactly what the acting policy computes."""
    observation = stream.observation()
    policy = load_policy(trained.acting_payload()[1], 1)
    cached = torch.from_numpy(trained._embed(observation)[0]).float()
    small = policy._preprocessor.shrink(torch.from_numpy(observation.images))
    served = policy._encoder(small.unsqueeze(0), policy._preprocessor)[0]
    torch.testing.assert_close(cached, served, atol=2e-3, rtol=0.0)
    assert all(
        torch.equal(a, b)
        for a, b in zip(policy._preprocessor.buffers(), trained._preprocessor.buffers(), strict=True)
    )


def test_resume_is_exact(tmp_path, trained, stream):
    trained.save()
    again = trainer(tmp_path)
    assert again.restore() == []
    assert again.critic_updates == trained.critic_updates
    assert again.env_steps == trained.env_steps
    assert again.demonstrations == trained.demonstrations
    assert again.received() == trained.received()
    assert abs(again.elapsed_s - trained.elapsed_s) < 5.0

    observation = stream.observation()
    policies = [load_policy(run.acting_payload()[1], 1) for run in (trained, again)]
    trained._publish()
    policies[0] = load_policy(trained.acting_payload()[1], 1)
    actions = [policy.act(observation, explore=False) for policy in policies]
    assert np.array_equal(actions[0].delta, actions[1].delta)
    assert actions[0].gripper == actions[1].gripper


def test_resumed_training_takes_the_same_steps(tmp_path, trained):
    trained.save()
    state = torch.get_rng_state()
    for _ in range(10):
        trained.algorithm.update(trained._mixer.sample())
    again = trainer(tmp_path)
    again.restore()
    assert torch.equal(torch.get_rng_state(), state)
    for _ in range(10):
        again.algorithm.update(again._mixer.sample())
    for name, module in trained._modules().items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, again._modules()[name].state_dict()[key]), f"{name}.{key}"


def test_run_ends_when_its_time_is_used_up(tmp_path, stream):
    run = trainer(tmp_path, duration_s=0.2)
    demonstrate(run, stream)
    train_until(run, Phase.FINISHED)
    assert not run.work()
    assert (tmp_path / "checkpoints" / "latest").exists()
