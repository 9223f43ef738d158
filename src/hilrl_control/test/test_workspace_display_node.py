"""workspace_display beside the real ee_controller, as processes, and a client that does as RViz does."""

import math

import numpy as np
import pytest
from controller_bench import FORWARD, Bench, bench_around
from rcl_interfaces.srv import GetParameters
from rviz_client import RvizClient
from visualization_msgs.msg import MarkerArray

from hilrl_control.markers import workspace_in
from hilrl_control.settings import Settings
from hilrl_ros import qos

DISPLAY = "hilrl_control.workspace_display_node"
BOX = Settings.default().workspace


class Desk(Bench):
    """The bench, and a person at RViz."""

    def __init__(self, probe):
        super().__init__(probe)
        self.boxes, self.shown = [], []
        markers, own = "ee_controller/workspace_markers", "workspace_display/markers"
        self.node.create_subscription(MarkerArray, markers, self.boxes.append, qos.LATCHED)
        self.node.create_subscription(MarkerArray, own, self.shown.append, qos.LATCHED)
        self.getter = self.node.create_client(GetParameters, "ee_controller/get_parameters")
        self.rviz = RvizClient(probe, "workspace_display/faces")

    def box(self):
        """Both corners as ee_controller's parameters have them."""
        request = GetParameters.Request(names=["workspace_min", "workspace_max"])
        values = self.probe.call(self.getter, request).values
        return [list(value.double_array_value) for value in values]

    def tcp(self):
        at = self.states[-1].pose.position
        return np.array([at.x, at.y, at.z])


@pytest.fixture
def desk(probe, start_node, urdf_path):
    """A controller in lockstep, the display, and RViz connected to it."""
    desk = bench_around(probe, start_node, urdf_path, Desk)
    desk.display = start_node(DISPLAY)
    desk.look()
    desk.rviz.connect()
    return desk


def test_a_dragged_face_becomes_the_controllers_bound_and_the_next_motion_keeps_to_it(desk, kinematics):
    for _ in range(3):
        desk.act(FORWARD)
    before = kinematics.forward(desk.q).position
    assert before[0] > 0.25
    desk.rviz.drag("x max", 0.2204)
    desk.probe.spin_until(lambda: desk.rviz.place("x max") == 0.22)
    assert desk.box() == [[0.12, -0.15, 0.005], [0.22, 0.15, 0.22]]
    desk.probe.spin_until(lambda: workspace_in(desk.boxes[-1].markers).maximum[0] == 0.22)
    assert desk.rviz.place("x max") == 0.22 and desk.rviz.text("x max") == "x max 0.220 m"
    assert desk.rviz.markers["y max"].pose.position.x == pytest.approx(0.17), "the others stay in the middle"

    excess = before[0] - 0.22
    assert excess > 0.03, "the face was drawn in past the arm"
    for _ in range(5):
        command = desk.act(FORWARD)
        at = kinematics.forward(command.position).position
        assert np.abs(at - before).max() < 0.02 + 1e-3, "it comes in a step at a time, and does not jump"
        assert max(0.0, at[0] - 0.22) <= max(excess - 0.015, 1e-3)
        before, excess = at, at[0] - 0.22
    assert desk.look().clipped_workspace and before[0] <= 0.22 + 1e-3


def test_only_letting_go_changes_the_box(desk):
    desk.rviz.drag("z max", 0.15, release=False)
    desk.probe.spin_for(0.5)
    assert desk.box() == [BOX.minimum.tolist(), BOX.maximum.tolist()]
    assert not [update for update in desk.rviz.updates if update.seq_num > desk.rviz.newest]


