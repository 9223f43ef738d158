"""The graph of a real arm, with its driver, cameras and a person: real processes on an emulated board."""

import os
import signal
import time

import psutil
import pyarrow.parquet as pq
import pytest
from conftest import all_gone
from follower_board import BEGUN, on, wait_until_stiff, was_let_down
from keyboard_person import Person

from hilrl import episodes

pytestmark = pytest.mark.timeout(400)

REAL = ("--sim", "false", "--operator", "human", "--lockstep", "false", "--reward", "operator")
CAMERAS = ("--front-camera", "pattern", "--wrist-camera", "pattern")
TOLERANT = (
    # Fewer frames than a camera sends: this machine draws them itself, and may have much else to do.
    *("--set", "camera_front.fps=10.0", "--set", "camera_wrist.fps=10.0"),
    *("--set", "actor.max_age_s=2.0", "--set", "ee_controller.joint_state_timeout_s=2.0"),
    *("--set", "arm.state_timeout_s=1.0", "--set", "arm.ease_down_s=1.0"),
)
QUICK = (
    *("--demonstrations", "1", "--duration-s", "0", "--set", "learner.pretraining_s=1.0"),
    *("--set", "learner.imitation_updates=20", "--set", "actor.max_episode_steps=80"),
)
FAR, STILL = 40.0, 2.0
"""A motion, and none [tick]."""
ROBOT_SIDE = {"arm", "camera_front", "camera_wrist", "image_cropper", "ee_controller", "intervention_mux"}


def ticks(board) -> list[float]:
    """Where the servos are [tick]."""
    return [servo["tick"] for servo in board.truth()]


def moved(before: list[float], after: list[float]) -> float:
    """By how much the servo that moved most [tick]."""
    return max(abs(a - b) for a, b in zip(after, before, strict=True))


@pytest.fixture
def home(follower):
    """Whether the arm has gone somewhere from where it was, and rests there."""
    begun = ticks(follower)

    def is_home() -> bool:
        now = ticks(follower)
        time.sleep(1.0)
        return moved(begun, now) > FAR and moved(now, ticks(follower)) < STILL

    return is_home


def show(command, tmp_path, *arguments) -> Person:
    """Some seconds of driving forwards at the keyboard, called a success."""
    person = Person(tmp_path, *arguments)
    command.wait_until(lambda: person.sees("arm: policy"), 90)
    person.hold("w", 3.0)
    person.ask("y", "success noted")
    return person


def test_what_a_person_shows_on_the_arm_reaches_the_learner_and_ctrl_c_lets_the_arm_down(
    hilrl, follower, home, tmp_path
):
    command = hilrl("up", "train", "--run", "real", *REAL, *on(follower), *CAMERAS, *TOLERANT, *QUICK)
    wait_until_stiff(command, follower)
    command.wait_until(lambda: "demonstrations 0/1" in command.output, 120)
    assert set(command.nodes()) == ROBOT_SIDE | {"reward_rule", "actor", "learner"}
    command.wait_until(home, 90)
    at_home = ticks(follower)
    person = show(command, tmp_path)
    log = tmp_path / "runs" / "real" / "episodes.jsonl"
    command.wait_until(lambda: log.exists() and episodes.of_kind(episodes.read(log), "demonstration"), 60)
    assert moved(at_home, ticks(follower)) > FAR
    shown = episodes.of_kind(episodes.read(log), "demonstration")[0]
    assert shown.success and shown.steps >= 5 and shown.intervention_steps == shown.steps
    command.wait_until(lambda: " training " in command.output, 120)
    assert person.leave() == 0
    processes = psutil.Process(command.process.pid).children(recursive=True)
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.wait(60) == 130, command.output
    assert all_gone(processes, 1)
    assert was_let_down(follower)


def test_what_a_person_shows_on_the_arm_is_recorded(hilrl, follower, home, tmp_path):
    command = hilrl("up", "record", "own", "--episodes", "1", *REAL, *on(follower), *CAMERAS, *TOLERANT)
    wait_until_stiff(command, follower)
    command.wait_until(home, 120)
    person = show(command, tmp_path, "--dataset", "own")
    assert command.wait(60) == 0, command.output
    assert person.leave() == 0
    rows = pq.read_table(next((tmp_path / "own" / "data").rglob("*.parquet"))).to_pydict()
    assert len(rows["index"]) >= 5 and rows["next.success"][-1]
    assert set(rows["source"]) == {2}
    assert was_let_down(follower)


def test_an_arm_that_is_only_driven_stops_at_enter_and_ends_with_its_driver(hilrl, tmp_path):
    command = hilrl("up", "teleop", "--sim", "false", "--emulated", *TOLERANT)
    command.wait_until(lambda: BEGUN in command.output, 90)
    assert set(command.nodes()) == ROBOT_SIDE
    command.type("")
    command.wait_until(lambda: "/so101/arm: emergency stop: stopping" in command.output, 30)
    command.nodes()["arm"].kill()
    assert command.wait(60) == 1
    assert "arm ended (SIGKILL) and is not started again" in command.output
