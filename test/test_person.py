"""A person at a terminal beside a run in real time: shows the task, says that it is done, takes over."""

import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from keyboard_person import PATIENCE_S, Person

from hilrl import episodes

pytestmark = pytest.mark.timeout(400)

RUN = ("--run", "taught", "--operator", "human", "--lockstep", "false", "--reward", "operator")
QUICK = ("--duration-s", "0", "--demonstrations", "1", "--set", "learner.pretraining_s=1.0")
QUICKER = ("--set", "learner.imitation_updates=20", "--set", "actor.max_episode_steps=40")

ACTING, HOLDING = "arm: policy", "arm: holding"
"""On the screen: an episode runs, and none does."""
FAR_M = 0.12
"""At half speed a step is 0.01 m at most: at least 12 steps."""


@pytest.fixture
def person(tmp_path: Path, hilrl) -> Iterator[tuple]:
    command = hilrl("up", "train", *RUN, *QUICK, *QUICKER)
    command.wait_until(lambda: (tmp_path / "runs" / "taught" / "ros_domain_id").exists(), 60)
    person = Person(tmp_path)
    yield command, person
    assert person.leave() == 0


def logged(folder: Path, kind: str) -> list[episodes.EpisodeRecord]:
    path = folder / "runs" / "taught" / "episodes.jsonl"
    return episodes.of_kind(episodes.read(path), kind) if path.exists() else []


def test_a_demonstration_at_the_keyboard_counts_and_the_policy_trained_on_it_can_be_helped(person, tmp_path):
    command, person = person
    command.wait_until(lambda: person.sees("tcp 0."), 60)
    command.wait_until(lambda: "demonstrations 0/1" in command.output, 60)
    command.wait_until(lambda: ACTING in person.status(), 60)
    time.sleep(3.0)  # waiting is no part of a demonstration, however long
    person.move("w", FAR_M)
    person.ask("y", "success noted")
    command.wait_until(lambda: logged(tmp_path, "demonstration"), 60)
    shown = logged(tmp_path, "demonstration")[0]
    assert shown.success and shown.intervention_steps == shown.steps
    assert 10 <= shown.steps < 40, "as long as it was shown for"

    actor_log = tmp_path / "runs" / "taught" / "log" / "actor.log"
    command.wait_until(lambda: "training episodes" in actor_log.read_text(), 60)
    command.wait_until(lambda: ACTING in person.status(), 60)
    person.hold("s", 2.0)
    person.press("n")

    def helped() -> list[episodes.EpisodeRecord]:
        # Two, where one ends meanwhile: the shorter part counts for nothing.
        return [episode for episode in logged(tmp_path, "training") if episode.intervention_steps >= 5]

    command.wait_until(helped, 60)
    assert not helped()[0].success
    assert helped()[0].intervention_steps <= helped()[0].steps


def test_what_is_shown_at_the_keyboard_is_recorded(hilrl, tmp_path):
    options = ("--episodes", "1", "--operator", "human", "--lockstep", "false", "--reward", "operator")
    command = hilrl("up", "record", "own", *options)
    command.wait_until(lambda: "hilrl keyboard --dataset own" in command.output, 60)
    command.wait_until(lambda: (tmp_path / "own" / ".recording" / "ros_domain_id").exists(), 60)
    person = Person(tmp_path, "--dataset", "own")
    command.wait_until(lambda: ACTING in person.status(), 60)
    person.ask("p", "pause noted")  # nothing has been shown yet: no episode comes of it
    command.wait_until(lambda: HOLDING in person.status(), 60)
    time.sleep(PATIENCE_S)
    person.ask("p", "continue noted")
    command.wait_until(lambda: ACTING in person.status(), 60)
    time.sleep(2.0)
    person.move("w", FAR_M)
    person.ask("y", "success noted")
    assert command.wait(60) == 0, command.output
    assert person.leave() == 0
    assert "own: 1 episodes" in command.output
    rows = pq.read_table(next((tmp_path / "own" / "data").rglob("*.parquet"))).to_pydict()
    assert len(rows["index"]) >= 10 and rows["next.success"][-1]
    assert set(rows["source"]) == {2}


def test_a_keyboard_finds_no_graph_where_none_runs(hilrl, tmp_path):
    (tmp_path / "gone" / ".recording").mkdir(parents=True)
    (tmp_path / "gone" / ".recording" / "ros_domain_id").write_text("42")  # of one that was killed
    command = hilrl("keyboard", "--dataset", "gone")
    assert command.wait(30) == 2
    assert "expected a graph that runs, there is none" in command.output
