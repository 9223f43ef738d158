"""Weights on the wire: checked, versioned, never pickle."""

import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from policies import fresh_policy
from safetensors.torch import load

from hilrl_learning.data import Observation
from hilrl_learning.policy import Policy, load_policy
from hilrl_learning.policy_slot import PolicySlot, Weights
from hilrl_learning.weights import HALVED_FROM, PolicySpec, pack, sha256, unpack


@pytest.fixture
def payload(spec):
    return fresh_policy(spec)


def test_pack_and_unpack_are_inverse(payload):
    tensors, policy_spec = payload
    back, spec_back = unpack(pack(tensors, policy_spec))
    assert spec_back == policy_spec
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_a_payload_is_plain_safetensors(payload):
    """Of every dtype and shape that a module may hold, read by the library itself."""
    tensors, policy_spec = payload
    kinds = {
        "count": torch.tensor(7),
        "mask": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "brain": torch.randn(3, 2).bfloat16(),
        "double": torch.randn(2, dtype=torch.float64),
        "empty": torch.empty(0, 4),
        "transposed": torch.randn(3, 4).T,
    }
    back = load(pack(tensors | kinds, policy_spec))
    assert kinds.keys() < back.keys() <= {*tensors, *kinds}, "biases that are all zero are in it once"
    for name, tensor in back.items():
        sent = (tensors | kinds)[name]
        assert tensor.dtype == sent.dtype and torch.equal(tensor, sent)


def test_equal_tensors_travel_once_and_come_out_under_all_names(payload):
    tensors, policy_spec = payload
    alone = len(pack(tensors, policy_spec))
    name, large = max(tensors.items(), key=lambda item: item[1].numel())
    doubled = tensors | {"shared": large, "copied": large.clone(), "other": large + 1.0}
    packed = pack(doubled, policy_spec)
    assert alone + large.nbytes < len(packed) < alone + large.nbytes + 1000, "`other` is the only new one"
    back, _ = unpack(packed)
    assert all(torch.equal(back[name], tensor) for name, tensor in doubled.items())
    assert torch.equal(back["shared"], tensors[name])


@pytest.mark.parametrize("half", [False, True])
def test_zeros_of_either_sign_stay_what_they_were(payload, half):
    _, policy_spec = payload
    tensors = {"plus": torch.zeros(2000), "minus": -torch.zeros(2000)}
    back, _ = unpack(pack(tensors, policy_spec, half))
    assert not back["plus"].signbit().any() and back["minus"].signbit().all()


def test_halved_weights_are_half_the_bytes_and_nearly_the_same(payload, stream):
    tensors, policy_spec = payload
    whole, halved = (pack(tensors, policy_spec, half) for half in (False, True))
    assert len(halved) < 0.55 * len(whole)
    back, _ = unpack(halved)
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype
        torch.testing.assert_close(back[name], tensor, rtol=2**-11, atol=2**-24)
        assert tensor.numel() >= HALVED_FROM or torch.equal(back[name], tensor), "small ones are exact"
    observation = stream.observation()
    exact, rounded = (load_policy(p, 1).act(observation, explore=False).delta for p in (whole, halved))
    np.testing.assert_allclose(rounded, exact, atol=5e-3)


def test_a_value_beyond_float16_is_refused_by_name_and_not_published_as_infinity(payload):
    tensors, policy_spec = payload
    tensors["head.large"] = torch.full((HALVED_FROM,), 65504.0)
    assert unpack(pack(tensors, policy_spec, half=True))[0]["head.large"].max() == 65504.0
    tensors["head.large"][3] = -70000.0
    with pytest.raises(ValueError, match="head.large: expected values of at most 65504 .* got 70000"):
        pack(tensors, policy_spec, half=True)
    assert unpack(pack(tensors, policy_spec))[0]["head.large"].min() == -70000.0


def test_a_sum_that_overflows_is_not_taken_for_values_that_are_not_finite(payload):
    _, policy_spec = payload
    tensors = {"large": torch.full((10,), 3e38)}
    assert torch.equal(unpack(pack(tensors, policy_spec))[0]["large"], tensors["large"])


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


def offer_and_take(slot: PolicySlot, tensors: dict, policy_spec: PolicySpec, version: int) -> Policy:
    packed = pack(tensors, policy_spec)
    slot.offer(Weights(version, sha256(packed), packed))
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        policy, refusal = slot.take()
        if policy is not None or refusal:
            assert policy is not None, refusal
            return policy
        time.sleep(0.001)
    raise AssertionError("no policy")


def test_weights_that_come_after_one_another_leave_the_policy_that_acts_alone(payload, spec, stream):
    """Invariant 8: the networks before the last are used again, those that act are not touched."""
    tensors, policy_spec = payload
    slot = PolicySlot(spec, policy_spec.action)
    observation = stream.observation()
    acting, deltas = None, []
    for version in range(1, 6):
        moved = tensors | {
            "head.actor.trunk.last_bias": tensors["head.actor.trunk.last_bias"] + 0.1 * version
        }
        before = None if acting is None else acting.act(observation, explore=False)
        following = offer_and_take(slot, moved, replace(policy_spec, critic_updates=version), version)
        if acting is not None:
            again = acting.act(observation, explore=False)
            assert np.array_equal(again.delta, before.delta) and again.policy_version == version - 1
            assert following is not acting
        acting = following
        assert acting.spec.critic_updates == acting.version == version
        fresh = load_policy(pack(moved, policy_spec), version)
        deltas.append(acting.act(observation, explore=False).delta)
        assert np.array_equal(deltas[-1], fresh.act(observation, explore=False).delta)
    assert len({tuple(delta) for delta in deltas}) == 5
    slot.close()
