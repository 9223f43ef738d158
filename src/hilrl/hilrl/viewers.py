"""What looks on: RViz, with the workspace as something to take hold of, and the recorder of topics."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xacro
from ament_index_python.packages import get_package_share_directory

from hilrl.nodes import MCAP_RECORDER, RVIZ, STATE_PUBLISHER, WORKSPACE_DISPLAY, Node
from hilrl.packages import expect_installed
from hilrl.parameter_files import NodeParameters

NODES = (STATE_PUBLISHER, WORKSPACE_DISPLAY, RVIZ)


def viewers(options: Mapping[str, Any]) -> list[Node]:
    """What options `rviz` and `mcap` ask for. Raises ValueError where RViz is not installed."""
    return [*_rviz(options), *recorders(options)]


def recorders(options: Mapping[str, Any]) -> list[Node]:
    """What option `mcap` asks for."""
    topics = options["mcap"]
    return [replace(MCAP_RECORDER, parameters={"topics": topics})] if topics else []


def recordings(run: Path) -> NodeParameters:
    """Where the recorder writes, by the folder of the run."""
    return {MCAP_RECORDER.name: {"folder": str(run / "mcap")}}


def _rviz(options: Mapping[str, Any]) -> list[Node]:
    if not options["rviz"]:
        return []
    expect_installed("rviz", [RVIZ.package, STATE_PUBLISHER.package])
    share = Path(get_package_share_directory("hilrl"))
    return [
        replace(STATE_PUBLISHER, parameters={"robot_description": description(share)}),
        WORKSPACE_DISPLAY,
        replace(RVIZ, arguments=("-d", str(share / "config" / "hilrl.rviz"))),
    ]


def description(share: Path, ros2_control: bool = False) -> str:
    """The robot as URDF, with its ros2_control block where that is wanted."""
    path = share / "urdf" / "so101.urdf.xacro"
    return xacro.process_file(str(path), mappings={"ros2_control": str(ros2_control).lower()}).toxml()
