"""A picture of markers as RViz would show them, for where there is no RViz. Knows only what is drawn here."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pinocchio as pin
from geometry_msgs.msg import Pose
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from mpl_toolkits.mplot3d import Axes3D
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection
from visualization_msgs.msg import InteractiveMarker, Marker, MarkerArray

from hilrl_control.kinematics import Array, Kinematics
from hilrl_ros.joint_messages import BASE_FRAME

matplotlib.use("Agg")

BACKGROUND = (0.19, 0.19, 0.19)
ROBOT = (0.85, 0.83, 0.78)
ROBOT_WIDTH_M = 0.018
SIZE_IN = 10.0
VIEW_DEG = (22.0, -58.0)
"""Elevation and azimuth."""
_CUBE = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_SIDES = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]


class Scene:
    """The markers of several topics, kept as RViz keeps them: by topic, namespace and id."""

    def __init__(self) -> None:
        self.markers: dict[tuple[str, str, int], Marker] = {}

    def take(self, topic: str, message: MarkerArray) -> None:
        """One message of a topic. Raises ValueError for what cannot be drawn here."""
        for marker in message.markers:
            key = topic, marker.ns, marker.id
            if marker.action == Marker.DELETEALL:
                self.markers = {known: kept for known, kept in self.markers.items() if known[0] != topic}
            elif marker.action == Marker.DELETE:
                self.markers.pop(key, None)
            else:
                _check(marker)
                self.markers[key] = marker

    def take_handles(self, topic: str, handles: Iterable[InteractiveMarker]) -> None:
        """Interactive markers, whose shapes are placed relative to them."""
        for handle in handles:
            placed = _placement(handle.pose)
            for shape in (shape for control in handle.controls for shape in control.markers):
                marker = Marker(type=shape.type, scale=shape.scale, color=shape.color, text=shape.text)
                marker.header, marker.ns, marker.id = handle.header, handle.name, shape.id
                marker.pose = _pose(placed * _placement(shape.pose))
                self.take(topic, MarkerArray(markers=[marker]))


def skeleton(kinematics: Kinematics, q: Sequence[float]) -> Array:
    """From the base through the joints to the TCP at joint angles `q` [rad], shape (7, 3) [m]."""
    tcp = kinematics.forward(q).position
    joints = [kinematics.data.oMi[joint].translation for joint in kinematics.joint_ids[:5]]
    return np.array([np.zeros(3), *joints, tcp])


def draw(scene: Scene, robot: Array, path: Path) -> None:
    """Write the picture to `path`. `robot`: points along the arm, shape (n, 3) [m]."""
    figure = Figure(figsize=(SIZE_IN, SIZE_IN * 0.8), facecolor=BACKGROUND)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), projection="3d", computed_zorder=False)
    points = np.concatenate([robot, *(_extent(marker) for marker in scene.markers.values())])
    lower, upper = points.min(axis=0), points.max(axis=0)
    axes.set(xlim=(lower[0], upper[0]), ylim=(lower[1], upper[1]), zlim=(lower[2], upper[2]))
    axes.set_box_aspect(upper - lower, zoom=1.15)
    axes.view_init(*VIEW_DEG)
    _style(axes)
    # Roughly, as perspective has it: of the picture's width the scene takes most.
    points_per_m = 0.62 * SIZE_IN * 72.0 / float(np.linalg.norm((upper - lower)[:2]))
    axes.plot(
        *robot.T, color=ROBOT, linewidth=ROBOT_WIDTH_M * points_per_m, solid_joinstyle="round", zorder=2
    )
    axes.plot(
        *robot[1:].T, "o", color=(0.1, 0.1, 0.1), markersize=0.3 * ROBOT_WIDTH_M * points_per_m, zorder=3
    )
    for marker in sorted(scene.markers.values(), key=lambda marker: marker.ns):
        DRAWN[marker.type](axes, marker, points_per_m)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", labelcolor="white", facecolor=BACKGROUND, edgecolor="none", fontsize=9)
    figure.savefig(path, dpi=110, facecolor=BACKGROUND)


def _style(axes: Axes3D) -> None:
    axes.set_facecolor(BACKGROUND)
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y"), (axes.zaxis, "z")):
        axis.set_pane_color((0.24, 0.24, 0.24, 1.0))
        axis.set_tick_params(colors="0.6", labelsize=7)
        axis.set_label_text(f"{name} [m]", color="0.7", fontsize=8)
        axis._axinfo["grid"].update(color=(0.35, 0.35, 0.35), linewidth=0.5)


def _check(marker: Marker) -> None:
    if marker.action != Marker.ADD:
        raise ValueError(f"marker action: expected ADD, DELETE or DELETEALL, got {marker.action}")
    if marker.type not in DRAWN:
        raise ValueError(f"marker type: expected one of {sorted(DRAWN)}, got {marker.type} in {marker.ns!r}")
    if marker.header.frame_id != BASE_FRAME:
        raise ValueError(f"marker frame_id: expected {BASE_FRAME!r}, got {marker.header.frame_id!r}")


def _placement(pose: Pose) -> pin.SE3:
    q, p = pose.orientation, pose.position
    return pin.SE3(pin.Quaternion(q.w, q.x, q.y, q.z).normalized(), np.array([p.x, p.y, p.z]))


def _pose(placement: pin.SE3) -> Pose:
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = placement.translation.tolist()
    q = pose.orientation
    q.x, q.y, q.z, q.w = pin.Quaternion(placement.rotation).coeffs().tolist()
    return pose


def _in_base(marker: Marker, points: Array) -> Array:
    """Points of shape (n, 3) in the marker's own frame, moved to the base frame [m]."""
    placement = _placement(marker.pose)
    return points @ placement.rotation.T + placement.translation


