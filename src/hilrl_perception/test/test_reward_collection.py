import numpy as np
import pytest

from hilrl_perception.reward_collection import EpisodeFrames
from hilrl_perception.reward_guard import ArmState
from hilrl_perception.reward_labels import Truth, TruthLabels, by_ending
from hilrl_perception.reward_observation import NewestJoin, RewardObservation, StampJoin
from hilrl_perception.reward_practice import Behaviour, Practice, Situation
from hilrl_perception.reward_veto import ClaimMemory
from hilrl_ros.ee_action import Gripper

ARM = ArmState((0.2, 0.0, 0.1), 0.0, -0.1)
TICK_NS = 100_000_000


def observation(stamp_ns):
    return RewardObservation(stamp_ns, np.full((2, 8, 8, 3), stamp_ns % 256, np.uint8), ARM)


def stamps(count):
    return np.arange(count, dtype=np.int64) * TICK_NS


@pytest.mark.parametrize(
    ("success", "positive_s", "positives"),
    [(False, 9.0, 0), (True, 0.0, 1), (True, 0.3, 4), (True, 99.0, 10)],
)
def test_only_the_end_of_a_success_is_positive(success, positive_s, positives):
    labels = by_ending(stamps(10), success, positive_s)
    assert labels.tolist() == [False] * (10 - positives) + [True] * positives


def test_a_lifted_object_that_is_dropped_is_no_success_any_more():
    """The simulator's own success is for good once it was there."""
    labels = TruthLabels()
    heights = [(0.0125, False), (0.0125, True), (0.05, True), (0.07, True), (0.08, False), (0.0125, False)]
    found = [labels.label(Truth("lift", z > 0.06, grasped, z)) for z, grasped in heights]
    assert found == [False, False, False, True, False, False]
    labels.begin()
    assert not labels.label(Truth("lift", False, True, 0.07)), "where it rests is not known yet"


def test_an_episode_waits_for_the_frame_it_ended_with():
    frames = EpisodeFrames(by_truth=False)
    frames.begin(source="test", episode=3)
    for i in range(4):
        frames.add(observation(i * TICK_NS), None)
    assert not frames.end(2, True, 0), "another episode's ending"
    assert not frames.end(3, True, 4 * TICK_NS)
    frames.add(observation(4 * TICK_NS), None)
    assert frames.ends_at(4 * TICK_NS)
    frames.add(observation(5 * TICK_NS), None)
    episode = frames.finish(0.1)
    assert episode.labels.tolist() == [False] * 3 + [True] * 2
    assert episode.stamps_ns[-1] == 4 * TICK_NS and episode.provenance["labels"] == "ending"
    assert frames.finish(0.1) is None


def test_an_episode_whose_ending_nobody_told_is_not_kept():
    frames = EpisodeFrames(by_truth=False)
    frames.add(observation(0), None)
    frames.begin(source="test", episode=1)
    frames.add(observation(1), None)
    assert frames.finish(0.0) is None


def test_a_stamp_is_whole_once_whatever_is_repeated():
    join = StampJoin(["a", "b"])
    assert join.add(1, "a", 10) is None
    assert join.add(2, "a", 20) is None
    assert join.add(1, "b", 11) == {"a": 10, "b": 11}
    assert join.add(1, "a", 10) is None and join.add(1, "b", 11) is None
    assert join.add(2, "b", 21) == {"a": 20, "b": 21}


def test_in_real_time_a_missing_or_stale_part_gives_no_observation():
    now = [0.0]
    join = NewestJoin(["front", "wrist"], 0.2, clock=lambda: now[0])
    frame = np.zeros((8, 8, 3), np.uint8)
    join.add(0, "image.front", frame)
    assert join.take() == (None, "image.wrist: nothing received yet")
    join.add(0, "image.wrist", frame)
    join.add(0, "arm", ARM)
    assert join.take()[0].stamp_ns == 0
    now[0] = 0.25
    join.add(1000, "image.front", frame)
    join.add(1000, "arm", ARM)
    assert join.take() == (None, "image.wrist: 0.25 s old, expected at most 0.2 s")
    join.add(-300_000_000, "image.wrist", frame)  # arrived now, but stamped long before
    assert "image.wrist: 0.30 s old" in join.take()[1]


def lived(practice, rises):
    """What practice does while the object rises as given; a grasp from the first centimetre on."""
    done = []
    for rise_m in rises:
        delta = np.zeros(5, np.float32)
        situation = Situation(delta, Gripper.CLOSE, rise_m >= 0.05, rise_m > 0.01, rise_m)
        done.append(practice.act(situation))
        if done[-1] is None:
            break
    return done


def test_practice_shows_every_behaviour_and_ends_every_episode():
    seen = set()
    for episode in range(100):
        practice = Practice(1, episode, 50)
        seen.add(practice.behaviour)
        acts = lived(practice, np.minimum(0.01 * np.arange(60), 0.08))
        assert acts[-1] is None and len(acts) <= 51
        for delta, gripper in acts[:-1]:
            assert delta.shape == (5,) and np.abs(delta).max() <= 1 and delta.dtype == np.float32
            assert gripper in tuple(Gripper)
    assert seen == set(Behaviour)


def test_practice_is_decided_by_its_seed():
    first, second = (lived(Practice(3, 7, 50), [0.0] * 20) for _ in range(2))
    assert all(np.array_equal(a[0], b[0]) and a[1] == b[1] for a, b in zip(first, second, strict=True))


def claim(memory, stamps_ns, above=True, n=3):
    for stamp_ns in stamps_ns:
        memory.saw(observation(stamp_ns), 0.9 if above else 0.1, above, n)


def test_a_success_taken_back_gives_its_frames_as_negatives():
    memory = ClaimMemory("v1")
    memory.begin(5)
    claim(memory, [1, 2, 3])
    claim(memory, [4], above=False)
    claim(memory, [5, 6])
    memory.claimed()
    episode = memory.finished(5, success=False, truncated=False)
    assert episode.stamps_ns.tolist() == [5, 6], "those above the threshold among the last three"
    assert not episode.labels.any() and episode.is_veto and episode.provenance["model"] == "v1"
    assert np.array_equal(episode.frames[0], observation(5).frames)
    assert memory.finished(5, success=False, truncated=False) is None, "once"


def test_a_success_can_be_taken_back_after_the_next_episode_has_begun():
    memory = ClaimMemory("v1")
    memory.begin(5)
    claim(memory, [1, 2])
    memory.claimed()
    assert memory.finished(5, success=True, truncated=False) is None
    memory.begin(6)
    claim(memory, [10, 11])
    assert memory.finished(6, success=False, truncated=False) is None, "nothing was claimed in this one"
    assert memory.finished(5, success=False, truncated=False).stamps_ns.tolist() == [1, 2]


def test_only_a_person_takes_back():
    memory = ClaimMemory("v1")
    memory.begin(5)
    claim(memory, [1, 2])
    memory.claimed()
    assert memory.finished(5, success=False, truncated=True) is None, "a cut-off says nothing"
    memory.begin(5)
    assert memory.finished(5, success=False, truncated=False) is None, "the same number anew"
