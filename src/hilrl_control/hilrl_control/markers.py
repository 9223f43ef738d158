"""The workspace box and the target, for RViz: what ee_controller itself shows of what bounds it."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from hilrl_control.ee_state import State
from hilrl_control.messages import pose_message
from hilrl_control.workspace import Workspace
from hilrl_ros.joint_messages import BASE_FRAME

FACES = "workspace_faces"
FREE = (0.2, 0.7, 0.3)
CLIPPED = (0.9, 0.2, 0.1)
TARGET = (0.2, 0.5, 0.9)
FACE_ALPHA = 0.12
EDGE_WIDTH_M = 0.002
TARGET_DIAMETER_M = 0.012


def workspace_markers(workspace: Workspace, state: State | None) -> MarkerArray:
    """Faces and edges of the box, red while it or the reach of the arm clips the target, and the target."""
    clipped = state is not None and (state.flags.workspace or state.flags.unreachable)
    colour = CLIPPED if clipped else FREE
    markers = [_faces(workspace, colour), _edges(workspace, colour)]
    if state is not None:
        markers.append(_target(state, CLIPPED if clipped else TARGET))
    return MarkerArray(markers=markers)


def workspace_in(markers: Sequence[Marker]) -> Workspace | None:
    """The box that `workspace_markers` drew, to a micrometre; None where there is none among the markers."""
    for marker in markers:
        if marker.ns == FACES:
            centre = np.array([marker.pose.position.x, marker.pose.position.y, marker.pose.position.z])
            half = np.array([marker.scale.x, marker.scale.y, marker.scale.z]) / 2
            return Workspace((centre - half).round(6), (centre + half).round(6))
    return None


def point(position: Sequence[float]) -> Point:
    """x, y, z [m]."""
    x, y, z = position
    return Point(x=float(x), y=float(y), z=float(z))


def new_marker(
    name: str, kind: int, colour: tuple[float, float, float], alpha: float = 1.0, identifier: int = 0
) -> Marker:
    """One without a size, at the origin of the base frame; `name` and `identifier` tell it from others."""
    r, g, b = colour
    # No stamp: RViz shows it in the newest transform, and simulated time may start again.
    marker = Marker(header=Header(frame_id=BASE_FRAME), ns=name, id=identifier, type=kind, action=Marker.ADD)
    marker.color = ColorRGBA(r=r, g=g, b=b, a=alpha)
    marker.pose.orientation.w = 1.0
    return marker


def lines(name: str, ends: Sequence[Point], width_m: float, colour: tuple[float, float, float]) -> Marker:
    """Separate lines, from each point with an even index to the next one."""
    marker = new_marker(name, Marker.LINE_LIST, colour)
    marker.scale.x = width_m
    marker.points = list(ends)
    return marker


def _faces(workspace: Workspace, colour: tuple[float, float, float]) -> Marker:
    marker = new_marker(FACES, Marker.CUBE, colour, FACE_ALPHA)
    marker.pose.position = point((workspace.minimum + workspace.maximum) / 2)
    x, y, z = (workspace.maximum - workspace.minimum).tolist()
    marker.scale = Vector3(x=x, y=y, z=z)
    return marker


def _edges(workspace: Workspace, colour: tuple[float, float, float]) -> Marker:
    ends = np.stack([workspace.minimum, workspace.maximum])
    corners = [np.array(corner) for corner in product((0, 1), repeat=3)]
    points = [
        point(ends[corner, range(3)])
        for first, second in product(corners, corners)
        if (second - first).sum() == 1 and np.abs(second - first).sum() == 1
        for corner in (first, second)
    ]
    return lines("workspace_edges", points, EDGE_WIDTH_M, colour)


def _target(state: State, colour: tuple[float, float, float]) -> Marker:
    marker = new_marker("target", Marker.SPHERE, colour, 0.9)
    marker.pose = pose_message(state.target.position, state.target_rotation)
    marker.scale = Vector3(x=TARGET_DIAMETER_M, y=TARGET_DIAMETER_M, z=TARGET_DIAMETER_M)
    return marker
