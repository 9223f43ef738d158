"""The `ee_controller` node: executed actions in, joint commands out, and where the end effector is."""

import math
import time
from collections.abc import Mapping
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from hilrl_control import messages
from hilrl_control.collision import CollisionModel
from hilrl_control.ee_control import EeControl
from hilrl_control.ee_state import Command, State
from hilrl_control.home_path import HomePlanner, Planner
from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.kinematics import Kinematics, installed_urdf
from hilrl_control.markers import workspace_markers
from hilrl_control.moveit_planner import MoveItPlanner, expect_moveit
from hilrl_control.planning_thread import PlanningThread
from hilrl_control.settings import Settings, settings_from, settings_problem
from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import qos, stamps
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

MARKER_PERIOD_S = 0.2
COMPLAIN_EVERY_S = 5.0


def parameter_table() -> list[Parameter]:
    """The node's parameters; those that `Settings` names have its defaults."""
    at = Settings.default()
    box_min, box_max = at.workspace.minimum.tolist(), at.workspace.maximum.tolist()
    return [
        Parameter("urdf", "", "URDF or xacro of the arm; empty: the installed one", read_only=True),
        Parameter("control_hz", at.control_hz, "control periods per second", 1.0, 100.0, read_only=True),
        Parameter(
            "lockstep",
            at.lockstep,
            "time stands still between actions: nothing times out, only actions are answered",
            read_only=True,
        ),
        Parameter(
            "workspace_min", box_min, "lower corner of the TCP's box in base_link [m]", -1.0, 1.0, length=3
        ),
        Parameter(
            "workspace_max", box_max, "upper corner of the TCP's box in base_link [m]", -1.0, 1.0, length=3
        ),
        Parameter("step_m", at.step_m, "length of a full step along x, y or z [m]", 0.001, 0.1),
        Parameter("step_rad", at.step_rad, "angle of a full step of pitch or roll [rad]", 0.005, 0.5),
        Parameter("leash_m", at.leash_m, "how far the target may be from the measured TCP [m]", 0.005, 0.3),
        Parameter(
            "leash_rad",
            at.leash_rad,
            "how far a commanded pitch or roll may be from the measured one [rad]",
            0.02,
            1.5,
        ),
        Parameter("max_joint_speed", at.max_joint_speed, "of the five arm joints [rad/s]", 0.05, 5.2),
        Parameter("home_speed", at.home_speed, "of the fastest joint on the way home [rad/s]", 0.05, 5.2),
        Parameter("gripper_speed", at.gripper_speed, "of the jaw [rad/s]", 0.05, 5.2),
        Parameter("gripper_open_rad", at.gripper_open_rad, "jaw angle of OPEN [rad]", -3.2, 3.2),
        Parameter("gripper_closed_rad", at.gripper_closed_rad, "jaw angle of CLOSE [rad]", -3.2, 3.2),
        Parameter(
            "command_timeout_s",
            at.command_timeout_s,
            "without an action for this long the arm holds, real time only [s]",
            0.05,
            10.0,
        ),
        Parameter(
            "joint_state_timeout_s",
            at.joint_state_timeout_s,
            "joint states older than this are not acted on, real time only [s]",
            0.02,
            10.0,
        ),
        Parameter(
            "home_joints", list(at.home_joints), "where go_home goes, six joints [rad]", -3.2, 3.2, length=6
        ),
        Parameter("table_z_m", at.table_z_m, "height of the table in base_link [m]", -1.0, 1.0),
        Parameter(
            "clearance_m",
            at.clearance_m,
            "what the way home keeps between the arm, itself and the table [m]",
            0.0,
            0.05,
        ),
        Parameter(
            "planner",
            "own",
            "who finds the way home: own, or moveit, whose ways are checked for the clearance too",
            choices=("own", "moveit"),
            read_only=True,
        ),
    ]


