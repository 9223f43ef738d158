"""Encoder, its augmentation, and its pre-training on demonstrations."""

import numpy as np
import pytest
import torch
from step_stream import SPEC

from hilrl_learning.data import Action, ActionSpec, Gripper, Observation, Source, Step
from hilrl_learning.encoders import SmallCNN
from hilrl_learning.encoders.augmentation import (
    _shift_by_gathering,
    _shift_by_slicing,
    colour_jitter,
    random_shift,
    shift_px,
)
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.pretraining import EncoderPretraining, _places
from hilrl_learning.replay import Replay
from hilrl_learning.vision_cache import VisionCache

SHIFT_PX = shift_px(64)
SMALL = (64, 64)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_shrinking_averages_areas():
    frame = torch.randint(0, 256, (1, 2, 128, 128, 3), dtype=torch.uint8)
    small = Preprocessor(1, SMALL).shrink(frame)
    expected = frame.reshape(1, 2, 64, 2, 64, 2, 3).float().mean((3, 5)).round()
    assert torch.equal(small.float(), expected)


def test_random_shift_moves_every_frame_by_itself_and_repeats_edges(generator):
    small = torch.randint(0, 256, (6, 2, 64, 64, 3), dtype=torch.uint8)
    shifted = random_shift(small, generator)
    padded = np.pad(small.numpy(), ((0, 0), (0, 0), (SHIFT_PX,) * 2, (SHIFT_PX,) * 2, (0, 0)), "edge")
    offsets = set()
    for frame, camera in np.ndindex(6, 2):
        found = [
            (row, column)
            for row, column in np.ndindex(2 * SHIFT_PX + 1, 2 * SHIFT_PX + 1)
            if np.array_equal(
                padded[frame, camera, row : row + 64, column : column + 64], shifted[frame, camera]
            )
        ]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) > 3


def test_both_ways_to_shift_are_the_same(generator):
    frames = torch.randint(0, 256, (9, 20, 30, 3), dtype=torch.uint8)
    offsets = torch.randint(0, 7, (2, 9), generator=generator)
    assert torch.equal(_shift_by_slicing(frames, offsets, 3), _shift_by_gathering(frames, offsets, 3))


def test_no_jitter_changes_nothing(generator):
    small = torch.randint(0, 256, (2, 2, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(colour_jitter(small, 0.0, generator), small)
    assert not torch.equal(colour_jitter(small, 0.3, generator), small)


def test_first_crop_is_the_frame_as_served(tmp_path, generator):
    encoder, preprocessor = SmallCNN(2, 8), Preprocessor(1, SMALL)
    replay = Replay(tmp_path, SPEC, (3, 16), 100)
    cache = VisionCache(encoder, preprocessor, replay, 3, generator, torch.device("cpu"))
    images = torch.randint(0, 256, (3, 2, 128, 128, 3), dtype=torch.uint8)
    crops = torch.from_numpy(cache.encode(images.numpy())).float()
    assert crops.shape == (3, 3, 16)
    served = encoder.encode(preprocessor.planes(preprocessor.shrink(images)))
    torch.testing.assert_close(crops[:, 0], served, atol=1e-3, rtol=0.0)
    assert not torch.allclose(crops[:, 1], crops[:, 0])


def demonstration(replay: Replay, target: np.ndarray, episode: int, rng: np.random.Generator) -> None:
    """The arm goes straight to a white square whose place in the picture tells where to go."""
    sequence = replay.received().get("arm", 0)
    start = np.array([0.2, 0.0, 0.1], np.float32)
    for index in range(8):
        position = start + (target - start) * min(1.0, index / 4)
        images = np.zeros((2, 64, 64, 3), np.uint8)
        row, column = (10 + 40 * (target[:2] - [0.15, -0.1]) / [0.1, 0.2]).astype(int)
        images[:, row : row + 8, column : column + 8] = 255
        goal = 0.9 if index < 5 else -0.1
        state = np.array([*position, goal], np.float32)
        observation = Observation(index, state, images)
        delta = np.zeros(5, np.float32)
        delta[:3] = np.sign(target - position) * 0.5
        last = index == 7
        step = Step(
            "arm", sequence + index + 1, episode, index, observation,
            Action(delta, Gripper.CLOSE if index >= 4 else Gripper.OPEN, Source.DEMONSTRATION),
            reward=float(last), terminated=last, final_observation=observation if last else None,
        )  # fmt: skip
        replay.add(step)


def test_keyframes_are_where_the_gripper_acts_next(tmp_path):
    replay = Replay(tmp_path, SPEC, (1, 16), 100)
    target = np.array([0.25, 0.1, 0.02], np.float32)
    demonstration(replay, target, 1, np.random.default_rng(0))
    (episode,) = replay.episodes((Source.DEMONSTRATION,))
    places = _places(replay, episode, SPEC)
    assert places.shape == (8, 9)
    assert np.allclose(places[:5, 6:], target)  # the goal changes after step 4, which was at the target
    assert np.allclose(places[0, 3:6], replay.state[episode[3], :3])


def test_pretraining_finds_the_object_in_new_pictures(tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    replay = Replay(tmp_path, SPEC, (1, 16), 2000)
    targets = rng.uniform([0.15, -0.1, 0.02], [0.25, 0.1, 0.02], (60, 3)).astype(np.float32)
    for episode, target in enumerate(targets[:40], 1):
        demonstration(replay, target, episode, rng)
    encoder, preprocessor = SmallCNN(2, 8), Preprocessor(4, SMALL)
    training = EncoderPretraining(
        encoder, preprocessor, replay, SPEC, ActionSpec(),
        duration_s=6.0, colour_jitter=0.1, batch=32, seed=0,
    )  # fmt: skip
    while training.work(0.2) is not None:
        pass
    for episode, target in enumerate(targets[40:], 41):
        demonstration(replay, target, episode, rng)
    slots = np.array([episode[0] for episode in replay.episodes((Source.DEMONSTRATION,))])
    with torch.no_grad():
        features = encoder.encode(preprocessor.planes(torch.from_numpy(replay.images[slots]))).numpy()
    features = np.c_[features, np.ones(len(slots))]
    fit = np.linalg.lstsq(features[:40], targets[:40, :2], rcond=None)[0]
    errors = np.linalg.norm(features[40:] @ fit - targets[40:, :2], axis=1)
    assert np.median(errors) < 0.02


def test_a_process_that_is_held_up_for_a_whole_slice_trains_all_the_same(tmp_path):
    replay = Replay(tmp_path, SPEC, (1, 16), 100)
    demonstration(replay, np.array([0.25, 0.1, 0.02], np.float32), 1, np.random.default_rng(0))
    training = EncoderPretraining(
        SmallCNN(2, 8), Preprocessor(4, SMALL), replay, SPEC, ActionSpec(),
        duration_s=60.0, colour_jitter=0.0, batch=8, seed=0,
    )  # fmt: skip
    assert training.work(0.0) and training.batches == 1


def test_without_demonstrations_there_is_one_clear_error(tmp_path):
    with pytest.raises(ValueError, match="expected demonstrations in the replay, found none"):
        EncoderPretraining(
            SmallCNN(2, 8), Preprocessor(4, SMALL), Replay(tmp_path, SPEC, (1, 16), 100), SPEC, ActionSpec(),
            duration_s=1.0, colour_jitter=0.0, batch=8, seed=0,
        )  # fmt: skip
