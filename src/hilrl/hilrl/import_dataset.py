"""`hilrl import`: recordings in LeRobot's format become demonstrations of a run that is not running."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hilrl import cli, options
from hilrl.joint_units import JOINT_UNITS, radians_of
from hilrl.parameter_files import parse_assignment
from hilrl.run_config import Assignment, RunConfig
from hilrl.up import prepare
from hilrl_control.ee_controller_node import parameter_table
from hilrl_control.kinematics import Kinematics, installed_urdf
from hilrl_hardware import calibration_files
from hilrl_learning.data import ObservationSpec
from hilrl_learning.learner_node import PARAMETERS, dataclass_from, dataclass_parameters, lock
from hilrl_learning.lerobot.features import image_key
from hilrl_learning.lerobot.import_joints import Arm, Fit, JointEpisodes
from hilrl_learning.lerobot.import_own import Motion, OwnEpisodes, is_own
from hilrl_learning.lerobot.import_record import ImportRecord
from hilrl_learning.lerobot.import_steps import Frames, Importer
from hilrl_learning.lerobot.reader import LeRobotReader
from hilrl_learning.observation_sync import state_names
from hilrl_learning.run_replay import open_replay, successful_demonstrations
from hilrl_learning.train_config import TrainConfig
from hilrl_perception.crop import WHOLE_FRAME, Crop, crop_and_resize

MOST_CLIPPED = 0.1
NOTABLE_TURN_RAD = 0.3


@dataclass(frozen=True)
class Source:
    """What to read, and how."""

    dataset: Path
    features: Mapping[str, str]
    """Feature by camera, where it is not observation.images.<camera>."""
    crops: Mapping[str, Crop]
    """By camera, where it is not what the run's image_cropper does."""
    joint_units: str = "degrees"
    calibration: str = ""
    """File of the arm that recorded normalised joints."""
    succeeded: bool = True
    most_clipped: float = MOST_CLIPPED


@dataclass(frozen=True)
class Target:
    """What a run says about its steps."""

    observation: ObservationSpec
    motion: Motion
    training: TrainConfig
    crops: Mapping[str, Crop]
    controller: Mapping[str, Any]
    """Parameters of ee_controller."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of `hilrl import`."""
    parser.add_argument("dataset", metavar="FOLDER", type=Path, help="a LeRobotDataset, version 2.1 or 3.0")
    parser.add_argument(
        "--run", metavar="NAME", required=True, help="name or path of the run, new or stopped"
    )
    parser.add_argument(
        "--camera", metavar="CAMERA=FEATURE", type=_pair, action="append", default=[],
        help="feature of the dataset for a camera of the run; default: observation.images.CAMERA",
    )  # fmt: skip
    parser.add_argument(
        "--crop", metavar="CAMERA=TOP,LEFT,HEIGHT,WIDTH", type=_crop, action="append", default=[],
        help="rectangle of a recorded frame [px]; default: that of the run's image_cropper",
    )  # fmt: skip
    parser.add_argument(
        "--joint-units", choices=JOINT_UNITS, default="degrees",
        help="of recorded joints: degrees, or normalised to -100..100; default: %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--calibration", metavar="FILE", default="",
        help="calibration of the arm that recorded normalised joints; default: an arm as drawn",
    )  # fmt: skip
    parser.add_argument(
        "--no-success", action="store_true", help="joint recordings: the task was not solved at the end"
    )
    parser.add_argument(
        "--most-clipped", metavar="SHARE", type=float, default=MOST_CLIPPED,
        help="share of actions that may want more than a full step; default: %(default)s",
    )  # fmt: skip
    cli.add_options(parser, options.OPTIONS, "learner.batch=256")


def run(chosen: argparse.Namespace) -> int:
    """The command."""
    source = Source(
        dataset=chosen.dataset,
        features=dict(chosen.camera),
        crops=dict(chosen.crop),
        joint_units=chosen.joint_units,
        calibration=chosen.calibration,
        succeeded=not chosen.no_success,
        most_clipped=chosen.most_clipped,
    )
    console = Console()
    with console.status("") as status:
        choices = cli.choices_of(options.OPTIONS, chosen)
        assignments = [parse_assignment(text) for text in chosen.set]
        lines = import_dataset(source, chosen.run, choices, assignments, status.update)
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    return 0


