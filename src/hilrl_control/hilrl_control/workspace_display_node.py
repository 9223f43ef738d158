"""The `workspace_display` node: what RViz shows of the arm's workspace, and handles to change the box by.

It only looks on. The box changes where a person drags a face, and ee_controller has the last word on that.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter as RclpyParameter
from rclpy.task import Future
from visualization_msgs.msg import InteractiveMarkerFeedback, MarkerArray

from hilrl_control.interactive_markers import InteractiveMarkers
from hilrl_control.markers import workspace_in
from hilrl_control.workspace import Workspace
from hilrl_control.workspace_display import History
from hilrl_control.workspace_display_faces import FACES, Face, handles
from hilrl_control.workspace_display_markers import display_markers, glance
from hilrl_interfaces.msg import EeState
from hilrl_ros import qos
from hilrl_ros.joint_messages import BASE_FRAME
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

DRAW_PERIOD_S = 0.2
ANSWER_S = 3.0
"""Without an answer of ee_controller for this long the face goes back [s]."""


def parameter_table() -> list[Parameter]:
    """The node's parameters."""
    return [
        Parameter("trail_points", 200, "newest places of the TCP that are shown", 2, 5000, read_only=True),
        Parameter(
            "clip_marks", 40, "newest places that are marked where a bound was met", 1, 1000, read_only=True
        ),
        Parameter(
            "drag_min", [-0.45, -0.45, 0.0], "no face can be dragged below this [m]", -1.0, 1.0, length=3
        ),
        Parameter(
            "drag_max", [0.45, 0.45, 0.5], "no face can be dragged above this [m]", -1.0, 1.0, length=3
        ),
    ]


class WorkspaceDisplay(Node):
    """Adapter of `History` and of the handles."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError naming the parameter that does not fit."""
        super().__init__("workspace_display", **kwargs)
        self._params = Parameters(self, parameter_table(), _problem)
        self._history = History(self._params["trail_points"], self._params["clip_marks"])
        self._state: EeState | None = None
        self._drawn: EeState | None = None
        self._workspace: Workspace | None = None
        self._asked: tuple[Face, Future, float] | None = None
        """The face whose drag is not answered yet, the answer to come, and when to give up [s]."""

        self._markers = self.create_publisher(MarkerArray, "~/markers", qos.LATCHED)
        self._faces = InteractiveMarkers(self, "~/faces", self._on_release)
        self._setter = self.create_client(SetParametersAtomically, "ee_controller/set_parameters_atomically")
        # Best effort: the controller does not wait for who only looks on.
        self.create_subscription(EeState, "ee_state", self._on_state, qos.SENSOR_DATA)
        self.create_subscription(
            MarkerArray, "ee_controller/workspace_markers", self._on_workspace, qos.LATCHED
        )
        self.create_timer(DRAW_PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_state(self, state: EeState) -> None:
        self._state = state
        self._history.add(glance(state))

    def _on_workspace(self, message: MarkerArray) -> None:
        """The box as ee_controller has it, whoever changed it."""
        workspace = workspace_in(message.markers)
        if workspace is not None and not _same(workspace, self._workspace):
            self._workspace = workspace
            self._faces.show(handles(workspace))

    def _on_timer(self) -> None:
        if self._state is not None and self._state is not self._drawn:
            self._drawn = self._state
            self._markers.publish(display_markers(self._history, self._state))
        if self._asked is not None:
            face, answer, deadline_s = self._asked
            if time.monotonic() > deadline_s:
                self._setter.remove_pending_request(answer)
                self._asked = None
                self._put_back(face, f"ee_controller did not answer within {ANSWER_S} s")

    def _on_release(self, feedback: InteractiveMarkerFeedback) -> None:
        face = FACES.get(feedback.marker_name)
        if face is None or self._workspace is None:
            self.get_logger().warning(f"faces: expected one of {list(FACES)}, got {feedback.marker_name!r}")
            return
        if feedback.header.frame_id != BASE_FRAME:
            self._put_back(face, f"frame_id: expected {BASE_FRAME!r}, got {feedback.header.frame_id!r}")
            return
        if self._asked is not None:
            self._put_back(face, "the drag before is not answered yet")
            return
        at = feedback.pose.position
        corners = face.dragged(
            (at.x, at.y, at.z)[face.axis], self._workspace, self._params["drag_min"], self._params["drag_max"]
        )
        if corners is None:
            self._faces.show(handles(self._workspace))
        elif not self._setter.service_is_ready():
            self._put_back(face, "ee_controller is not there")
        else:
            self._ask(face, *corners)

    def _ask(self, face: Face, low: list[float], high: list[float]) -> None:
        """Both corners at once, so that no moment sees half a change."""
        answer = self._setter.call_async(
            SetParametersAtomically.Request(
                parameters=[_parameter("workspace_min", low), _parameter("workspace_max", high)]
            )
        )
        self._asked = face, answer, time.monotonic() + ANSWER_S
        answer.add_done_callback(lambda done: self._on_answer(face, low, high, done))

    def _on_answer(self, face: Face, low: list[float], high: list[float], answer: Future) -> None:
        if self._asked is None or self._asked[1] is not answer:
            return  # too late
        self._asked = None
        result = answer.result().result
        if not result.successful:
            self._put_back(face, result.reason)
            return
        self._workspace = Workspace.from_corners(low, high)
        self.get_logger().info(f"workspace {face.name} dragged to {face.place(self._workspace):.3f} m")
        self._faces.show(handles(self._workspace))

    def _put_back(self, face: Face, reason: str) -> None:
        """Show the box as it is, and why the face is not where it was dragged to."""
        assert self._workspace is not None
        self.get_logger().warning(f"workspace {face.name} stays at {face.place(self._workspace)} m: {reason}")
        self._faces.show(handles(self._workspace, face.name, reason))


def _same(box: Workspace, other: Workspace | None) -> bool:
    return (
        other is not None
        and np.array_equal(box.minimum, other.minimum)
        and np.array_equal(box.maximum, other.maximum)
    )


def _problem(values: Mapping[str, Any]) -> str | None:
    for axis, low, high in zip("xyz", values["drag_min"], values["drag_max"], strict=True):
        if not low < high:
            return f"drag_min {axis}: expected less than drag_max {axis} = {high} m, got {low} m"
    return None


def _parameter(name: str, values: list[float]) -> ParameterMessage:
    return RclpyParameter(name, RclpyParameter.Type.DOUBLE_ARRAY, values).to_parameter_msg()


def main() -> None:
    """Entry point."""
    run_node(WorkspaceDisplay)
