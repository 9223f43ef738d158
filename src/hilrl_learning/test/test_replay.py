"""The replay against a brute-force twin that keeps every step as it came."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from step_stream import SPEC, StepStream

from hilrl_learning.data import Source, Step
from hilrl_learning.replay import Replay

EMBEDDING = (2, 3)


def embed(image_sum: int) -> np.ndarray:
    """An embedding that names its frame."""
    return np.full(EMBEDDING, image_sum % 1000, np.float16)


def add(replay: Replay, step: Step) -> None:
    final = step.final_observation
    replay.add(
        step,
        embed(int(step.observation.images.sum())),
        None if final is None else embed(int(final.images.sum())),
    )


def open_replay(folder: Path, capacity: int = 500) -> Replay:
    return Replay(folder, SPEC, EMBEDDING, capacity)


class Twin:
    """Every step in a list; next observations by looking for them."""

    def __init__(self) -> None:
        self.steps: dict[tuple[str, int], Step] = {}

    def add(self, step: Step) -> None:
        self.steps[step.actor_id, step.sequence] = step

    def following(self, step: Step):
        if step.final_observation is not None:
            return step.final_observation
        return self.steps[step.actor_id, step.sequence + 1].observation

    def n_step(self, step: Step, n: int, discount: float):
        reward, factor = 0.0, 1.0
        for _ in range(n):
            reward += factor * step.reward
            factor *= 0.0 if step.terminated else discount
            observation = self.following(step)
            following = self.steps.get((step.actor_id, step.sequence + 1))
            known = following is not None and (
                following.final_observation is not None
                or (following.actor_id, following.sequence + 1) in self.steps
            )
            if step.final_observation is not None or not known or not following.trainable:
                break
            step = following
        return reward, factor, observation


def mixed(index: int) -> Source:
    return Source.INTERVENTION if 3 <= index < 6 else Source.POLICY


@pytest.mark.parametrize("n_step", [1, 3])
def test_every_sampled_field_equals_the_brute_force_twin(tmp_path, n_step):
    replay, twin = open_replay(tmp_path), Twin()
    streams = [StepStream(1, "left"), StepStream(2, "right")]
    episodes = [
        stream.steps(9, mixed, terminated=bool(round_ % 2)) for round_ in range(6) for stream in streams
    ]
    for pair in zip(episodes[::2], episodes[1::2], strict=True):  # two actors interleaved
        for steps in zip(*pair, strict=True):
            for step in steps:
                add(replay, step)
                twin.add(step)

    chosen = replay.sample(np.random.default_rng(0), 200, 300, n_step, 0.9)
    for row, slot in enumerate(chosen.slot):
        step = twin.steps[replay.actors[replay.actor[slot]], int(replay.sequence[slot])]
        reward, discount, following = twin.n_step(step, n_step, 0.9)
        assert np.array_equal(replay.images[slot], step.observation.images)
        assert np.array_equal(replay.state[slot], step.observation.state)
        assert np.array_equal(replay.delta[slot], step.action.delta)
        assert replay.gripper[slot] == step.action.gripper
        assert replay.source[slot] == step.action.source
        assert replay.policy_version[slot] == step.action.policy_version
        assert np.array_equal(replay.embedding[slot], embed(int(step.observation.images.sum())))
        assert np.array_equal(replay.images[chosen.next_slot[row]], following.images)
        assert chosen.reward[row] == pytest.approx(reward)
        assert chosen.discount[row] == pytest.approx(discount)
        if row < 200:
            assert step.action.source is not Source.POLICY


def test_timeout_bootstraps_from_its_own_last_observation(tmp_path, stream):
    replay = open_replay(tmp_path)
    first = list(stream.steps(4, terminated=False))
    for step in [*first, *stream.steps(4)]:
        add(replay, step)
    slot = np.flatnonzero(replay.is_step & (replay.sequence == 4))
    outcome = replay.returns(slot, 3, 0.9)
    assert np.array_equal(replay.images[outcome.next_slot[0]], first[-1].final_observation.images)
    assert outcome.discount[0] == pytest.approx(0.9)


def test_termination_does_not_bootstrap(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in stream.steps(4, terminated=True):
        add(replay, step)
    slots = np.flatnonzero(replay.is_step & (replay.sequence >= 2))
    assert replay.returns(slots, 3, 0.9).discount.tolist() == [0.0, 0.0, 0.0]


def test_last_step_of_a_human_segment_has_its_true_next_observation(tmp_path, stream):
    replay = open_replay(tmp_path)
    steps = list(stream.steps(9, mixed))
    for step in steps:
        add(replay, step)
    last_human = np.flatnonzero(replay.is_step & (replay.index == 5))
    outcome = replay.returns(last_human, 1, 0.9)
    assert np.array_equal(replay.images[outcome.next_slot[0]], steps[6].observation.images)


def test_one_frame_is_stored_once(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in stream.steps(7):
        add(replay, step)
    assert len(replay.slots()) == 8  # seven observations acted on and the final one
    assert replay.images.dtype == np.uint8


def test_untrainable_steps_are_kept_but_never_sampled(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in stream.steps(6):
        add(replay, Step(**{**step.__dict__, "trainable": step.index != 2}))
    chosen = replay.sample(np.random.default_rng(0), 0, 500, 1, 0.9)
    assert len(replay) == 6
    assert set(replay.index[chosen.slot]) == {0, 1, 3, 4, 5}


def test_a_step_is_not_sampled_before_its_outcome_is_known(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in list(stream.steps(6))[:3]:
        add(replay, step)
    chosen = replay.sample(np.random.default_rng(0), 0, 500, 1, 0.9)
    assert set(replay.index[chosen.slot]) == {0, 1}


def test_the_ring_keeps_peoples_steps_and_never_links_to_a_foreign_frame(tmp_path, stream):
    replay, twin = open_replay(tmp_path, capacity=60), Twin()
    for round_ in range(40):
        source = Source.DEMONSTRATION if round_ == 0 else Source.POLICY
        for step in stream.steps(7, source, terminated=bool(round_ % 2)):
            add(replay, step)
            twin.add(step)
    chosen = replay.sample(np.random.default_rng(0), 50, 500, 3, 0.9)
    assert set(replay.sequence[chosen.slot[:50]]) == set(range(1, 8))
    for row, slot in enumerate(chosen.slot):
        step = twin.steps["arm", int(replay.sequence[slot])]
        reward, discount, following = twin.n_step(step, 3, 0.9)
        assert np.array_equal(replay.images[slot], step.observation.images)
        assert np.array_equal(replay.images[chosen.next_slot[row]], following.images)
        assert chosen.reward[row] == pytest.approx(reward)
        assert chosen.discount[row] == pytest.approx(discount)


def test_reopened_replay_holds_the_same(tmp_path):
    replay = open_replay(tmp_path)
    left, right = StepStream(1, "left"), StepStream(2, "right")
    for step in [*left.steps(8, mixed), *right.steps(5), *list(left.steps(8))[:3]]:
        add(replay, step)
    again = open_replay(tmp_path)
    assert again.received() == replay.received() == {"left": 11, "right": 5}
    assert len(again) == len(replay)
    draws = [r.sample(np.random.default_rng(3), 0, 400, 1, 0.9) for r in (replay, again)]
    assert set(draws[0].slot) == set(draws[1].slot)
    following = next(iter(StepStream(1, "left").steps(1)))
    add(again, Step(**{**following.__dict__, "sequence": 12, "episode": 2, "index": 3}))
    assert set(again.sample(np.random.default_rng(3), 0, 400, 1, 0.9).slot) > set(draws[0].slot)


def test_another_layout_is_refused(tmp_path):
    open_replay(tmp_path)
    with pytest.raises(ValueError, match="another layout"):
        Replay(tmp_path, SPEC, (5, 3), 500)


KILLED_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from step_stream import StepStream
from test_replay import add, open_replay
replay, stream = open_replay(Path(sys.argv[1]), 5000), StepStream()
while True:
    for step in stream.steps(9):
        add(replay, step)
        print(step.sequence, flush=True)
"""


def test_killed_writer_loses_no_step_that_add_returned_from(tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, str(tmp_path), os.path.dirname(__file__)],
        stdout=subprocess.PIPE,
        text=True,
    )
    reported = 0
    while reported < 150:
        reported = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().split()
    reported = int(rest[-1]) if rest else reported
    writer.wait()

    replay = open_replay(tmp_path, 5000)
    stored = replay.received()["arm"]
    assert stored in (reported, reported + 1)
    slots = replay.slots()
    sequences = replay.sequence[slots[replay.is_step[slots]]]
    assert sequences.tolist() == list(range(1, stored + 1))
    expected = StepStream()
    for episode in range(3):
        for step in expected.steps(9):
            slot = slots[replay.is_step[slots] & (replay.sequence[slots] == step.sequence)][0]
            assert np.array_equal(replay.images[slot], step.observation.images), episode
