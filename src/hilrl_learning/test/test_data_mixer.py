"""Batches against the steps they were made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from step_stream import SPEC, StepStream

from hilrl_learning.algorithms.base import Batch
from hilrl_learning.data import ActionSpec, Gripper, Source, Step
from hilrl_learning.data_mixer import DataMixer
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.replay import Replay

MIDDLE_RAD = 0.4
CROPS = 2


def marked(step: Step) -> Step:
    """Its first state says which it is."""
    observation, final = (
        None if o is None else replace(o, state=np.array([mark, *o.state[1:]], np.float32))
        for o, mark in ((step.observation, step.sequence), (step.final_observation, step.sequence + 0.5))
    )
    return replace(step, observation=observation, final_observation=final)


@pytest.fixture
def steps() -> dict[int, Step]:
    stream = StepStream()
    episodes = [
        *stream.steps(8, Source.DEMONSTRATION),
        *stream.steps(9, lambda index: Source.INTERVENTION if index == 4 else Source.POLICY),
        *stream.steps(7, terminated=False),
    ]
    return {step.sequence: marked(step) for step in episodes}


def mixer(folder: Path, steps: dict[int, Step], cached: bool = True, **settings) -> DataMixer:
    replay = Replay(folder, SPEC, (CROPS, 3) if cached else None, 100)
    for step in steps.values():
        replay.add(step)
    if cached:
        replay.encode_with(1)
        slots, serials = replay.take_uncached(100)
        mark = replay.state[slots, 0]
        crops = [np.stack([mark, mark, np.full_like(mark, crop)], -1) for crop in range(CROPS)]
        replay.cache(slots, serials, np.stack(crops, 1).astype(np.float16))
    options = {"batch": 200, "window": 1, "n_step": 1, "discount": 0.9} | settings
    return DataMixer(
        replay, Preprocessor(4, SPEC.image_size), SPEC, ActionSpec(),
        gripper_middle_rad=MIDDLE_RAD, device=torch.device("cpu"), rng=np.random.default_rng(0),
        generator=torch.Generator().manual_seed(0), **options,
    )  # fmt: skip


def sequences(batch: Batch) -> list[int]:
    """Of the first steps; the state is clipped, the vision is not."""
    return [int(mark) for mark in batch.observation.vision[:, 0]]


def test_half_of_a_batch_comes_from_people(tmp_path, steps):
    """Invariant 2: and the other half from everyone, people included."""
    batch = mixer(tmp_path, steps).sample()
    assert batch.human == 100 and len(batch.reward) == 200
    sources = [steps[sequence].action.source for sequence in sequences(batch)]
    assert batch.source.tolist() == sources
    assert set(sources[:100]) == {Source.DEMONSTRATION, Source.INTERVENTION}
    assert set(sources[100:]) == set(Source)


def test_a_batch_for_imitation_is_peoples_alone(tmp_path, steps):
    batch = mixer(tmp_path, steps).sample_human()
    assert batch.human == 200 and not (batch.source == Source.POLICY).any()


def test_every_field_is_that_of_the_step(tmp_path, steps):
    batch = mixer(tmp_path, steps).sample()
    for row, sequence in enumerate(sequences(batch)):
        step = steps[sequence]
        assert batch.delta[row, 0].tolist() == step.action.delta[:3].tolist()
        assert batch.gripper[row, 0] == step.action.gripper
        assert batch.reward[row] == step.reward and batch.valid[row, 0]
        assert batch.discount[row] == pytest.approx(0.0 if step.terminated else 0.9)
        is_open = step.observation.state[3] > MIDDLE_RAD
        moves = step.action.gripper == (Gripper.CLOSE if is_open else Gripper.OPEN)
        assert batch.gripper_moves[row, 0] == float(moves)
        following = sequence + 0.5 if step.final_observation is not None else sequence + 1
        assert batch.next_observation.vision[row, 0] == following
        expected = np.clip(step.observation.state, -5.0, 5.0)
        assert batch.observation.state[row].tolist() == expected.tolist()


def test_all_crops_are_used(tmp_path, steps):
    batch = mixer(tmp_path, steps).sample()
    assert set(batch.observation.vision[:, 2].tolist()) == set(range(CROPS))


def test_windows_hold_the_following_actions(tmp_path, steps):
    batch = mixer(tmp_path, steps, window=3, n_step=3).sample()
    assert batch.delta.shape == (200, 3, 3) and batch.gripper.shape == batch.valid.shape == (200, 3)
    for row, sequence in enumerate(sequences(batch)):
        for i in range(3):
            if batch.valid[row, i]:
                assert batch.delta[row, i].tolist() == steps[sequence + i].action.delta[:3].tolist()
    assert not batch.valid.all() and not batch.whole.all()


def test_frames_come_shifted_where_nothing_is_cached(tmp_path, steps):
    batch = mixer(tmp_path, steps, cached=False, batch=8).sample()
    planes = batch.observation.vision
    assert planes.shape == (8, 2, 3, 64, 64) and planes.min() >= -1.0 and planes.max() <= 1.0
    frames = np.stack([step.observation.images for step in steps.values()])
    centre = torch.from_numpy(frames)[:, :, 8:-8, 8:-8].permute(0, 1, 4, 2, 3).float() / 127.5 - 1.0
    for planes_of_one in planes:
        reach = range(5, 12)
        assert any(
            torch.allclose(planes_of_one[0, :, row : row + 48, column : column + 48], one[0], atol=1e-6)
            for one in centre
            for row in reach
            for column in reach
        )
