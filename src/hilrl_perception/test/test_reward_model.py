import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hilrl_perception import reward_model
from hilrl_perception.reward_model import RewardModel, RewardNet, load_model


def test_a_model_read_back_answers_the_same_to_the_last_bit(model, model_file, episode_of):
    again = load_model(model_file)
    assert again.spec == model.spec
    frames = episode_of([False, True] * 4, 7).frames
    assert again.probabilities(frames).tolist() == model.probabilities(frames).tolist()
    assert [again.probability(f) for f in frames] == model.probabilities(frames).tolist()


def _edited(path, target, tensors=None, **changes):
    payload = path.read_bytes()
    size = int.from_bytes(payload[:8], "little")
    metadata = {**json.loads(payload[8 : 8 + size])["__metadata__"], **changes}
    save_file(tensors or load_file(path), target, {k: v for k, v in metadata.items() if v is not None})


def _spec(path, **changes):
    payload = path.read_bytes()
    size = int.from_bytes(payload[:8], "little")
    return json.dumps({**json.loads(json.loads(payload[8 : 8 + size])["__metadata__"]["spec"]), **changes})


def _flipped(path, target):
    payload = bytearray(path.read_bytes())
    payload[-5] ^= 1
    target.write_bytes(payload)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda m, t: None, "No such file"),
        (lambda m, t: t.write_bytes(b""), "not a reward model, or cut short"),
        (lambda m, t: t.write_bytes(m.read_bytes()[:-100]), "not a reward model, or cut short"),
        (lambda m, t: t.write_bytes(pickle.dumps({"a": 1})), "not a reward model, or cut short"),
        (lambda m, t: save_file({"a": torch.zeros(1)}, t), "not a reward model, or cut short"),
        (_flipped, "sha256: expected .* the file is damaged"),
        (lambda m, t: _edited(m, t, spec=_spec(m, threshold=0.01)), "sha256: expected .*damaged"),
        (lambda m, t: _edited(m, t, format="9"), "format: expected 1, got 9"),
        (lambda m, t: _edited(m, t, sha256=None), "not a reward model"),
    ],
)
def test_a_damaged_file_is_refused_with_one_clear_error(model_file, tmp_path, damage, message):
    target = tmp_path / "damaged.safetensors"
    damage(model_file, target)
    with pytest.raises(ValueError, match=f"reward model {target}: .*{message}") as caught:
        load_model(target)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(model, tmp_path):
    net = RewardNet(model.spec)
    net.head[-1].bias.data[0] = float("nan")
    with pytest.raises(ValueError, match=r"head\.4\.bias holds values that are not finite"):
        RewardModel(model.spec, net)


@pytest.mark.parametrize(
    "frames",
    [np.zeros((1, 64, 64, 3), np.uint8), np.zeros((2, 64, 32, 3), np.uint8), np.zeros((2, 64, 64, 3))],
)
def test_frames_of_another_shape_are_refused(model, frames):
    with pytest.raises(ValueError, match=r"frames: expected uint8 \(2, 64, 64, 3\), got"):
        model.probability(frames)


@pytest.mark.parametrize("change", [{"features_per_camera": 10**9}, {"features_per_camera": 10**30}])
def test_a_network_that_is_larger_than_its_weights_is_never_built(model, model_file, tmp_path, change):
    tensors, spec = load_file(model_file), _spec(model_file, **change)
    target = tmp_path / "huge.safetensors"
    _edited(model_file, target, tensors, spec=spec, sha256=reward_model._checksum(tensors, spec))
    with pytest.raises(ValueError, match="spec and weights do not fit") as caught:
        load_model(target)
    assert "allocate" not in str(caught.value), "that is torch, when it did not get the memory"
