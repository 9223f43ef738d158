"""The course of a run, and its resumption."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from step_stream import SPEC, StepStream

from hilrl_learning.algorithms.sac import SACConfig
from hilrl_learning.data import ActionSpec, ObservationSpec, Source
from hilrl_learning.encoders.resnet import Backbone
from hilrl_learning.policy import load_policy
from hilrl_learning.train_config import TrainConfig
from hilrl_learning.trainer import Phase, Trainer
from hilrl_learning.vision_cache import GROUP

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
    run.config = replace(run.config, max_updates_per_env_step=4.0)
    while run.work():
        pass
    assert run.critic_updates == ALGORITHM.critic_only_updates + 20, "tuned, with the next piece of work"


def test_steps_that_come_faster_than_they_are_encoded_do_not_keep_it_from_training(trained, stream):
    updates, encoded = trained.critic_updates, trained.env_steps - trained.cache.waiting
    for _ in range(10):
        for step in stream.steps(2 * GROUP):
            trained.add(step)
        trained.work()
    assert trained.critic_updates == updates + 5
    assert trained.env_steps - trained.cache.waiting >= encoded + 4 * GROUP


def test_nothing_is_trained_on_between_two_encoders(trained, stream):
    for step in stream.steps(4 * GROUP):
        trained.add(step)
    trained.cache.renew(trained.cache.version + 1)
    updates = trained.critic_updates
    while trained.cache.waiting >= GROUP:
        assert trained.work()
    assert trained.critic_updates == updates


def test_served_features_are_those_trained_on(trained, stream):
    """Train like you serve: the first cached crop is exactly what the acting policy computes."""
    observation = stream.observation()
    policy = load_policy(trained.acting_payload()[1], 1)
    cached = torch.from_numpy(trained.cache.encode(observation.images[None])[0, 0]).float()
    small = policy._preprocessor.shrink(torch.from_numpy(observation.images).unsqueeze(0))
    served = policy._encoder.encode(policy._preprocessor.planes(small))[0]
    torch.testing.assert_close(cached, served, atol=2e-3, rtol=0.0)
    state = trained.preprocessor.state(torch.from_numpy(observation.state))
    chosen, _ = trained.algorithm.head().act(torch.cat((cached, state)).unsqueeze(0), explore=False)
    np.testing.assert_allclose(policy.act(observation, False).delta[:3], chosen[0].detach(), atol=2e-3)
    assert all(
        torch.equal(a, b)
        for a, b in zip(policy._preprocessor.buffers(), trained.preprocessor.buffers(), strict=True)
    )


def test_resume_is_exact(tmp_path, trained, stream):
    before_s = trained.elapsed_s
    trained.save()
    again = trainer(tmp_path)
    assert again.restore() == []
    assert again.critic_updates == trained.critic_updates
    assert again.env_steps == trained.env_steps
    assert again.cache.waiting == trained.cache.waiting, "what was encoded stays so"
    assert again.demonstrations == trained.demonstrations
    assert again.received() == trained.received()
    assert before_s <= again.elapsed_s <= trained.elapsed_s, "the time in between does not count"

    observation = stream.observation()
    policies = [load_policy(run.pack(), 1) for run in (trained, again)]
    actions = [policy.act(observation, explore=False) for policy in policies]
    assert np.array_equal(actions[0].delta, actions[1].delta)
    assert actions[0].gripper == actions[1].gripper


UNTIL = """
import os, signal, sys
from hashlib import sha256
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from hilrl_learning.checkpoint import flatten_optimizer
from test_trainer import trainer
folder, until, killed_after = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[4])
run = trainer(folder, max_updates_per_env_step=100.0)
assert run.restore() == []
while run.critic_updates < until:
    run.work()
if killed_after:
    run.save()
    while run.critic_updates < until + killed_after:
        run.work()
    os.kill(os.getpid(), signal.SIGKILL)
tensors = {f"{n}.{k}": v for n, m in run.modules().items() for k, v in m.state_dict().items()}
for name, optimizer in run.algorithm.optimizers().items():
    tensors |= flatten_optimizer(name, optimizer)
for name in sorted(tensors):
    print(name, sha256(tensors[name].contiguous().numpy().tobytes()).hexdigest())
