"""What one start is connected to: the devices there are or emulated ones, and a folder for its recording."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hilrl import graph, options, viewers
from hilrl.parameter_files import NodeParameters, merged
from hilrl.run_folder import RunFolder
from hilrl_hardware.calibration_files import default_path


def parameters(chosen: Mapping[str, Any], folder: RunFolder, resources: ExitStack) -> NodeParameters:
    """Of drivers, cameras and what records topics, for this start: emulated boards are others at the next.

    `resources` holds what lasts as long as the graph is up. Raises ValueError where a calibration is missing.
    """
    roles = [] if chosen["sim"] else ["follower"]
    roles += ["leader"] if "leader" in graph.devices_of(chosen) else []
    here = connected(chosen, roles, folder, resources)
    if chosen["emulated"] and not chosen["sim"]:
        here |= {"front_camera": "pattern", "wrist_camera": "pattern"}
    connections = graph.from_options([options.BY_NAME[name] for name in here], here)
    return merged([connections, viewers.recordings(folder.path)])


def connected(
    chosen: Mapping[str, Any], roles: Sequence[str], folder: RunFolder, resources: ExitStack
) -> dict[str, Any]:
    """Port and calibration of each arm, as options. Raises ValueError where a calibration is missing."""
    here: dict[str, Any] = {}
    for role in roles:
        port, file = f"{role}_port", f"{role}_calibration"
        if chosen["emulated"]:
            here[port], here[file] = _emulated(role, folder.path / role, resources)
        else:
            here[port], here[file] = chosen[port], str(_calibration(role, chosen))
    return here


def _emulated(role: str, folder: Path, resources: ExitStack) -> tuple[str, str]:
    from hilrl_hardware.emulator.client import EmulatedBus

    board = resources.enter_context(EmulatedBus(folder, role))
    calibration = folder / "calibration.json"
    calibration.write_text(json.dumps(board.calibration(), indent=4))
    return board.port, str(calibration)


def _calibration(role: str, chosen: Mapping[str, Any]) -> Path:
    given, port = chosen[f"{role}_calibration"], chosen[f"{role}_port"]
    path = Path(given).expanduser().absolute() if given else default_path(role)
    if not path.exists():
        raise ValueError(
            f"{role}_calibration: expected the calibration of the arm on {port}, found no file {path}; "
            f"make it with `hilrl calibrate --role {role}`, or name LeRobot's .json"
        )
    return path
