"""From steps to episodes of a dataset: each exactly once, whatever ends how (without ROS topics)."""

import gc
import json
import os
import signal
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from learning_processes import wait_until
from pyarrow import parquet
from step_stream import SPEC, StepStream

from hilrl_learning.data import StepLabel
from hilrl_learning.lerobot.features import Schema
from hilrl_learning.lerobot.recording import Recording

SCHEMA = Schema(SPEC, control_hz=10.0, step_m=0.02, step_rad=0.1, action_axes=("x", "y", "z"))


@contextmanager
def recording(root: Path, **options):
    opened = Recording(root, SCHEMA, "lift the cube", say=lambda text: None, **options)
    try:
        yield opened
    finally:
        assert opened.close(20.0)


def lengths(root: Path) -> list[int]:
    """Of the episodes in the dataset."""
    count = json.loads((root / "meta" / "info.json").read_text())["total_episodes"]
    files = sorted(root.glob("data/*/*.parquet"))
    assert len(files) == count
    return [parquet.read_metadata(path).num_rows for path in files]


def column(root: Path, name: str) -> list:
    """Of meta/episodes."""
    files = sorted(root.glob("meta/episodes/*/*.parquet"))
    return [parquet.read_table(path)[name][0].as_py() for path in files]


def test_an_episode_is_in_the_dataset_when_it_has_ended(tmp_path, stream):
    with recording(tmp_path) as opened:
        for length in (3, 5):
            for step in stream.steps(length):
                opened.add(step)
        assert opened.kept == 2
    assert lengths(tmp_path) == [3, 5]
    assert column(tmp_path, "success") == [True, True]


def test_what_was_running_goes_on_at_the_next_start(tmp_path, stream):
    steps = list(stream.steps(9))
    for part in (steps[:4], steps[4:5], steps[5:]):
        with recording(tmp_path) as opened:
            assert opened.received.get("arm", 0) == part[0].sequence - 1
            for step in part:
                opened.add(step)
    assert lengths(tmp_path) == [9]


def test_an_episode_of_an_actor_that_died_is_not_recorded(tmp_path, stream):
    with recording(tmp_path) as opened:
        for step in list(stream.steps(6))[:4]:
            opened.add(step)
        stream.sequence = 4
        for step in stream.steps(5):
            opened.add(step)
    assert lengths(tmp_path) == [5]


def test_a_discarded_episode_is_not_recorded_and_stays_so(tmp_path, stream):
    for length, label in ((3, StepLabel.NONE), (4, StepLabel.DISCARD), (5, StepLabel.SUCCESS)):
        with recording(tmp_path) as opened:
            *steps, last = stream.steps(length, terminated=label is not StepLabel.DISCARD)
            for step in (*steps, replace(last, label=label)):
                opened.add(step)
            assert opened.received == {"arm": stream.sequence}
    assert lengths(tmp_path) == [3, 5]


def test_success_is_what_the_operator_says_or_else_the_reward(tmp_path, stream):
    with recording(tmp_path) as opened:
        for label in (StepLabel.NONE, StepLabel.SUCCESS, StepLabel.FAILURE):
            for reward in (1.0, 0.0):
                *steps, last = stream.steps(2, reward=reward)
                for step in (*steps, replace(last, label=label)):
                    opened.add(step)
    assert column(tmp_path, "success") == [True, False, True, True, False, False]


def test_actors_do_not_disturb_each_other(tmp_path):
    streams = [StepStream(1, "left"), StepStream(2, "right")]
    episodes = [list(streams[0].steps(4)), list(streams[1].steps(6))]
    with recording(tmp_path) as opened:
        for index in range(6):
            for episode in episodes:
                if index < len(episode):
                    opened.add(episode[index])
        assert opened.received == {"left": 4, "right": 6}
    assert lengths(tmp_path) == [4, 6]


def test_no_more_are_kept_than_were_asked_for(tmp_path, stream):
    with recording(tmp_path, episodes=2) as opened:
        for length in (3, 4, 5):
            for step in stream.steps(length):
                opened.add(step)
        assert opened.finished
    assert lengths(tmp_path) == [3, 4]
    with recording(tmp_path, episodes=3) as opened:
        assert not opened.finished
        for step in stream.steps(6):
            opened.add(step)
        assert opened.finished
        opened.drop_last().result(20.0)
        assert not opened.finished
    assert lengths(tmp_path) == [3, 4]


def in_a_killed_process(root: Path, action: Callable[[Recording], None]) -> None:
    """Do it, and be killed before anything is put in order."""
    process = os.fork()
    if not process:
        gc.disable()  # what ROS left in this process does not bear to be torn down in a copy of it
        try:
            action(Recording(root, SCHEMA, "lift the cube", say=lambda text: None))
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


