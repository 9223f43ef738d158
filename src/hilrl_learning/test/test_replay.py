"""The replay against a brute-force twin that keeps every step as it came."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from step_stream import SPEC, StepStream

from hilrl_learning.data import Source, Step
from hilrl_learning.replay import Replay, Windows

DISCOUNT = 0.9

CACHED = (2, 3)


def output(images: np.ndarray, version: int = 1) -> np.ndarray:
    """What the stand-in encoder makes of frames (n, ...): it names them."""
    return np.stack([np.full(CACHED, frames.sum() % 997 + version, np.float16) for frames in images])


def encode(replay: Replay, version: int = 1) -> None:
    """Cache whatever waits."""
    while replay.uncached:
        with replay.lock:
            slots, serials = replay.take_uncached(16)
            images = replay.images[slots]
        replay.cache(slots, serials, output(images, version))


def open_replay(folder: Path, capacity: int = 500) -> Replay:
    replay = Replay(folder, SPEC, CACHED, capacity)
    replay.encode_with(1)
    return replay


def sample(replay: Replay, human: int, everything: int, length: int = 1, seed: int = 0) -> Windows:
    encode(replay)
    return replay.sample(np.random.default_rng(seed), human, everything, length, DISCOUNT)


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

    def window(self, step: Step, length: int, usable: set[tuple[str, int]]):
        """Steps of the window, reward, factor of the bootstrap, observation to bootstrap from."""
        steps, reward, factor = [], 0.0, 1.0
        while True:
            steps.append(step)
            reward += factor * step.reward
            factor *= 0.0 if step.terminated else DISCOUNT
            following = (step.actor_id, step.sequence + 1)
            if step.final_observation is not None or len(steps) == length or following not in usable:
                return steps, reward, factor, self.following(step)
            step = self.steps[following]

    def usable(self, replay: Replay) -> set[tuple[str, int]]:
        """Steps to train on of which the replay holds both ends, encoded."""
        held = {}
        for slot in np.flatnonzero(replay.serial):
            name = (replay.actors[replay.actor[slot]], int(replay.sequence[slot]), bool(replay.is_step[slot]))
            held[name] = replay.cached_by[slot] == 1
        ends = {
            (actor, sequence): (actor, sequence, False)
            if self.steps[actor, sequence].final_observation is not None
            else (actor, sequence + 1, True)
            for actor, sequence, is_step in held
            if is_step
        }
        return {
            name
            for name, end in ends.items()
            if self.steps[name].trainable and held[*name, True] and held.get(end, False)
        }

    def check(self, replay: Replay, chosen: Windows) -> None:
        """Every field of every row. Hold the replay's lock."""
        usable = self.usable(replay)
        length = chosen.slots.shape[1]
        for row, slots in enumerate(chosen.slots):
            first = self.steps[replay.actors[replay.actor[slots[0]]], int(replay.sequence[slots[0]])]
            steps, reward, factor, following = self.window(first, length, usable)
            assert chosen.valid[row].tolist() == [i < len(steps) for i in range(length)]
            assert chosen.whole[row] == (len(steps) == length or steps[-1].terminated)
            for slot, step in zip(slots, steps + steps[-1:] * (length - len(steps)), strict=True):
                assert replay.sequence[slot] == step.sequence and step.trainable
                assert np.array_equal(replay.images[slot], step.observation.images)
                assert np.array_equal(replay.state[slot], step.observation.state)
                assert np.array_equal(replay.delta[slot], step.action.delta)
                assert replay.gripper[slot] == step.action.gripper
                assert replay.source[slot] == step.action.source
                assert replay.policy_version[slot] == step.action.policy_version
                assert replay.terminated[slot] == step.terminated
                assert replay.truncated[slot] == step.truncated
                assert np.array_equal(replay.cached[slot], output(step.observation.images[None])[0])
            assert np.array_equal(replay.images[chosen.next_slot[row]], following.images)
            assert np.array_equal(replay.state[chosen.next_slot[row]], following.state)
            assert np.array_equal(replay.cached[chosen.next_slot[row]], output(following.images[None])[0])
            assert chosen.reward[row] == pytest.approx(reward)
            assert chosen.discount[row] == pytest.approx(factor)


