"""Recordings of joints, as LeRobot makes them, with a known path, and their import into a run."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "src" / "hilrl_learning" / "test"))
from lerobot_folders import Episode, write

from hilrl import import_dataset
from hilrl.import_dataset import Source, target_of
from hilrl.run_folder import RunFolder
from hilrl_control.settings import Settings
from hilrl_learning.data import DELTA_AXES
from hilrl_learning.run_replay import open_replay
from hilrl_ros.joints import JOINT_NAMES

NAMES = [f"{name}.pos" for name in JOINT_NAMES]
FPS, HZ = 30, 10
AXES = ("learner", "action_axes", list(DELTA_AXES))
SMALL = ("learner", "image_size", 32)
CAMERAS = {"front": "observation.images.top"}
FRAME = (48, 64)
HOME = np.array(Settings.default().home_joints)


def degrees(radians: np.ndarray) -> np.ndarray:
    """As LeRobot records them: ticks of 4096 to a turn, 4095 to 360 degrees; the gripper in percent open."""
    values = radians / (2 * np.pi / 4096) * 360 / 4095
    values[:, 5] = (radians[:, 5] + 0.174533) / (1.74533 + 0.174533) * 100
    return values


def goals_of(seconds: float, seed: int = 0, speed: float = 1.0) -> np.ndarray:
    """Goals of all joints, row by row: a swing about the home pose, the jaw shuts and opens again."""
    t = np.arange(round(seconds * FPS)) / FPS * speed
    phase = np.random.default_rng(seed).uniform(0, 0.5, 5)
    swing = np.array([0.35, 0.22, -0.25, -0.15, 0.3])
    goals = HOME + np.zeros((len(t), 6))
    goals[:, :5] += swing * (np.sin(1.3 * t[:, None] + phase) - np.sin(phase))
    goals[:, 3] -= 0.2
    goals[:, 5] = np.interp(
        t, [0, 0.4 * t[-1], 0.4 * t[-1] + 0.4, 0.8 * t[-1], t[-1]], [0.7, 0.7, 0.05, 0.05, 0.7]
    )
    return goals


def followed(goals: np.ndarray, lag: int = 2) -> np.ndarray:
    """What an arm measures that follows its goals so many rows later."""
    return np.concatenate([np.repeat(goals[:1], lag, 0), goals[:-lag]]) if lag else goals.copy()


def frames(count: int, shade: int) -> np.ndarray:
    """Each row has its brightness; the left half is darker."""
    made = np.empty((count, *FRAME, 3), np.uint8)
    for row in range(count):
        made[row] = shade + row % 100
        made[row, :, : FRAME[1] // 2] //= 2
    return made


def recording(goals: np.ndarray, units: Any = degrees, lag: int = 2, shade: int = 40) -> Episode:
    return Episode(
        {
            "observation.state": units(followed(goals, lag)).astype(np.float32),
            "action": units(goals.copy()).astype(np.float32),
        },
        {
            "observation.images.top": frames(len(goals), shade),
            "observation.images.wrist": frames(len(goals), shade + 60),
        },
    )


def dataset(path: Path, episodes: list[Episode], version: str = "v3.0", **options: Any) -> Path:
    names = {"observation.state": NAMES, "action": NAMES}
    return write(path, episodes, version=version, fps=FPS, names=names, images=True, **options)


def imported(root: Path, run: Path, assignments: list = (), choices: dict = {}, **options: Any):  # noqa: B006
    """The lines that `hilrl import` prints, and the replay of the run."""
    source = Source(root, CAMERAS, options.pop("crops", {}), **options)
    lines = import_dataset.import_dataset(source, str(run), choices, [SMALL, *assignments], lambda text: None)
    return lines, replay_of(run)


def replay_of(run: Path):
    target = target_of(RunFolder(run).load())
    return open_replay(run, target.training, target.observation)


def refused(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ValueError) as error:
        imported(*arguments, **options)
    return str(error.value)
