"""The workspace box and the target, for RViz."""

from itertools import product

import numpy as np
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from hilrl_control.ee_state import State
from hilrl_control.messages import pose_message
from hilrl_control.workspace import Workspace
from hilrl_ros.joint_messages import BASE_FRAME

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


def _marker(
    identifier: int, name: str, kind: int, colour: tuple[float, float, float], alpha: float
) -> Marker:
    r, g, b = colour
    # No stamp: RViz shows it in the newest transform, and simulated time may start again.
    marker = Marker(header=Header(frame_id=BASE_FRAME), ns=name, id=identifier, type=kind, action=Marker.ADD)
    marker.color = ColorRGBA(r=r, g=g, b=b, a=alpha)
    marker.pose.orientation.w = 1.0
    return marker


def _faces(workspace: Workspace, colour: tuple[float, float, float]) -> Marker:
    marker = _marker(0, "workspace_faces", Marker.CUBE, colour, FACE_ALPHA)
    x, y, z = ((workspace.minimum + workspace.maximum) / 2).tolist()
    marker.pose.position = Point(x=x, y=y, z=z)
    x, y, z = (workspace.maximum - workspace.minimum).tolist()
    marker.scale = Vector3(x=x, y=y, z=z)
    return marker


def _edges(workspace: Workspace, colour: tuple[float, float, float]) -> Marker:
    marker = _marker(1, "workspace_edges", Marker.LINE_LIST, colour, 1.0)
    marker.scale.x = EDGE_WIDTH_M
    ends = np.stack([workspace.minimum, workspace.maximum])
    corners = [np.array(corner) for corner in product((0, 1), repeat=3)]
    for first, second in product(corners, corners):
        if (second - first).sum() == 1 and np.abs(second - first).sum() == 1:
            for corner in (first, second):
                x, y, z = ends[corner, range(3)].tolist()
                marker.points.append(Point(x=x, y=y, z=z))
    return marker


def _target(state: State, colour: tuple[float, float, float]) -> Marker:
    marker = _marker(2, "target", Marker.SPHERE, colour, 0.9)
    marker.pose = pose_message(state.target.position, state.target_rotation)
    marker.scale = Vector3(x=TARGET_DIAMETER_M, y=TARGET_DIAMETER_M, z=TARGET_DIAMETER_M)
    return marker