"""


def updates(folder: Path, until: int, killed_after: int = 0) -> str:
    """What every tensor is after `until` updates in a process of its own.

    With `killed_after` it saves there, goes on for as many, and is killed.
    """
    command = [sys.executable, "-c", UNTIL, folder, str(until), Path(__file__).parent, str(killed_after)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (-signal.SIGKILL if killed_after else 0), done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_killed_and_resumed_training_ends_with_identical_weights(tmp_path, stream):
    """Invariant 7: 200 updates, or 100, a kill, and 100 more."""
    run = trainer(tmp_path / "a", max_updates_per_env_step=100.0)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    for step in stream.steps(20):
        run.add(step)
    while run.cache.waiting:
        run.work()
    run.save()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    start = run.critic_updates
    uninterrupted = updates(tmp_path / "a", start + 200)
    updates(tmp_path / "b", start + 100, killed_after=37)
    assert updates(tmp_path / "b", start + 200) == uninterrupted
    assert "critic.weights.0" in uninterrupted and "optimizer.actor.0.exp_avg" in uninterrupted


def test_a_checkpoint_names_code_and_settings(trained):
    state = json.loads((trained.save() / "state.json").read_text())
    assert state["code"].startswith("0.1.0")
    assert state["config"]["batch"] == 16 and state["algorithm"]["critic_only_updates"] == 10


def test_a_refreshed_encoder_replaces_all_that_was_cached(tmp_path, stream):
    run = trainer(tmp_path, refresh_s=0.2, max_updates_per_env_step=1000.0)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    for step in stream.steps(20):
        run.add(step)
    before = run.encoder.state_dict()["cameras.0.project.weight"].clone()
    while run.cache.version < 2:
        assert run.work()
    version, updates = run.version, run.critic_updates
    while run.critic_updates < updates + ALGORITHM.critic_only_updates - 1:
        assert run.work()
    assert run.version == version, "a policy on new features waits until it has learned them"
    assert not torch.equal(before, run.encoder.state_dict()["cameras.0.project.weight"])
    while run.cache.waiting:
        run.work()
    slot = run.replay.slots()[0]
    served = run.cache.encode(run.replay.images[slot][None])[0, 0]
    np.testing.assert_allclose(run.replay.cached[slot, 0], served, atol=2e-3)


def test_stats_say_how_the_run_is_doing(trained, stream):
    for step in stream.steps(4):
        trained.add(replace(step, action=replace(step.action, policy_version=trained.version)))
    stats = trained.stats()
    assert 0 < stats["buffer_fill"] < 1 and 0 < stats["buffer_human_share"] < 1
    assert stats["updates_per_env_step"] > 0 and stats["policy_lag_updates"] >= 0
    assert 0 < stats["time_update"] < 1 and 0 < stats["time_sample"] < 1


def test_updates_in_bfloat16_stay_close_to_those_in_float32(tmp_path, stream):
    run = trainer(tmp_path, max_updates_per_env_step=100.0)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    for step in stream.steps(20):
        run.add(step)
    run.save()
    shutil.copytree(tmp_path, tmp_path.with_name("half"))
    losses = []
    for folder, bf16 in ((tmp_path, False), (tmp_path.with_name("half"), True)):
        run = trainer(folder, bf16=bf16, max_updates_per_env_step=100.0)
        assert run.restore() == []
        while run.critic_updates < 200:
            run.work()
        losses.append(run.stats()["critic_loss"])
        assert all(value.dtype == torch.float32 for value in run.algorithm.critic.parameters())
    assert losses[1] == pytest.approx(losses[0], rel=0.2)


@pytest.mark.parametrize("encoder", ["end_to_end", "resnet"])
def test_encoders_with_trained_parts_train_with_the_critic(tmp_path, stream, encoder):
    weights = ""
    if encoder == "resnet":
        save_file(Backbone("resnet10t").state_dict(), tmp_path / "resnet.safetensors")
        weights = f"resnet10t:{tmp_path / 'resnet.safetensors'}"
    run = trainer(tmp_path, encoder=encoder, encoder_weights=weights)
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    before = {name: value.clone() for name, value in run.encoder.state_dict().items()}
    for step in stream.steps(8):
        run.add(step)
    for _ in range(3):
        run.work()
    changed = {
        name for name, value in run.encoder.state_dict().items() if not torch.equal(before[name], value)
    }
    assert changed and not any(name.startswith("backbone") for name in changed)
    policy = load_policy(run.pack(), 1)
    assert np.isfinite(policy.act(stream.observation(), explore=False).delta).all()


def test_weights_beyond_float16_are_published_all_the_same(tmp_path, stream):
    run = trainer(tmp_path, publish_half=True)
    small = len(run.pack())
    with torch.no_grad():
        run.algorithm.head().actor.trunk.weights[0][0, 0, 0] = 1e6
    assert len(run.pack()) > 1.5 * small
    assert load_policy(run.pack(), 1)._head.actor.trunk.weights[0][0, 0, 0] == 1e6


def test_run_ends_when_its_time_is_used_up(tmp_path, stream):
    run = trainer(tmp_path, duration_s=0.2)
    demonstrate(run, stream)
    train_until(run, Phase.FINISHED)
    assert not run.work()
    assert (tmp_path / "checkpoints" / "latest").exists()
