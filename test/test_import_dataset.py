"""`hilrl import`: what it refuses, what a kill leaves, and that a run trains on what was imported."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from joint_recordings import (
    AXES,
    CAMERAS,
    SMALL,
    dataset,
    goals_of,
    imported,
    recording,
    refused,
    replay_of,
)
from lerobot_folders import change_info

from hilrl import import_dataset
from hilrl.import_dataset import Source, add_arguments, target_of
from hilrl.run_folder import RunFolder
from hilrl_learning.data import Source as StepSource
from hilrl_perception.crop import Crop
from hilrl_ros.joints import JOINT_NAMES


def test_a_run_with_enough_imported_demonstrations_trains_at_once(tmp_path: Path) -> None:
    from hilrl_learning.algorithms import registry
    from hilrl_learning.data import ActionSpec
    from hilrl_learning.trainer import Phase, Trainer

    root = dataset(tmp_path / "data", [recording(goals_of(3.0, seed)) for seed in range(3)])
    quick = {"pretraining_s": 0.3, "imitation_updates": 10, "batch": 8, "pretraining_batch": 8, "crops": 1}
    short = [("learner", name, value) for name, value in quick.items()]
    lines, replay = imported(root, tmp_path / "run", [AXES, *short], {"demonstrations": 3})
    assert "it trains at once" in " ".join(lines)
    del replay
    target = target_of(RunFolder(tmp_path / "run").load())
    trainer = Trainer(
        target.training,
        registry.algorithm("sac").config_class(),
        target.observation,
        ActionSpec(target.motion.action_axes),
        tmp_path / "run",
    )
    assert trainer.demonstrations == 3 and trainer.received() == {"import": 87}
    assert trainer.phase is Phase.DEMONSTRATIONS
    started = time.monotonic()
    while trainer.critic_updates < 2 and time.monotonic() - started < 90:
        trainer.work()
    assert trainer.phase is Phase.TRAINING and trainer.critic_updates >= 2
    assert trainer.acting_payload() is not None


def test_fewer_than_the_run_wants_says_how_many_are_missing(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(2.0))])
    lines, _ = imported(root, tmp_path / "run", [AXES], {"demonstrations": 5})
    assert "1 successful demonstrations of the 5 that it wants: 4 more" in " ".join(lines)
    without = dataset(tmp_path / "failed", [recording(goals_of(2.0, 4))])
    lines, replay = imported(without, tmp_path / "run", [AXES], {}, succeeded=False)
    assert "1 successful demonstrations of the 5" in " ".join(lines)
    assert replay.terminated.sum() - replay.terminated[~replay.is_step].sum() == 1


def test_too_fast_a_recording_is_refused_with_the_step_it_needs(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(4.0)), recording(goals_of(4.0, speed=3.0))])
    message = refused(root, tmp_path / "run", [AXES])
    assert "want more than a full step" in message and "most in episode 1" in message
    needed = [float(message.split(f"{name} ")[1].split()[0]) for name in ("step_m", "step_rad")]
    assert 0.025 < needed[0] < 0.09 and 0.1 < needed[1] < 0.3
    assert not (tmp_path / "run" / "replay").exists()
    lines, _ = imported(root, tmp_path / "run", [AXES], most_clipped=0.8)
    share = float(lines[1].split("actions, ")[1].split("%")[0])
    assert 5 < share < 80 and "mm behind" in lines[1]
    wide = [
        ("ee_controller", name, value) for name, value in zip(("step_m", "step_rad"), needed, strict=True)
    ]
    lines, _ = imported(root, tmp_path / "wide", [AXES, *wide])
    assert float(lines[1].split("actions, ")[1].split("%")[0]) < 2


def test_a_recording_that_turns_what_the_policy_cannot_says_so(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(4.0))])
    lines, _ = imported(root, tmp_path / "run")
    assert "about pitch or roll, which the run's policy cannot" in " ".join(lines)


def test_goals_outside_the_workspace_are_refused_with_the_box_they_need(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(4.0)), recording(goals_of(4.0, 3))])
    small = ("ee_controller", "workspace_max", [0.3, 0.03, 0.22])
    message = refused(root, tmp_path / "run", [AXES, small])
    assert message.startswith("episode 0: action: expected goals within the run's workspace")
    assert "begin a run whose ee_controller.workspace_min and workspace_max hold them" in message


def with_names(path: Path, names: list[str]) -> Path:
    root = dataset(path, [recording(goals_of(2.0))])
    features = json.loads((root / "meta/info.json").read_text())["features"]
    features["action"]["names"] = names
    change_info(root, features=features)
    return root


def test_what_cannot_become_steps_is_named_before_anything_is_written(tmp_path: Path) -> None:
    good = dataset(tmp_path / "good", [recording(goals_of(2.0))])
    run = tmp_path / "run"
    assert "features.action.names: expected ['shoulder_pan.pos'" in refused(
        with_names(tmp_path / "names", list("abcdef")), run
    )
    assert "before June 2025" in refused(
        with_names(tmp_path / "old", [f"main_{n}" for n in JOINT_NAMES]), run
    )
    assert "camera wrist: expected feature observation.images.hand" in refused_camera(good, run, "hand")
    assert "episode 0: observation.images.wrist: expected a crop within 48 rows x 64" in refused(
        good, run, [AXES], crops={"wrist": Crop(0, 0, 480, 480)}
    )
    assert "camera side: expected one of the run's, front, wrist" in refused(
        good, run, [AXES], crops={"side": Crop()}
    )
    far = recording(goals_of(2.0))
    far.columns["observation.state"][7, 2] = 140.0
    assert "episode 0: observation.state: elbow_flex: expected within [-1.69, 1.69] rad, got 140" in refused(
        dataset(tmp_path / "far", [far]), run
    )
    nan = recording(goals_of(2.0))
    nan.columns["action"][7, 2] = np.nan
    assert "episode 0: action: expected finite" in refused(dataset(tmp_path / "nan", [nan]), run)
    assert "fps: expected at least the run's control_hz 40, got 30" in refused(
        good, run, [AXES], {"control_hz": 40.0}
    )
    assert "episode 0: expected at least 4 frames, got 3" in refused(
        dataset(tmp_path / "short", [recording(goals_of(0.1), lag=0)]), run
    )
    assert not (run / "replay").exists() and not (run / "config.yaml").exists()


def refused_camera(root: Path, run: Path, feature: str) -> str:
    cameras = {**CAMERAS, "wrist": f"observation.images.{feature}"}
    with pytest.raises(ValueError) as error:
        import_dataset.import_dataset(
            Source(root, cameras, {}), str(run), {}, [SMALL, AXES], lambda text: None
        )
    return str(error.value)


def test_a_run_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(2.0))])
    with RunFolder(tmp_path / "run").lock():
        assert "another process is using" in refused(root, tmp_path / "run", [AXES])
    from hilrl_learning.learner_node import lock

    held = lock(tmp_path / "run")
    try:
        assert "expected to be the only learner that writes here" in refused(root, tmp_path / "run", [AXES])
    finally:
        os.close(held)
    imported(root, tmp_path / "run", [AXES])
    assert "all 1 episodes are in this run already" in refused(root, tmp_path / "run", [AXES])


MANY = 100
"""Episodes: an import of them takes longer than a test may wait for its turn on a busy machine."""
CHILD = """
import sys, argparse
from hilrl.import_dataset import add_arguments, run
parser = argparse.ArgumentParser()
add_arguments(parser)
sys.exit(run(parser.parse_args(sys.argv[1:])))
"""


def first_count(received: Path) -> int:
    """Steps of the first actor; the file is there before anything is in it."""
    counts = np.fromfile(received, np.uint64, 1) if received.exists() else np.zeros(0)
    return int(counts.sum())


def test_a_killed_import_leaves_whole_episodes_and_goes_on(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(2.0, seed)) for seed in range(MANY)])
    arguments = [str(root), "--run", str(tmp_path / "run"), "--camera", "front=observation.images.top"]
    arguments += ["--set", "learner.image_size=32", "--demonstrations", str(MANY)]
    process = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    received = tmp_path / "run" / "replay" / "received.bin"
    while time.monotonic() < deadline and first_count(received) <= 60:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    replay = replay_of(tmp_path / "run")
    whole = list(replay.episodes((StepSource.DEMONSTRATION,)))
    assert 3 <= len(whole) < MANY and len(replay) == 19 * len(whole)
    del replay
    again = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    replay = replay_of(tmp_path / "run")
    assert len(list(replay.episodes((StepSource.DEMONSTRATION,)))) == MANY and len(replay) == 19 * MANY


def test_bad_arguments_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--crop", "front=1,2,3"], "CAMERA=TOP,LEFT,HEIGHT,WIDTH"),
        (["--camera", "front"], "CAMERA=FEATURE"),
        (["--joint-units", "turns"], "degrees"),
    ):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        with pytest.raises(SystemExit):
            parser.parse_args(["folder", "--run", "x", *arguments])
        assert words in capsys.readouterr().err