def test_a_bad_drag_is_refused_and_the_face_goes_back_with_the_reason(desk):
    before = kinematics_of(desk)
    for face, place_m, fields, reason in (
        ("x max", 0.05, {}, "workspace_min x: expected less than workspace_max x = 0.05 m, got 0.12 m"),
        ("z min", 0.3, {}, "workspace_min z: expected less than workspace_max z = 0.22 m, got 0.3 m"),
        ("y max", math.nan, {}, "workspace_max: expected finite numbers, got nan"),
        ("y min", -math.inf, {}, "workspace_min: expected finite numbers, got -inf"),
        ("x min", 0.15, {"frame_id": "world"}, "frame_id: expected 'base_link', got 'world'"),
    ):
        place, updates = desk.rviz.place(face), len(desk.rviz.updates)
        desk.rviz.drag(face, place_m, **fields)
        desk.probe.spin_until(lambda n=updates: len(desk.rviz.updates) > n)
        desk.probe.spin_until(lambda name=face, text=reason: text in desk.rviz.text(name))
        assert desk.rviz.place(face) == place
        assert desk.box() == [BOX.minimum.tolist(), BOX.maximum.tolist()]
        assert reason in desk.display.log
    desk.act((0.0,) * 5)
    np.testing.assert_allclose(kinematics_of(desk), before, atol=1e-3)


def kinematics_of(desk):
    desk.look()
    return desk.tcp()


def test_a_drag_beyond_the_arms_reach_ends_at_its_limit(desk):
    desk.rviz.drag("x max", 3.0)
    desk.probe.spin_until(lambda: desk.rviz.place("x max") == 0.45)
    assert desk.box()[1] == [0.45, 0.15, 0.22]


def test_a_face_that_does_not_exist_is_ignored(desk):
    desk.rviz.markers["w max"] = desk.rviz.markers["x max"]
    desk.rviz.send("w max", "x", 0.2, "MOUSE_UP")
    desk.probe.spin_until(lambda: "got 'w max'" in desk.display.log)
    desk.rviz.drag("x max", 0.3)
    desk.probe.spin_until(lambda: desk.rviz.place("x max") == 0.3)


def test_the_handles_follow_whoever_sets_the_box(desk):
    assert desk.set("workspace_max", [0.3, 0.1, 0.2]).successful
    desk.probe.spin_until(lambda: desk.rviz.place("x max") == 0.3)
    assert (desk.rviz.place("y max"), desk.rviz.place("z max")) == (0.1, 0.2)
    desk.rviz.drag("x min", 0.15)
    desk.probe.spin_until(lambda: desk.rviz.place("x min") == 0.15)
    assert desk.box() == [[0.15, -0.15, 0.005], [0.3, 0.1, 0.2]], "a drag keeps what others set"


def test_without_an_answer_the_face_goes_back(desk):
    desk.process.stop()
    desk.rviz.drag("x max", 0.25)
    desk.probe.spin_until(
        lambda: "not there" in desk.rviz.text("x max") or "not answer" in desk.rviz.text("x max"), 60.0
    )
    assert desk.rviz.place("x max") == 0.32


def test_the_trail_reaches_a_late_joiner_with_who_acted_and_what_bounded(desk):
    for _ in range(12):
        desk.act(FORWARD)
    desk.look()

    def names():
        return {marker.ns for marker in desk.shown[-1].markers} if desk.shown else set()

    desk.probe.spin_until(lambda: {"trail/intervention", "clip/workspace", "tcp", "status"} <= names())
    late = []
    desk.node.create_subscription(MarkerArray, "workspace_display/markers", late.append, qos.LATCHED)
    desk.probe.spin_until(lambda: late)


def test_a_display_that_starts_before_the_controller_waits_for_it(probe, start_node, urdf_path):
    display = start_node(DISPLAY)
    rviz = RvizClient(probe, "workspace_display/faces")
    probe.spin_until(rviz.feedback.get_subscription_count)
    desk = bench_around(probe, start_node, urdf_path, Desk)
    desk.rviz.connect()
    desk.rviz.drag("x max", 0.3)
    probe.spin_until(lambda: desk.rviz.place("x max") == 0.3)
    assert display.stop() == 0 and "Traceback" not in display.log


def test_a_bad_start_ends_with_one_line(start_node):
    process = start_node(DISPLAY, "drag_min:=[0.5, 0.0, 0.0]")
    assert process.wait() == 2
    assert "error: drag_min x: expected less than drag_max x = 0.45 m, got 0.5 m" in process.log
