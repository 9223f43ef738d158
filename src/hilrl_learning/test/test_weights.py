"""Weights on the wire: checked, versioned, never pickle."""

import pickle

import numpy as np
import pytest
import torch

from hilrl_learning.algorithms.sac import SACHead
from hilrl_learning.data import ActionSpec, Observation
from hilrl_learning.encoder import Encoder
from hilrl_learning.policy import load_policy
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.weights import PolicySpec, pack, unpack


@pytest.fixture
def payload(spec):
    torch.manual_seed(0)
    parts = {
        "preprocessor": Preprocessor(4),
        "encoder": Encoder(2, 8),
        "head": SACHead(2 * 8 + 4, 3),
    }
    tensors = {f"{p}.{k}": v for p, module in parts.items() for k, v in module.state_dict().items()}
    return tensors, PolicySpec("sac", spec, ActionSpec(), 8, 7)


def test_pack_and_unpack_are_inverse(payload):
    tensors, policy_spec = payload
    back, spec_back = unpack(pack(tensors, policy_spec))
    assert spec_back == policy_spec
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_weights_are_checked(payload):
    tensors, policy_spec = payload
    good = pack(tensors, policy_spec)
    with pytest.raises(ValueError, match="not a policy payload"):
        unpack(good[: len(good) // 2])
    with pytest.raises(ValueError, match="not a policy payload"):
        unpack(pickle.dumps(tensors))
    broken = dict(tensors) | {"head.actor.trunk.biases.0": torch.full((1, 1, 256), torch.nan)}
    with pytest.raises(ValueError, match="head.actor.trunk.biases.0 holds values that are not finite"):
        load_policy(pack(broken, policy_spec), 1)
    short = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder")}
    with pytest.raises(ValueError, match="encoder does not fit"):
        load_policy(pack(short, policy_spec), 1)


def test_policy_acts_within_bounds_and_only_on_its_axes(payload, stream):
    policy = load_policy(pack(*payload), 9)
    for _ in range(20):
        action = policy.act(stream.observation(), explore=True)
        assert action.policy_version == 9
        assert np.abs(action.delta).max() <= 1.0
        assert not action.delta[3:].any()
    observation = stream.observation()
    first, second = (policy.act(observation, explore=False) for _ in range(2))
    assert np.array_equal(first.delta, second.delta)


def test_wrong_observation_is_refused_by_name(payload, stream):
    policy = load_policy(pack(*payload), 1)
    good = stream.observation()
    with pytest.raises(ValueError, match=r"images: expected shape \(2, 64, 64, 3\), got \(2, 32, 64, 3\)"):
        policy.act(Observation(0, good.state, good.images[:, :32]), explore=False)
    with pytest.raises(ValueError, match=r"state: expected shape \(4,\), got \(3,\)"):
        policy.act(Observation(0, good.state[:3], good.images), explore=False)
