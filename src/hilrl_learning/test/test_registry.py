"""An algorithm from another package: one file, one config block."""

import sys
from dataclasses import asdict

import pytest
from step_stream import SPEC
from test_trainer import CONFIG, demonstrate, train_until

from hilrl_learning.algorithms import registry
from hilrl_learning.data import ActionSpec
from hilrl_learning.policy import load_policy
from hilrl_learning.train_config import TrainConfig
from hilrl_learning.trainer import Phase, Trainer

CLONING = '''
"""Behaviour cloning that never stops: the smallest algorithm there is, on chunks of three actions."""

from dataclasses import dataclass, field

import torch
from torch import nn

from hilrl_learning.algorithms.base import ActingHead, RLAlgorithm
from hilrl_learning.algorithms.registry import register


@dataclass(frozen=True)
class CloningConfig:
    learning_rate: float = field(default=1e-3, metadata={"description": "Adam step size"})


class CloningHead(ActingHead):
    def __init__(self, features, actions):
        super().__init__()
        self.delta, self.gripper = nn.Linear(features, actions), nn.Linear(features, 3)

    def act(self, features, explore):
        return torch.tanh(self.delta(features)), self.gripper(features).argmax(-1)


@register("cloning")
class Cloning(RLAlgorithm):
    config_class = CloningConfig
    window = 3

    def __init__(self, config, encoder, state_size, actions, device):
        super().__init__(config, encoder, state_size, actions, device)
        self._head = self.acting_head(config, self.features, actions).to(device)
        self._optimizer = torch.optim.Adam(self._head.parameters(), lr=config.learning_rate)

    @staticmethod
    def acting_head(config, features, actions):
        return CloningHead(features, actions)

    def imitate(self, batch):
        assert batch.delta.shape[1] == 3 and batch.valid.shape[1] == 3
        chosen = torch.tanh(self._head.delta(self.embed(batch.observation)))
        loss = (chosen - batch.delta[:, 0]).square().mean()
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return {"imitation": loss.detach()}

    def begin_training(self):
        pass

    def warm_up_updates(self):
        return 0

    def update(self, batch):
        self.critic_updates += 1
        return self.imitate(batch)

    def head(self):
        return self._head

    def modules(self):
        return {"head": self._head}

    def optimizers(self):
        return {"head": self._optimizer}
'''


@pytest.fixture
def my_lab(tmp_path, monkeypatch):
    """An installed package that declares an algorithm, as pip would leave it."""
    site = tmp_path / "site"
    metadata = site / "my_lab-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "my_lab_cloning.py").write_text(CLONING)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-lab\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\ncloning = my_lab_cloning\n")
    monkeypatch.syspath_prepend(str(site))
    yield
    registry._ALGORITHMS.pop("cloning", None)
    sys.modules.pop("my_lab_cloning", None)


def test_an_algorithm_from_outside_trains_and_acts(my_lab, tmp_path, stream):
    config = TrainConfig(**(asdict(CONFIG) | {"algorithm": "cloning", "n_step": 3}))
    settings = registry.algorithm("cloning").config_class()
    run = Trainer(config, settings, SPEC, ActionSpec(), tmp_path / "run")
    demonstrate(run, stream)
    train_until(run, Phase.TRAINING)
    for step in stream.steps(8):
        run.add(step)
    while run.work():
        pass
    assert run.critic_updates == 8 * config.max_updates_per_env_step
    policy = load_policy(run.acting_payload()[1], 1)
    assert policy.spec.algorithm == "cloning"
    assert abs(policy.act(stream.observation(), explore=True).delta).max() <= 1.0


def test_its_window_must_agree_with_the_return(my_lab, tmp_path):
    config = TrainConfig(**(asdict(CONFIG) | {"algorithm": "cloning", "n_step": 2}))
    with pytest.raises(ValueError, match="n_step: expected 3, the algorithm's action window, got 2"):
        Trainer(config, registry.algorithm("cloning").config_class(), SPEC, ActionSpec(), tmp_path / "run")


def test_unknown_algorithm_names_the_known_ones(my_lab):
    with pytest.raises(ValueError, match=r"expected one of \['cloning', 'sac'\], got 'sax'"):
        registry.algorithm("sax")


def test_a_name_is_given_once():
    with pytest.raises(ValueError, match="'sac' is registered already"):
        registry.register("sac")(object)