def two_episodes(opened: Recording) -> None:
    stream = StepStream()
    for length in (3, 4):
        for step in stream.steps(length):
            opened.add(step)
    wait_until(lambda: opened.committed == 2, what="both to be written")


def test_an_episode_that_was_committed_is_not_taken_from_the_journal_again(tmp_path):
    in_a_killed_process(tmp_path, two_episodes)
    with recording(tmp_path) as opened:
        assert opened.received == {"arm": 7} and opened.kept == 2
    assert lengths(tmp_path) == [3, 4]


def test_a_dropped_episode_stays_dropped(tmp_path, stream):
    def drop_one(opened: Recording) -> None:
        two_episodes(opened)
        assert opened.drop_last().result(20.0) == 1

    in_a_killed_process(tmp_path, drop_one)
    list(stream.steps(3)), list(stream.steps(4))
    with recording(tmp_path) as opened:
        assert opened.received == {"arm": 7} and opened.kept == 1
        for step in stream.steps(5):
            opened.add(step)
    assert lengths(tmp_path) == [3, 5]
    with recording(tmp_path) as opened:
        opened.drop_last().result(20.0), opened.drop_last().result(20.0)
        with pytest.raises(ValueError, match="expected an episode to drop"):
            opened.drop_last().result(20.0)


def test_the_journal_does_not_grow(tmp_path, stream):
    with recording(tmp_path) as opened:
        for _ in range(3):
            for step in stream.steps(20):
                opened.add(step)
    sizes = [path.stat().st_size for path in (tmp_path / ".recording" / "journal").rglob("*.steps")]
    assert sum(sizes) < 1000


def test_a_journal_of_another_dataset_is_not_taken_for_this_ones(tmp_path, stream):
    """A dataset that was copied without the recorder's folder takes a new actor's steps from 1 on."""
    with recording(tmp_path) as opened:
        for step in stream.steps(3):
            opened.add(step)
    journal = tmp_path / ".recording" / "journal"
    for path in sorted(journal.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with recording(tmp_path) as opened:
        assert opened.received == {}
        for step in StepStream(5).steps(4):
            opened.add(step)
    assert lengths(tmp_path) == [3, 4]


def test_a_journal_that_power_was_lost_on_counts_on_behind_the_dataset(tmp_path, stream):
    with recording(tmp_path) as opened:
        for step in stream.steps(5):
            opened.add(step)
    for path in (tmp_path / ".recording" / "journal").rglob("*.steps"):
        path.unlink()
    with recording(tmp_path) as opened:
        assert opened.received == {"arm": 5}
        for step in stream.steps(4):
            opened.add(step)
    assert lengths(tmp_path) == [5, 4]


def test_the_seed_of_a_scene_is_kept(tmp_path, stream):
    with recording(tmp_path) as opened:
        opened.note_seed("arm", 1, 700)
        opened.note_seed("arm", 2, 800)  # announced before the last steps of episode 1 have come
        steps = list(stream.steps(3))
        for step in steps[:2]:
            opened.add(step)
    with recording(tmp_path) as opened:
        opened.add(steps[2])
        for _ in range(2):
            for step in stream.steps(4):
                opened.add(step)
    assert column(tmp_path, "seed") == [700, 800, -1]


def test_what_the_disk_refuses_is_written_when_it_takes_it_again(tmp_path, stream):
    """Here the name of a folder of the dataset is taken by a file."""
    (tmp_path / ".recording").mkdir()
    in_the_way = tmp_path / "videos"
    in_the_way.write_text("")
    with recording(tmp_path) as opened:
        for step in stream.steps(3):
            opened.add(step)
        wait_until(lambda: opened.fault, what="the disk to refuse")
        in_the_way.unlink()
        wait_until(lambda: opened.committed == 1, what="the next try")
        assert not opened.fault
        (tmp_path / "meta" / "stats.json").unlink()
        (tmp_path / "meta" / "stats.json").mkdir()
        for length in (4, 5):
            for step in stream.steps(length):
                opened.add(step)
        wait_until(lambda: opened.fault, what="the disk to refuse")
    (tmp_path / "meta" / "stats.json").rmdir()
    with recording(tmp_path) as opened:
        assert opened.received == {"arm": 12}
    assert lengths(tmp_path) == [3, 4, 5]


def test_an_actor_cannot_write_elsewhere(tmp_path):
    with recording(tmp_path) as opened, pytest.raises(ValueError, match="actor_id: expected the name"):
        opened.add(next(StepStream(0, "../../elsewhere").steps(1)))
