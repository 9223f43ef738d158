"""Whether a folder is a dataset that a recording can go on with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hilrl_learning.lerobot.dataset_files import INFO, RECORDING
from hilrl_learning.lerobot.features import CODEBASE_VERSION, ROBOT_TYPE, Schema


def read_info(root: Path) -> dict[str, Any] | None:
    """info.json of a dataset of ours; None where there is none yet.

    Raises ValueError where something else is there.
    """
    path = root / INFO
    if path.exists():
        try:
            info = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path}: expected JSON: {error}") from None
        if "hilrl" not in info:
            raise ValueError(f"{path}: expected the block hilrl of a recording of ours, there is none")
        return info
    if root.exists() and not (root / RECORDING).exists() and any(root.iterdir()):
        raise ValueError(f"dataset {root}: expected an empty folder or a dataset, it holds something else")
    return None


def check_schema(root: Path, info: Mapping[str, Any], schema: Schema) -> None:
    """Raises ValueError naming the first field in which a dataset differs from `schema`."""
    expected: dict[str, Any] = {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": ROBOT_TYPE,
        "fps": schema.fps,
        **{f"hilrl.{name}": value for name, value in schema.motion.items()},
    }
    found = {
        **{name: info.get(name) for name in ("codebase_version", "robot_type", "fps")},
        **{f"hilrl.{name}": info["hilrl"].get(name) for name in schema.motion},
    }
    for features, fields in ((schema.features({}), expected), (info["features"], found)):
        for name, feature in features.items():
            for key in ("dtype", "shape", "names"):
                fields[f"features.{name}.{key}"] = feature.get(key)
    for field in [*expected, *found]:
        if expected.get(field) != found.get(field):
            raise ValueError(
                f"dataset {root}: {field}: the dataset has {found.get(field)!r}, this recording "
                f"{expected.get(field)!r}; record into another folder"
            )
