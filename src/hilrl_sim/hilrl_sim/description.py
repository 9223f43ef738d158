"""The robot description: where it is found and how it becomes URDF."""

from pathlib import Path

import xacro
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

TCP_FRAME = "gripper_frame_link"
TABLE_Z = -0.0024
"""Height of the table in base_link [m]: the underside of the arm's base."""


def default_xacro_path() -> Path:
    """`urdf/so101.urdf.xacro` as the bring-up package installs it. Raises ValueError where it is not."""
    try:
        share = Path(get_package_share_directory("hilrl"))
    except PackageNotFoundError as error:
        raise ValueError(
            "urdf: expected a path, or the package hilrl in the sourced workspace; neither was found"
        ) from error
    return share / "urdf" / "so101.urdf.xacro"


def load_urdf(xacro_path: str | Path | None = None) -> str:
    """The SO-101 as URDF text. Raises ValueError naming the path when it is absent or not a valid xacro."""
    path = Path(xacro_path) if xacro_path else default_xacro_path()
    if not path.is_file():
        raise ValueError(f"urdf: expected a xacro file, found none at {path}")
    try:
        return xacro.process_file(str(path)).toxml()
    except Exception as error:  # expat, xacro and OS errors share no base class
        raise ValueError(f"urdf: {path} is not a valid xacro: {error}") from error
