"""Calibrations on disk: ours, YAML for people to read, and LeRobot's JSON, read and written unchanged.

Every function raises ValueError naming the file, the field, what came and what was expected.
"""

import contextlib
import json
import os
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import yaml

from hilrl_hardware.calibration import Calibration, JointCalibration
from hilrl_ros.joints import JOINT_NAMES

LEROBOT_FIELDS = ("id", "drive_mode", "homing_offset", "range_min", "range_max")
LEROBOT_FOLDERS = {
    "follower": ("robots", ("so_follower", "so101_follower", "so100_follower")),
    "leader": ("teleoperators", ("so_leader", "so101_leader", "so100_leader")),
}
"""By role, below LeRobot's calibration folder: its name now, and those of older versions."""
TEXTS = ("role", "port", "written")

HEADER = """\
# Calibration of an SO-101. `hilrl calibrate` writes it; edit it only while the arm is switched off.
#
# id             of the servo on its bus
# drive_mode     gripper: 1 where ticks fall while it opens. Other joints: for LeRobot's -100..100 alone
# homing_offset  what the servo subtracts from its encoder, so that the middle of the travel reads 2047 [tick]
# range_min/max  lowest and highest tick from stop to stop; 4096 ticks make a turn. The middle of the two is
#                0 rad of an arm joint. wrist_roll has no stops: 0..4095
# reversed       true where ticks grow towards the joint's negative direction; no SO-101 built as drawn has it
#
# homing_offset and range are kept in the servos too; `hilrl calibrate --verify` compares.
"""
WIDTHS = """\
# Distance between the fingertips: [percent open, mm], linear in between
"""


def load(path: str | Path) -> Calibration:
    """The calibration in a file: LeRobot's where its name ends in .json, ours otherwise."""
    path = Path(path).expanduser()
    lerobot = path.suffix == ".json"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"calibration: expected a readable file, got {path}: {error}") from error
    try:
        data = json.loads(text) if lerobot else yaml.safe_load(text)
        return Calibration(_joints(data, set())) if lerobot else _ours(data)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from error


def save(calibration: Calibration, path: str | Path) -> None:
    """Write a file aside and rename it: LeRobot's where its name ends in .json, ours otherwise.

    LeRobot's has no room for the gripper's width map, and none for a reversed joint: that is refused.
    """
    path = Path(path).expanduser()
    text = to_lerobot(calibration) if path.suffix == ".json" else to_yaml(calibration)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise ValueError(f"calibration: expected a place to write to, got {path}: {error}") from error


def to_lerobot(calibration: Calibration) -> str:
    """As LeRobot writes it."""
    for name, joint in calibration.joints.items():
        if joint.reversed:
            raise ValueError(
                f"{name}: reversed: expected false, got true: LeRobot's degrees cannot express it"
            )
    return json.dumps({name: _fields(joint) for name, joint in calibration.joints.items()}, indent=4)


def to_yaml(calibration: Calibration) -> str:
    """As a person reads it."""
    lines = [f"{name}: {json.dumps(value)}" for name in TEXTS if (value := getattr(calibration, name))]
    lines += ["", "joints:"]
    for name, joint in calibration.joints.items():
        cells = ", ".join(f"{field}: {value:>{width}}" for (field, value), width in _cells(joint))
        lines.append(f"  {name + ':':<15}{{{cells}{', reversed: true' if joint.reversed else ''}}}")
    points = ", ".join(f"[{percent}, {width}]" for percent, width in calibration.gripper_width_mm)
    return HEADER + "\n" + "\n".join(lines) + "\n\n" + WIDTHS + f"gripper_width_mm: [{points}]\n"


