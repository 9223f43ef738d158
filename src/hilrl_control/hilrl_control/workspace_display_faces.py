"""The six faces of the workspace box, each with a handle to drag it by."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Quaternion, Vector3
from numpy.typing import NDArray
from std_msgs.msg import Header
from visualization_msgs.msg import InteractiveMarker, InteractiveMarkerControl, Marker

from hilrl_control.markers import new_marker, point
from hilrl_control.workspace import Workspace
from hilrl_ros.joint_messages import BASE_FRAME

GRID_M = 0.001
"""A face is let go of at a whole millimetre; a click that moves it by less than half of one leaves it."""
COLOUR = (0.3, 0.85, 0.95)
REFUSED = (1.0, 0.35, 0.3)
ARROW = Vector3(x=0.045, y=0.008, z=0.016)
"""Length, width of the shaft and width of the head [m]."""
TEXT_AT_M = 0.06
TEXT_HEIGHT_M = 0.01
TEXT_COLUMNS = 40

_HALF = math.sqrt(0.5)
_OUTWARD = {
    (0, False): (0.0, 0.0, 1.0, 0.0),
    (0, True): (0.0, 0.0, 0.0, 1.0),
    (1, False): (0.0, 0.0, -_HALF, _HALF),
    (1, True): (0.0, 0.0, _HALF, _HALF),
    (2, False): (0.0, _HALF, 0.0, _HALF),
    (2, True): (0.0, -_HALF, 0.0, _HALF),
}
"""Quaternions (x, y, z, w) that turn the x axis to point out of a face."""


@dataclass(frozen=True)
class Face:
    """One side of the box."""

    axis: int
    """0, 1, 2: x, y, z."""
    upper: bool

    @property
    def name(self) -> str:
        """For example "x max"."""
        return f"{'xyz'[self.axis]} {'max' if self.upper else 'min'}"

    def place(self, workspace: Workspace) -> float:
        """Where it is along its axis [m]."""
        return float((workspace.maximum if self.upper else workspace.minimum)[self.axis])

    def dragged(
        self, place_m: float, workspace: Workspace, lower: Sequence[float], upper: Sequence[float]
    ) -> tuple[list[float], list[float]] | None:
        """The corners [m] of the box with this face at `place_m`, kept between `lower` and `upper`.

        None where it was not moved. Whether the corners make a box is for ee_controller to say.
        """
        if math.isfinite(place_m):
            place_m = round(min(max(place_m, lower[self.axis]), upper[self.axis]), 3)
        if abs(place_m - self.place(workspace)) < GRID_M / 2:
            return None
        corners = [workspace.minimum.tolist(), workspace.maximum.tolist()]
        corners[self.upper][self.axis] = place_m
        return corners[0], corners[1]


FACES = {face.name: face for face in (Face(axis, upper) for axis in range(3) for upper in (False, True))}


def handles(workspace: Workspace, refused: str = "", reason: str = "") -> list[InteractiveMarker]:
    """One marker per face, in its middle. `refused`: the face whose last drag was not accepted, and why."""
    return [_handle(face, workspace, reason if name == refused else "") for name, face in FACES.items()]


def _handle(face: Face, workspace: Workspace, reason: str) -> InteractiveMarker:
    middle: NDArray[np.float64] = (workspace.minimum + workspace.maximum) / 2
    middle[face.axis] = face.place(workspace)
    x, y, z, w = _OUTWARD[face.axis, face.upper]
    # No stamp, so that feedback comes in the frame of the marker whatever RViz's fixed frame is.
    marker = InteractiveMarker(header=Header(frame_id=BASE_FRAME), name=face.name, scale=ARROW.x)
    marker.pose.position = point(middle)
    marker.pose.orientation.w = 1.0
    colour = REFUSED if reason else COLOUR
    arrow = new_marker(face.name, Marker.ARROW, colour)
    arrow.header.frame_id = ""  # placed relative to the handle
    arrow.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
    arrow.scale = ARROW
    text = new_marker(face.name, Marker.TEXT_VIEW_FACING, colour, identifier=1)
    text.header.frame_id = ""
    offset = [0.0, 0.0, 0.0]
    offset[face.axis] = TEXT_AT_M if face.upper else -TEXT_AT_M
    text.pose.position = point(offset)
    text.scale.z = TEXT_HEIGHT_M
    text.text = "\n".join(
        [f"{face.name} {face.place(workspace):.3f} m", *textwrap.wrap(reason, TEXT_COLUMNS)]
    )
    marker.controls = [
        InteractiveMarkerControl(
            name="move",
            description=f"Drag {face.name} of the workspace",
            orientation=Quaternion(x=x, y=y, z=z, w=w),
            orientation_mode=InteractiveMarkerControl.INHERIT,
            interaction_mode=InteractiveMarkerControl.MOVE_AXIS,
            markers=[arrow, text],
        )
    ]
    return marker
