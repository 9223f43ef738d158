"""`hilrl import`: recordings of joints become steps that retrace the recorded path."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from joint_recordings import AXES, FPS, NAMES, dataset, followed, goals_of, imported, recording
from lerobot_folders import write

from hilrl.joint_units import radians_of
from hilrl_control.ee_control import EeControl
from hilrl_control.kinematics import Kinematics, installed_urdf
from hilrl_control.settings import Settings
from hilrl_hardware.calibration import Calibration, JointCalibration
from hilrl_learning.data import Gripper
from hilrl_learning.data import Source as StepSource
from hilrl_perception.crop import Crop
from hilrl_ros.joints import JOINT_NAMES


@pytest.fixture(scope="module")
def kinematics() -> Kinematics:
    return Kinematics(installed_urdf())


def retraced(kinematics: Kinematics, replay: Any, slots: np.ndarray, settings: Settings) -> np.ndarray:
    """TCP positions of an arm that does the imported actions under the real controller."""
    control = EeControl(kinematics, replace(settings, lockstep=True))
    q, path = replay.state[slots[0], :6].astype(float), []
    for tick, slot in enumerate(slots[:-1]):
        control.observe(tick * 100_000_000, q, np.zeros(6))
        q = control.act(tick * 100_000_000, replay.delta[slot], int(replay.gripper[slot])).position
        path.append(kinematics.forward(q).position)
    return np.array(path)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_imported_actions_retrace_the_recorded_path_under_the_controller(
    tmp_path: Path, kinematics: Kinematics, version: str
) -> None:
    goals = [goals_of(4.0, seed) for seed in range(2)]
    root = dataset(tmp_path / "data", [recording(each) for each in goals], version)
    _, replay = imported(root, tmp_path / "run", [AXES])
    for each, slots in zip(goals, replay.episodes((StepSource.DEMONSTRATION,)), strict=True):
        assert len(slots) == 40  # 120 rows: the last tick is at row 117
        path = retraced(kinematics, replay, slots, Settings.default())
        recorded = np.array([kinematics.forward(q).position for q in each[2:117:3]])
        error = np.linalg.norm(path - recorded, axis=1)
        assert np.ptp(recorded, axis=0).max() > 0.1
        assert error.max() < 0.002, error.max()
        names = replay.state[slots]
        assert np.abs(names[:-1, 15:18] - np.vstack([names[:1, 15:18], path[:-1]])).max() < 0.002  # targets


def test_states_are_the_measured_joints_and_where_they_put_the_tcp(
    tmp_path: Path, kinematics: Kinematics
) -> None:
    goals = goals_of(4.0)
    _, replay = imported(dataset(tmp_path / "data", [recording(goals)]), tmp_path / "run", [AXES])
    (slots,) = replay.episodes((StepSource.DEMONSTRATION,))
    q, state = followed(goals), replay.state[slots]
    assert np.abs(state[:, :6] - q[::3]).max() < 1e-5
    speed = (q[4:] - q[2:-2]) * FPS / 2  # at rows 3 to the third-last
    assert np.abs(state[1:39, 6:12] - speed[0:114:3]).max() < 1e-4
    tcp = np.array([kinematics.forward(joints).position for joints in q[::3]])
    assert np.abs(state[:, 12:15] - tcp).max() < 1e-5
    ends = replay.terminated[slots[:-1]]
    assert ends.tolist() == [False] * 38 + [True]
    assert replay.reward[slots[:-1]].tolist() == [0.0] * 38 + [1.0]
    assert (replay.source[slots[:-1]] == StepSource.DEMONSTRATION).all()


def test_the_jaw_closes_stays_and_opens_where_the_recording_does(tmp_path: Path) -> None:
    goals = goals_of(4.0)
    goals[:, 5] = np.interp(np.arange(120), [0, 40, 52, 90, 100], [0.7, 0.7, 0.1, 0.1, 0.7])
    _, replay = imported(dataset(tmp_path / "data", [recording(goals)]), tmp_path / "run", [AXES])
    (slots,) = replay.episodes((StepSource.DEMONSTRATION,))
    commands = [Gripper(int(command)) for command in replay.gripper[slots[:-1]]]
    # 0.7 to 0.1 rad within rows 40 to 52, back within 90 to 100; a tick is three rows.
    assert commands[:14] == [Gripper.OPEN] * 14 and commands[16:30] == [Gripper.CLOSE] * 14
    assert commands[14] is Gripper.STAY or commands[15] is Gripper.STAY
    assert commands[33:] == [Gripper.OPEN] * 6
    target = replay.state[slots, 18]
    assert (
        np.allclose(target[:15], 0.9) and np.allclose(target[17:30], -0.1) and np.allclose(target[34:], 0.9)
    )


def test_a_jaw_that_was_not_used_stays(tmp_path: Path) -> None:
    goals = goals_of(2.0)
    goals[:, 5] = 0.3
    _, replay = imported(dataset(tmp_path / "data", [recording(goals)]), tmp_path / "run", [AXES])
    (slots,) = replay.episodes((StepSource.DEMONSTRATION,))
    assert (replay.gripper[slots] == Gripper.STAY).all() and np.allclose(
        replay.state[slots, 18], 0.3, atol=1e-4
    )


def test_frames_are_those_of_their_tick_cropped_as_the_cropper_does(tmp_path: Path) -> None:
    root = dataset(tmp_path / "data", [recording(goals_of(2.0))])
    crops = {"front": Crop(8, 0, 32, 32)}
    _, replay = imported(
        root, tmp_path / "run", [AXES, ("image_cropper", "crop.wrist", [0, 32, 48, 32])], crops=crops
    )
    (slots,) = replay.episodes((StepSource.DEMONSTRATION,))
    for tick, slot in enumerate(slots):
        assert (replay.images[slot, 0] == (40 + 3 * tick) // 2).all()  # the left half, dark
        assert (replay.images[slot, 1] == 100 + 3 * tick).all()  # the right half
    whole = recording(goals_of(2.0))
    whole.frames["observation.images.top"] = np.random.default_rng(0).integers(
        0, 255, (60, 48, 64, 3), np.uint8
    )
    root = dataset(tmp_path / "other", [whole])
    _, replay = imported(root, tmp_path / "other_run", [AXES])
    (slots,) = replay.episodes((StepSource.DEMONSTRATION,))
    frame = whole.frames["observation.images.top"][9]
    assert np.array_equal(
        replay.images[slots[3], 0], cv2.resize(frame, (32, 32), interpolation=cv2.INTER_AREA)
    )


@pytest.mark.parametrize("hz", [10.0, 15.0, 30.0, 7.0])
def test_other_control_rates_take_the_nearest_rows(tmp_path: Path, kinematics: Kinematics, hz: float) -> None:
    goals = goals_of(4.0)
    root = dataset(tmp_path / "data", [recording(goals)])
    _, replay = imported(root, tmp_path / "run", [AXES], {"control_hz": hz})
    (slots,) = replay.episodes((StepSource.DEMONSTRATION,))
    rows = np.round(np.arange(len(slots)) * FPS / hz).astype(int)
    assert rows[-1] <= 119 < rows[-1] + FPS / hz + 0.5
    assert np.abs(replay.state[slots, :6] - followed(goals)[rows]).max() < 1e-5
    path = retraced(kinematics, replay, slots, replace(Settings.default(), control_hz=hz))
    recorded = np.array([kinematics.forward(q).position for q in goals[rows[1:] - 1]])
    assert np.linalg.norm(path - recorded, axis=1).max() < 0.003


def test_joints_may_come_in_any_order(tmp_path: Path) -> None:
    straight, turned = recording(goals_of(2.0)), recording(goals_of(2.0))
    for name in turned.columns:
        turned.columns[name] = turned.columns[name][:, ::-1].copy()
    one = dataset(tmp_path / "one", [straight])
    names = dict.fromkeys(turned.columns, NAMES[::-1])
    other = write(tmp_path / "other", [turned], fps=FPS, names=names, images=True)
    states = [imported(root, tmp_path / f"run_{root.name}", [AXES])[1].state[:20] for root in (one, other)]
    assert np.array_equal(*states)


def test_units_become_the_radians_that_the_driver_reads(tmp_path: Path) -> None:
    ticks = np.array([1500, 2200, 2600, 1900, 3000, 1800])
    joints = {
        name: JointCalibration(i + 1, i % 2, 0, 700 + 10 * i, 3300 - 30 * i, reversed=name == "elbow_flex")
        for i, name in enumerate(JOINT_NAMES)
    }  # fmt: skip
    calibration = Calibration(joints)
    for units in ("degrees", "normalised"):
        values = [
            joint.percent(tick) if name == "gripper"
            else (joint.degrees(tick) if units == "degrees" else joint.normalised(tick))
            for (name, joint), tick in zip(joints.items(), ticks, strict=True)
        ]  # fmt: skip
        radians = radians_of(np.array([values]), units, calibration)[0]
        assert np.allclose(radians, calibration.to_radians(ticks), atol=1e-9), units