class EeController(Node):
    """Adapter of `EeControl`. Numbers that make no sense are reported once, and the arm holds."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError naming the parameter or the file that does not fit."""
        super().__init__("ee_controller", **kwargs)
        self._kinematics: Kinematics | None = None
        params = Parameters(self, parameter_table(), self._check, self._apply)
        assert self._kinematics is not None
        self._control = EeControl(self._kinematics, settings_from(params.values))
        self._planning = PlanningThread(lambda: self._new_planner(params["planner"]))
        self._lockstep: bool = params["lockstep"]
        self._state: State | None = None
        self._shown: tuple[Any, ...] = ()
        self._complaints: dict[str, float] = {}

        self._commands = self.create_publisher(JointState, "joint_commands", qos.ACTIONS)
        self._states = self.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        self._markers = self.create_publisher(MarkerArray, "~/workspace_markers", qos.LATCHED)
        # Its own group: while it waits for a way home the rest of the node goes on.
        waiting = MutuallyExclusiveCallbackGroup()
        self.create_service(Trigger, "~/go_home", self._on_go_home, callback_group=waiting)
        self.create_subscription(JointState, "joint_states", self._on_joint_states, qos.JOINT_STATES)
        self.create_subscription(EeAction, "action", self._on_action, qos.ACTIONS)
        # Drawing must not cost the control loop anything, so it has its own pace, and wall time.
        self.create_timer(MARKER_PERIOD_S, self._draw, clock=Clock(clock_type=ClockType.STEADY_TIME))
        if not self._lockstep:
            self.create_timer(1.0 / params["control_hz"], self._on_tick)
        self.diagnostics.expect("joint_states", "is the arm's driver, or the simulator, running?")
        self.diagnostics.ask(self._diagnose)
        self._draw()

    def _new_planner(self, name: str) -> Planner:
        assert self._kinematics is not None
        # Its own of everything: it plans in another thread.
        kinematics = Kinematics(self._kinematics.path)
        collision = CollisionModel(kinematics, self._control.settings.table_z_m)
        own = HomePlanner(kinematics, InverseKinematics(kinematics), collision)
        if name == "own":
            return own
        expect_moveit()
        return MoveItPlanner(own, kinematics.urdf, self.get_namespace())

    def _diagnose(self, report: Report) -> None:
        if self._state is not None:
            report.values["holding"] = self._state.holding
            report.values["status"] = self._state.status

    def _check(self, values: Mapping[str, Any]) -> str | None:
        if self._kinematics is None:
            self._kinematics = Kinematics(values["urdf"] or installed_urdf())
        return settings_problem(values, self._kinematics.lower, self._kinematics.upper)

    def _apply(self, values: Mapping[str, Any]) -> None:
        self._control.settings = settings_from(values)

    def _on_joint_states(self, message: JointState) -> None:
        try:
            position, velocity = messages.joint_angles(message)
            self._state = self._control.observe(stamps.to_ns(message.header.stamp), position, velocity)
        except ValueError as error:
            self._complain(f"{error}; the message is ignored")
            return
        self._states.publish(messages.ee_state(self._state))

    def _on_action(self, message: EeAction) -> None:
        now_ns = None if self._lockstep else self._now_ns()
        command = self._control.act(
            stamps.to_ns(message.header.stamp),
            message.delta,
            message.gripper,
            now_ns,
            message.source,
            message.gripper_goal if message.gripper_partly else None,
        )
        self._send(command)
        if reason := self._control.refusal:
            self._complain(f"{reason}; the action is not executed")

    def _on_tick(self) -> None:
        self._send(self._control.tick(self._now_ns()))

    async def _on_go_home(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        """Answered when the arm sets out; it is held until then."""
        question = self._control.ask_home(self._now_ns())
        if isinstance(question, str):
            reason = question
        else:
            answer = await self._planning.plan(question)
            reason = self._control.set_out(question, answer, self._now_ns())
        response.success, response.message = not reason, reason or "going home"
        return response

    def _send(self, command: Command | None) -> None:
        if command is not None:
            self._commands.publish(messages.joint_command(command))

    def _draw(self) -> None:
        """Publish the markers where they changed."""
        workspace, state = self._control.settings.workspace, self._state
        shown: tuple[Any, ...] = (workspace,)
        if state is not None:
            shown = (workspace, state.flags, *state.target.position.round(4).tolist())
        if shown != self._shown:
            self._shown = shown
            self._markers.publish(workspace_markers(workspace, state))

    def close(self) -> None:
        """End the planner."""
        self._planning.close()

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)

    def _complain(self, text: str) -> None:
        """Once per field in a while: the same wrong message tends to come at every tick."""
        self.diagnostics.refused(text)
        field, now_s = text.partition(":")[0], time.monotonic()
        if now_s - self._complaints.get(field, -math.inf) >= COMPLAIN_EVERY_S:
            self._complaints[field] = now_s
            self.get_logger().error(text)


def main() -> None:
    """Entry point."""
    run_node(EeController)