def mixed(index: int) -> Source:
    return Source.INTERVENTION if 3 <= index < 6 else Source.POLICY


def interleaved() -> Iterator[Step]:
    """Two actors at once; every other episode ends by time; a step here and there is not to be trained on."""
    streams = [StepStream(1, "left"), StepStream(2, "right")]
    for round_ in count():
        episodes = [stream.steps(9, mixed, terminated=bool(round_ % 2)) for stream in streams]
        for pair in zip(*episodes, strict=True):
            yield from (replace(step, trainable=step.sequence % 13 != 5) for step in pair)


@pytest.mark.parametrize("length", [1, 3, 5])
def test_every_sampled_field_equals_the_brute_force_twin(tmp_path, length):
    replay, twin = open_replay(tmp_path), Twin()
    for step in islice(interleaved(), 108):
        replay.add(step)
        twin.add(step)
    chosen = sample(replay, 200, 300, length)
    twin.check(replay, chosen)
    assert (replay.source[chosen.slots[:200, 0]] != Source.POLICY).all()
    assert length == 1 or (not chosen.whole.all() and not chosen.valid.all())


def test_sampling_while_steps_come_in_equals_the_twin(tmp_path):
    """One thread adds and wraps the ring, one encodes, this one samples."""
    replay, twin = open_replay(tmp_path, capacity=150), Twin()
    enough = threading.Event()

    def adding() -> None:
        for step in interleaved():
            if enough.is_set():
                return
            # People's steps fill the ring in the end, so only the first episodes have some.
            twin.add(step if step.sequence < 30 else as_policy(step))
            replay.add(twin.steps[step.actor_id, step.sequence])

    def encoding() -> None:
        while not enough.is_set():
            encode(replay)

    threads = [threading.Thread(target=work) for work in (adding, encoding)]
    for thread in threads:
        thread.start()
    rounds = 0
    try:
        while rounds < 30 or len(twin.steps) < 600:
            with replay.lock:
                if replay.human_transitions:
                    twin.check(replay, replay.sample(np.random.default_rng(rounds), 4, 12, 3, DISCOUNT))
                    rounds += 1
            time.sleep(0.005)  # a lock that is asked for again at once is hardly ever anyone else's
            assert all(thread.is_alive() for thread in threads)
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def as_policy(step: Step) -> Step:
    """The same, chosen by the policy: people's steps would fill the ring."""
    return replace(step, action=replace(step.action, source=Source.POLICY))


def test_timeout_bootstraps_from_its_own_last_observation(tmp_path, stream):
    """Invariant 4."""
    replay = open_replay(tmp_path)
    first = list(stream.steps(4, terminated=False))
    for step in [*first, *stream.steps(4)]:
        replay.add(step)
    encode(replay)
    slot = np.flatnonzero(replay.is_step & (replay.sequence == 4))
    outcome = replay.windows(slot, 3, DISCOUNT)
    assert np.array_equal(replay.images[outcome.next_slot[0]], first[-1].final_observation.images)
    assert outcome.discount[0] == pytest.approx(DISCOUNT) and not outcome.whole[0]


def test_termination_does_not_bootstrap(tmp_path, stream):
    """Invariant 4; a chunk that would go on beyond it is whole."""
    replay = open_replay(tmp_path)
    for step in stream.steps(4, terminated=True):
        replay.add(step)
    encode(replay)
    outcome = replay.windows(np.flatnonzero(replay.is_step & (replay.sequence >= 2)), 3, DISCOUNT)
    assert outcome.discount.tolist() == [0.0, 0.0, 0.0] and outcome.whole.all()


