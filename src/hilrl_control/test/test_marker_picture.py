"""The picture is drawn of the messages that RViz gets, so that looking at one is looking at the other."""

import numpy as np
import pytest
from controller_bench import HOME, bench_around
from matplotlib.image import imread
from rviz_client import RvizClient
from visualization_msgs.msg import Marker, MarkerArray

from hilrl_control.marker_picture import ROBOT, Scene, draw, skeleton
from hilrl_control.markers import CLIPPED, FREE, new_marker
from hilrl_control.workspace_display import Actor
from hilrl_control.workspace_display_faces import COLOUR
from hilrl_control.workspace_display_markers import CLIP, COLOURS
from hilrl_ros import qos


def share_of(picture, colour):
    """Share of the pixels that have a colour."""
    return float((np.abs(picture[:, :, :3] - colour).max(axis=2) < 0.04).mean())


def test_the_markers_of_a_real_run_are_all_in_the_picture(probe, start_node, urdf_path, kinematics, tmp_path):
    bench = bench_around(probe, start_node, urdf_path)
    start_node("hilrl_control.workspace_display_node")
    rviz = RvizClient(probe, "workspace_display/faces")
    shown = {}
    for topic in ("ee_controller/workspace_markers", "workspace_display/markers"):
        probe.node.create_subscription(
            MarkerArray, topic, lambda message, name=topic: shown.update({name: message}), qos.LATCHED
        )
    bench.look()
    rviz.connect()
    for _ in range(12):
        bench.act((1.0, 0.5, -1.0, 0.0, 0.0))
        # The display keeps the newest few states only: one that falls behind would draw a shorter trail.
        probe.until_taken_by("workspace_display")

    def markers():
        return {marker.ns: marker for message in shown.values() for marker in message.markers}

    def is_drawn_to_the_end():
        at = markers()["tcp"].pose.position
        return np.allclose([at.x, at.y, at.z], kinematics.forward(bench.q).position)

    bench.look()
    probe.spin_until(lambda: {"target", "tcp", "trail/intervention", "clip/workspace"} <= markers().keys())
    probe.spin_until(is_drawn_to_the_end)
    probe.spin_until(lambda: markers()["workspace_edges"].color.r == pytest.approx(CLIPPED[0]))
    scene = Scene()
    for topic, message in shown.items():
        scene.take(topic, message)
    scene.take_handles("faces", rviz.markers.values())
    draw(scene, skeleton(kinematics, bench.q), tmp_path / "workspace.png")

    picture = imread(tmp_path / "workspace.png")
    for name, colour, least in (
        ("the robot", ROBOT, 2e-3),
        ("the handles", COLOUR, 1e-3),
        ("the trail", COLOURS[Actor.INTERVENTION], 3e-4),
        ("the edges of the box", CLIPPED, 3e-4),
        ("marks of the bound", CLIP, 3e-5),
    ):
        assert share_of(picture, colour) > least, name
    assert share_of(picture, FREE) < 1e-4, "it stands at the box"


def test_the_skeleton_ends_at_the_tcp(kinematics):
    points = skeleton(kinematics, HOME)
    assert points.shape == (7, 3)
    np.testing.assert_allclose(points[-1], kinematics.forward(HOME).position)
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).min() > 0.03


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("type", Marker.MESH_RESOURCE, "marker type: expected one of"),
        ("action", 9, "marker action: expected ADD, DELETE or DELETEALL, got 9"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(field, value, reason):
    marker = new_marker("strange", Marker.CUBE, FREE)
    setattr(marker, field, value)
    with pytest.raises(ValueError, match=reason):
        Scene().take("topic", MarkerArray(markers=[marker]))


def test_a_marker_in_another_frame_is_an_error():
    marker = new_marker("elsewhere", Marker.CUBE, FREE)
    marker.header.frame_id = "world"
    with pytest.raises(ValueError, match="frame_id: expected 'base_link', got 'world'"):
        Scene().take("topic", MarkerArray(markers=[marker]))


def test_markers_are_replaced_and_deleted_as_rviz_does():
    scene = Scene()
    one, two = (new_marker("name", Marker.CUBE, FREE, identifier=i) for i in range(2))
    scene.take("a", MarkerArray(markers=[one, two]))
    scene.take("a", MarkerArray(markers=[one]))
    scene.take("b", MarkerArray(markers=[two]))
    assert len(scene.markers) == 3
    scene.take("a", MarkerArray(markers=[Marker(action=Marker.DELETE, ns="name", id=0)]))
    assert len(scene.markers) == 2
    scene.take("a", MarkerArray(markers=[Marker(action=Marker.DELETEALL)]))
    assert list(scene.markers) == [("b", "name", 1)]
