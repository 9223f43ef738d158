"""An episode that the operator discards is trained on in none of its steps, also after a restart."""

from dataclasses import replace

import numpy as np
import pytest
from step_stream import SPEC, StepStream
from test_replay import encode, open_replay

from hilrl_learning.data import Source, StepLabel
from hilrl_learning.replay import Replay


def mixed(index: int) -> Source:
    return Source.INTERVENTION if index % 3 == 1 else Source.POLICY


def fill(replay: Replay, episodes: int = 12) -> set[int]:
    """Every third episode is discarded; the sequence numbers of all steps that may be trained on."""
    stream, wanted = StepStream(), set()
    for number in range(episodes):
        steps = list(stream.steps(6, mixed, terminated=number % 3 != 0))
        if number % 3 == 0:
            steps[-1] = replace(steps[-1], label=StepLabel.DISCARD)
        else:
            wanted |= {step.sequence for step in steps}
        for step in steps:
            replay.add(step)
            if step.sequence % 5 == 0 and replay.caches:
                encode(replay)  # some of it could be sampled already
    return wanted


def sampled(replay: Replay, human: int, everything: int) -> set[int]:
    windows = replay.sample(np.random.default_rng(0), human, everything, 3, 0.9)
    return {int(replay.sequence[slot]) for slot in windows.slots[windows.valid]}


@pytest.mark.parametrize("cached", [True, False])
def test_nothing_of_a_discarded_episode_is_ever_sampled(tmp_path, cached):
    replay = open_replay(tmp_path) if cached else Replay(tmp_path, SPEC, None, 500)
    wanted = fill(replay)
    if cached:
        encode(replay)
    assert sampled(replay, 0, 4000) == wanted
    assert sampled(replay, 2000, 0) <= wanted
    assert replay.human_transitions == sum((sequence - 1) % 6 % 3 == 1 for sequence in wanted)

    again = open_replay(tmp_path) if cached else Replay(tmp_path, SPEC, None, 500)
    if cached:
        encode(again)
    assert sampled(again, 0, 4000) == wanted
    assert again.human_transitions == replay.human_transitions


def test_the_ring_goes_round_over_discarded_episodes(tmp_path):
    replay = Replay(tmp_path, SPEC, None, 40)
    stream = StepStream()
    for number in range(40):
        steps = list(stream.steps(5, terminated=False))
        if number % 2:
            steps[-1] = replace(steps[-1], label=StepLabel.DISCARD)
        for step in steps:
            replay.add(step)
    held = {int(replay.sequence[slot]) for slot in replay.slots() if replay.is_step[slot]}
    good = {sequence for sequence in held if (sequence - 1) // 5 % 2 == 0}
    assert sampled(replay, 0, 2000) <= good
    assert len(replay) == len(held)