def test_last_step_of_a_human_segment_has_its_true_next_observation(tmp_path, stream):
    """Invariant 2."""
    replay = open_replay(tmp_path)
    steps = list(stream.steps(9, mixed))
    for step in steps:
        replay.add(step)
    encode(replay)
    last_human = np.flatnonzero(replay.is_step & (replay.index == 5))
    outcome = replay.windows(last_human, 1, DISCOUNT)
    assert np.array_equal(replay.images[outcome.next_slot[0]], steps[6].observation.images)


def test_human_steps_are_sampled_with_all_and_by_themselves(tmp_path, stream):
    """Invariant 2: online and offline data are one buffer, and share their frames."""
    replay = open_replay(tmp_path)
    for step in stream.steps(9, mixed):
        replay.add(step)
    chosen = sample(replay, 300, 300)
    assert set(replay.index[chosen.slots[:300, 0]]) == {3, 4, 5}
    assert set(replay.index[chosen.slots[300:, 0]]) == set(range(9))


def test_one_frame_is_stored_once(tmp_path, stream):
    """Invariant 5."""
    replay = open_replay(tmp_path)
    for step in stream.steps(7, mixed):
        replay.add(step)
    assert len(replay.slots()) == 8  # seven observations acted on and the final one
    assert replay.images.dtype == np.uint8