def default_path(role: str) -> Path:
    """Where a role's calibration is kept unless told otherwise: ~/.config/hilrl/calibration/<role>.yaml."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "hilrl" / "calibration" / f"{role}.yaml"


def find_lerobot(identity: str, role: str) -> Path:
    """The file of the arm that LeRobot knows by this id, where LeRobot keeps such files."""
    kind, names = LEROBOT_FOLDERS[role]
    folder = _lerobot_folder() / kind
    files = [folder / name / f"{identity}.json" for name in names]
    found = [file for file in files if file.is_file()]
    if len({file.read_bytes() for file in found}) > 1:
        raise ValueError(
            f"LeRobot id: expected one calibration of {identity!r}, got {', '.join(map(str, found))}; choose "
            "with --import PATH"
        )
    if not found:
        there = sorted({file.stem for name in names for file in (folder / name).glob("*.json")})
        raise ValueError(
            f"LeRobot id: expected one of a {role} ({', '.join(there) or 'none found'}), got {identity!r}; "
            f"looked in {', '.join(names)} below {folder}"
        )
    return found[0]


def _lerobot_folder() -> Path:
    environment = os.environ.get
    home = Path(environment("HF_HOME") or Path(environment("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    lerobot = Path(environment("HF_LEROBOT_HOME") or home / "lerobot")
    return Path(environment("HF_LEROBOT_CALIBRATION") or lerobot / "calibration").expanduser()


def _ours(data: Any) -> Calibration:
    data = _mapping("file", data, {"joints"}, {*TEXTS, "gripper_width_mm"})
    texts = {name: _text(name, data[name]) for name in TEXTS if name in data}
    widths = {"gripper_width_mm": _pairs(data["gripper_width_mm"])} if "gripper_width_mm" in data else {}
    return Calibration(_joints(data["joints"], {"reversed"}), **texts, **widths)


def _joints(data: Any, optional: Set[str]) -> dict[str, JointCalibration]:
    data = _mapping("joints", data, set(JOINT_NAMES), set())
    return {name: _joint(name, data[name], optional) for name in JOINT_NAMES}


def _joint(name: str, data: Any, optional: Set[str]) -> JointCalibration:
    fields = dict(_mapping(name, data, set(LEROBOT_FIELDS), optional))
    is_reversed = fields.pop("reversed", False)
    if not isinstance(is_reversed, bool):
        raise ValueError(f"{name}: reversed: expected true or false, got {is_reversed!r}")
    for field, value in fields.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{name}: {field}: expected an integer, got {value!r}")
    try:
        return JointCalibration(fields.pop("id"), **fields, reversed=is_reversed)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _mapping(name: str, data: Any, required: Set[str], optional: Set[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{name}: expected a mapping with {_list(required)}, got {data!r:.80}")
    if unknown := set(data) - required - optional:
        raise ValueError(f"{name}: expected {_list(required | optional)}, got also {_list(unknown)}")
    if missing := required - set(data):
        raise ValueError(f"{name}: expected {_list(required)}, got none of {_list(missing)}")
    return data


def _text(name: str, value: Any) -> str:
    # YAML takes an unquoted date for one.
    if isinstance(value, Mapping | list) or value is None:
        raise ValueError(f"{name}: expected text, got {value!r}")
    return str(value)


def _pairs(data: Any) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((float(percent), float(width)) for percent, width in data)
    except (TypeError, ValueError) as error:
        raise ValueError(f"gripper_width_mm: expected pairs [percent, mm], got {data!r}") from error


def _fields(joint: JointCalibration) -> dict[str, int]:
    values = (joint.servo_id, joint.drive_mode, joint.homing_offset, joint.range_min, joint.range_max)
    return dict(zip(LEROBOT_FIELDS, values, strict=True))


def _cells(joint: JointCalibration) -> list[tuple[tuple[str, int], int]]:
    return list(zip(_fields(joint).items(), (1, 1, 5, 4, 4), strict=True))


def _list(names: Set[Any]) -> str:
    order = [*JOINT_NAMES, *LEROBOT_FIELDS]
    known = [name for name in order if name in names]
    return ", ".join([*known, *sorted(str(name) for name in names if name not in order)])