def import_dataset(
    source: Source,
    name: str,
    choices: Mapping[str, Any],
    assignments: Sequence[Assignment],
    say: Callable[[str], None],
) -> list[str]:
    """Put the episodes of a dataset into a run; what there is to know about it, in lines.

    Raises ValueError naming what does not fit, in most cases before anything is written.
    """
    say(f"reading {source.dataset}")
    reader = LeRobotReader(source.dataset)
    folder, config, _ = prepare(name, choices, assignments)
    target = target_of(config)
    report: list[str] = []
    if is_own(reader):
        plan: Callable[[int], Any] = OwnEpisodes(reader, target.observation, target.motion)
    else:
        plan = _joint_episodes(reader, source, target)
        report = _about(plan.fit, target)
    cameras = _cameras(reader, source, target)
    say(f"checking {source.dataset}")
    importer = Importer(reader, plan, cameras, target.observation, 1.0 / reader.fps)
    with folder.lock():
        learner = lock(folder.path)  # ours or started by a launch file
        try:
            if not folder.config.exists():
                folder.store(config)
            replay = open_replay(folder.path, target.training, target.observation)
            done = importer.run(
                replay, ImportRecord(folder.path), lambda n, of: say(f"episode {n} of {of} is in the run")
            )
            successes = successful_demonstrations(replay)
        finally:
            os.close(learner)
    wanted = target.training.demonstrations
    known = f", {done.skipped} of them were there already" if done.skipped else ""
    missing = wanted - successes
    return [
        f"{reader.path}: {reader.episode_count} episodes{known}; "
        f"{done.steps} steps more in run {folder.name}.",
        *report,
        f"The run has {successes} successful demonstrations of the {wanted} that it wants: "
        + (f"{missing} more are asked for first." if missing > 0 else "it trains at once."),
        f"Go on: hilrl up train --run {folder.reference}",
    ]


def target_of(config: RunConfig) -> Target:
    """What the resolved configuration of a run says about its steps."""
    learner = {p.name: p.default for p in (*PARAMETERS, *dataclass_parameters(TrainConfig))}
    learner |= config.parameters.get("learner", {})
    controller = {p.name: p.default for p in parameter_table()} | config.parameters.get("ee_controller", {})
    cropper = config.parameters.get("image_cropper", {})
    cameras = tuple(learner["cameras"])
    crops = {}
    for camera in cameras:
        try:
            crops[camera] = Crop.from_list(cropper.get(f"crop.{camera}", [0, 0, 0, 0]))
        except ValueError as error:
            raise ValueError(f"image_cropper.crop.{camera}: {error}") from None
    return Target(
        observation=ObservationSpec(state_names(), cameras, (learner["image_size"],) * 2),
        motion=Motion(
            control_hz=float(controller["control_hz"]),
            step_m=float(controller["step_m"]),
            step_rad=float(controller["step_rad"]),
            action_axes=tuple(learner["action_axes"]),
        ),
        training=dataclass_from(TrainConfig, learner),
        crops=crops,
        controller=controller,
    )


def _joint_episodes(reader: LeRobotReader, source: Source, target: Target) -> JointEpisodes:
    controller = target.controller
    kinematics = Kinematics(controller["urdf"] or installed_urdf())
    calibration = calibration_files.load(source.calibration) if source.calibration else None
    return JointEpisodes(
        reader,
        partial(radians_of, units=source.joint_units, calibration=calibration),
        Arm(
            forward=kinematics.forward,
            lower=kinematics.lower,
            upper=kinematics.upper,
            workspace_min=np.array(controller["workspace_min"], float),
            workspace_max=np.array(controller["workspace_max"], float),
            gripper_open_rad=float(controller["gripper_open_rad"]),
            gripper_closed_rad=float(controller["gripper_closed_rad"]),
        ),
        target.motion,
        succeeded=source.succeeded,
        most_clipped=source.most_clipped,
    )


def _cameras(reader: LeRobotReader, source: Source, target: Target) -> dict[str, Frames]:
    for name in (*source.features, *source.crops):
        if name not in target.observation.cameras:
            raise ValueError(
                f"camera {name}: expected one of the run's, {', '.join(target.observation.cameras)}"
            )
    height, width = target.observation.image_size
    cameras = {}
    for camera in target.observation.cameras:
        # What we record was cropped before.
        crop = source.crops.get(camera, WHOLE_FRAME if is_own(reader) else target.crops[camera])
        feature = source.features.get(camera, image_key(camera))
        if feature not in reader.cameras:
            raise ValueError(
                f"camera {camera}: expected feature {feature} in {reader.path}, which has "
                f"{', '.join(reader.cameras) or 'no cameras'}; say which with --camera {camera}=FEATURE"
            )
        cameras[camera] = Frames(feature, partial(crop_and_resize, crop=crop, height=height, width=width))
    return cameras


def _about(fit: Fit, target: Target) -> list[str]:
    """What conversion has cost."""
    lines = [
        f"{fit.actions} actions, {fit.clipped_share:.1%} of them clipped to a full step of "
        f"{target.motion.step_m:g} m; the target fell at most {1000 * fit.lag_m:.0f} mm behind the recording."
    ]
    if fit.unmoved_rad > NOTABLE_TURN_RAD:
        lines.append(
            f"They turn the gripper by up to {fit.unmoved_rad:.1f} rad about pitch or roll, which the "
            f"run's policy cannot: learner.action_axes are {list(target.motion.action_axes)}."
        )
    return lines


def _pair(text: str) -> tuple[str, str]:
    camera, equals, feature = text.partition("=")
    if not (camera and equals and feature):
        raise argparse.ArgumentTypeError(f"expected CAMERA=FEATURE, got {text!r}")
    return camera, feature


def _crop(text: str) -> tuple[str, Crop]:
    camera, _, numbers = text.partition("=")
    try:
        top, left, height, width = map(int, numbers.split(","))
        return camera, Crop.from_list([top, left, height, width])
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected CAMERA=TOP,LEFT,HEIGHT,WIDTH in pixels, got {text!r}"
        ) from None