def test_untrainable_steps_are_kept_but_never_sampled(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in stream.steps(6):
        replay.add(replace(step, trainable=step.index != 2))
    chosen = sample(replay, 0, 500)
    assert len(replay) == 6
    assert set(replay.index[chosen.slots[:, 0]]) == {0, 1, 3, 4, 5}


def test_a_step_is_not_sampled_before_its_outcome_is_known(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in list(stream.steps(6))[:3]:
        replay.add(step)
    assert set(replay.index[sample(replay, 0, 500).slots[:, 0]]) == {0, 1}


def test_a_step_is_not_sampled_before_both_its_ends_are_encoded(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in stream.steps(6):
        replay.add(step)
    with pytest.raises(ValueError, match="nothing to sample"):
        replay.sample(np.random.default_rng(0), 0, 1, 1, DISCOUNT)
    slots, serials = replay.take_uncached(3)
    replay.cache(slots, serials, output(replay.images[slots]))
    chosen = replay.sample(np.random.default_rng(0), 0, 500, 3, DISCOUNT)
    assert set(replay.index[chosen.slots[:, 0]]) == {0, 1}
    assert set(replay.index[chosen.next_slot]) == {2}


def test_a_new_encoder_makes_everything_wait_for_it(tmp_path, stream):
    replay = open_replay(tmp_path)
    for step in stream.steps(6, mixed):
        replay.add(step)
    encode(replay)
    replay.encode_with(2)
    assert replay.uncached == 7 and replay.human_transitions == 0
    with pytest.raises(ValueError, match="nothing to sample"):
        replay.sample(np.random.default_rng(0), 0, 1, 1, DISCOUNT)
    encode(replay, version=2)
    slots = replay.slots()
    assert np.array_equal(replay.cached[slots], output(replay.images[slots], 2))
    again = Replay(tmp_path, SPEC, CACHED, 500)
    again.encode_with(2)
    assert again.uncached == 0 and again.human_transitions == replay.human_transitions == 3


def test_what_was_overwritten_while_it_was_encoded_is_not_cached(tmp_path, stream):
    replay = open_replay(tmp_path, capacity=20)
    for step in stream.steps(9):
        replay.add(step)
    slots, serials = replay.take_uncached(10)
    images = replay.images[slots]
    for step in stream.steps(14):
        replay.add(step)
    replay.cache(slots, serials, output(images))
    overwritten = replay.serial[slots] != serials
    assert overwritten.any() and not replay.cached_by[slots[overwritten]].any()
    encode(replay)
    used = replay.slots()
    assert np.array_equal(replay.cached[used], output(replay.images[used]))


def test_the_ring_keeps_peoples_steps_and_never_links_to_a_foreign_frame(tmp_path, stream):
    replay, twin = open_replay(tmp_path, capacity=60), Twin()
    for round_ in range(40):
        source = Source.DEMONSTRATION if round_ == 0 else Source.POLICY
        for step in stream.steps(7, source, terminated=bool(round_ % 2)):
            replay.add(step)
            twin.add(step)
        twin.check(replay, sample(replay, 5, 20, 3))
    assert set(replay.sequence[sample(replay, 50, 0).slots[:, 0]]) == set(range(1, 8))


def test_a_ring_full_of_peoples_steps_says_so(tmp_path, stream):
    replay = open_replay(tmp_path, capacity=10)
    first, second = (list(stream.steps(6, Source.DEMONSTRATION)) for _ in range(2))
    for step in [*first, *second[:3]]:
        replay.add(step)
    with pytest.raises(ValueError, match="all 10 slots hold people's steps"):
        replay.add(second[3])


@pytest.mark.parametrize("capacity", [500, 40])
def test_a_reopened_replay_gives_the_same_samples(tmp_path, capacity):
    """Invariant 7, also after the ring has turned."""
    replay = open_replay(tmp_path, capacity)
    left, right = StepStream(1, "left"), StepStream(2, "right")
    policy = [*left.steps(12), *right.steps(11, terminated=False), *left.steps(5)]
    # The small ring has turned when the second person's segment comes: it gets slots before the first's.
    for step in [*left.steps(8, mixed), *policy]:
        replay.add(step)
    encode(replay)
    late = right.steps(5, lambda index: Source.INTERVENTION if index < 2 else Source.POLICY)
    for step in [*late, *list(left.steps(8))[:3]]:
        replay.add(step)
    encode(replay)
    again = open_replay(tmp_path, capacity)
    assert again.received() == replay.received() == {"left": 28, "right": 16}
    assert len(again) == len(replay) and again.uncached == 0
    draws = [r.sample(np.random.default_rng(3), 20, 100, 3, DISCOUNT) for r in (replay, again)]
    for name in Windows.__dataclass_fields__:
        assert np.array_equal(getattr(draws[0], name), getattr(draws[1], name)), name
    following = next(iter(left.steps(1)))
    for held in (replay, again):
        held.add(replace(following, sequence=29, episode=4, index=3))
        encode(held)
    draws = [r.sample(np.random.default_rng(4), 20, 100, 3, DISCOUNT) for r in (replay, again)]
    assert np.array_equal(draws[0].slots, draws[1].slots)


def test_what_was_received_is_known_when_it_was_overwritten_long_ago(tmp_path):
    replay = open_replay(tmp_path, capacity=30)
    for step in [*StepStream(1, "left").steps(7), *StepStream(2, "right").steps(60)]:
        replay.add(step)
    assert "left" not in [replay.actors[actor] for actor in replay.actor[replay.slots()]]
    assert replay.received() == open_replay(tmp_path, capacity=30).received() == {"left": 7, "right": 60}


def test_another_layout_is_refused(tmp_path):
    open_replay(tmp_path)
    with pytest.raises(ValueError, match="another layout"):
        Replay(tmp_path, SPEC, (5, 3), 500)


def test_frames_alone_need_no_encoder(tmp_path, stream):
    replay = Replay(tmp_path, SPEC, None, 100)
    for step in stream.steps(5, mixed):
        replay.add(step)
    assert replay.uncached == 0
    assert set(replay.index[sample(replay, 0, 100).slots[:, 0]]) == {0, 1, 2, 3, 4}


KILLED_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from step_stream import StepStream
from test_replay import open_replay
replay, stream = open_replay(Path(sys.argv[1]), 5000), StepStream()
while True:
    for step in stream.steps(9):
        replay.add(step)
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