def _size(marker: Marker) -> Array:
    return np.array([marker.scale.x, marker.scale.y, marker.scale.z])


def _rgba(marker: Marker) -> tuple[float, float, float, float]:
    return marker.color.r, marker.color.g, marker.color.b, marker.color.a


def _ends(marker: Marker) -> Array:
    return _in_base(marker, np.array([[p.x, p.y, p.z] for p in marker.points]).reshape(-1, 3))


def _extent(marker: Marker) -> Array:
    """Points that the picture must hold, shape (n, 3) [m]."""
    if marker.type == Marker.LINE_LIST:
        return _ends(marker)
    if marker.type == Marker.CUBE:
        return _in_base(marker, _CUBE * _size(marker))
    return _in_base(marker, np.zeros((1, 3)))


def _draw_cube(axes: Axes3D, marker: Marker, _: float) -> None:
    corners = _in_base(marker, _CUBE * _size(marker))
    axes.add_collection3d(Poly3DCollection(corners[_SIDES], facecolor=_rgba(marker), zorder=1))


def _draw_sphere(axes: Axes3D, marker: Marker, points_per_m: float) -> None:
    x, y, z = _in_base(marker, np.zeros((1, 3)))[0]
    axes.plot(x, y, z, "o", color=_rgba(marker), markersize=marker.scale.x * points_per_m, zorder=6)


def _draw_arrow(axes: Axes3D, marker: Marker, points_per_m: float) -> None:
    tail, tip = _in_base(marker, np.array([[0.0, 0.0, 0.0], [marker.scale.x, 0.0, 0.0]]))
    line = {"color": _rgba(marker), "linewidth": marker.scale.y * points_per_m * 0.6, "zorder": 4}
    axes.quiver(*tail, *(tip - tail), arrow_length_ratio=0.35, **line)


def _draw_lines(axes: Axes3D, marker: Marker, points_per_m: float) -> None:
    pairs = _ends(marker).reshape(-1, 2, 3)
    colours = [(c.r, c.g, c.b, c.a) for c in marker.colors][::2] or _rgba(marker)
    width = {"linewidths": max(marker.scale.x * points_per_m, 0.8), "zorder": 5}
    label = marker.ns if not marker.colors else None
    axes.add_collection3d(Line3DCollection(pairs, colors=colours, label=label, **width))


def _draw_text(axes: Axes3D, marker: Marker, points_per_m: float) -> None:
    p = marker.pose.position
    size = {"fontsize": marker.scale.z * points_per_m, "ha": "center", "va": "center", "zorder": 7}
    outline = [withStroke(linewidth=2.5, foreground=BACKGROUND)]
    axes.text(p.x, p.y, p.z, marker.text, color=_rgba(marker), path_effects=outline, **size)


DRAWN = {
    Marker.ARROW: _draw_arrow,
    Marker.CUBE: _draw_cube,
    Marker.SPHERE: _draw_sphere,
    Marker.LINE_LIST: _draw_lines,
    Marker.TEXT_VIEW_FACING: _draw_text,
}
"""What each type of marker is drawn by."""
