"""The `arm` and `leader_arm` nodes: an SO-101 on its bus behind the arm's topics and services."""

import math
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from hilrl_hardware import calibration_files
from hilrl_hardware.arm import Arm, Mode
from hilrl_hardware.arm_parameters import ROLE, parameter_table, settings_from, settings_problem
from hilrl_hardware.arm_settings import LEADER
from hilrl_hardware.bus import BusError, NoReply, ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.control_loop import ControlLoop, LoopStatistics
from hilrl_hardware.diagnostics import arm_diagnostics
from hilrl_hardware.reports import Severity
from hilrl_ros import joint_messages, qos, stamps
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameters

DIAGNOSTICS_S = 1.0
OUT_OF_REACH = "the arm is out of reach: pull its power plug; if it comes back it is stopped"
COMPLAIN_EVERY_S = 5.0
START_S = 5.0
"""A servo that has not answered for so long at the start is not there, or is not to be had."""
ASK_AGAIN_S = 0.2
ANSWER_S = 3.0
"""Longest that torque may take to come on."""


class ArmNode(Node):
    """Adapter of `Arm`, which runs in a thread of its own: topics leave it notes, services await answers."""

    diagnoses_itself = True

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError naming the parameter, the file, the port or the servo that does not fit."""
        super().__init__("arm", **kwargs)
        self._complaints: dict[tuple[Severity, str], float] = {}
        role = Parameters(self, [ROLE])["role"]
        params = Parameters(self, parameter_table(role), settings_problem, self._apply)
        self._timeout_s: float = params["command_timeout_s"]
        calibration = plausible_calibration(params["calibration_file"], role)
        self._bus = ServoBus(params["port"])
        self._arm = Arm(self._bus, calibration, role, settings_from(params.values), self._say)
        self._loop = ControlLoop(self._cycle, 1.0 / params["state_hz"], self._on_death)
        self._death: BaseException | None = None
        self._before = LoopStatistics()
        prefix = "leader/" if role == LEADER else ""
        self._states = self.create_publisher(JointState, f"{prefix}joint_states", qos.JOINT_STATES)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.EVENTS)
        self._connect()
        self.create_subscription(JointState, f"{prefix}joint_commands", self._on_command, qos.ACTIONS)
        self.create_service(SetBool, "~/enable_torque", self._on_enable_torque)
        self.create_service(Trigger, "~/emergency_stop", self._on_emergency_stop)
        self.create_timer(DIAGNOSTICS_S, self._diagnose, clock=Clock(clock_type=ClockType.STEADY_TIME))
        if params["torque_on_start"]:
            self._arm.request_torque(True, START_S).add_done_callback(self._say_why_not)
        self._loop.start()

    def close(self) -> None:
        """Let go of the arm as `on_shutdown` says."""
        self._loop.stop()
        self._arm.shut_down()

    def _connect(self) -> None:
        """Servos that have just got their power, or a busy machine, may miss the first questions."""
        until_s = time.monotonic() + START_S
        while True:
            try:
                return self._arm.connect()
            except BusError as error:
                if not isinstance(error, NoReply) or time.monotonic() > until_s:
                    raise ValueError(str(error)) from error
                time.sleep(ASK_AGAIN_S)

    # -- in the loop's thread -------------------------------------------------------------------------------

    def _cycle(self) -> None:
        reading = self._arm.cycle()
        if reading is not None:
            stamp = self.get_clock().now().to_msg()
            self._states.publish(
                joint_messages.joint_state(stamp, reading.position, reading.velocity, reading.effort)
            )

    def _on_death(self, error: BaseException) -> None:
        self._death = error

    # -- in the node's thread -------------------------------------------------------------------------------

    def _on_command(self, message: JointState) -> None:
        try:
            position, velocity = joint_messages.joint_command(message)
        except ValueError as error:
            self._say(Severity.ERROR, f"joint_commands {error}; the message is ignored")
            return
        stamp_ns = stamps.to_ns(message.header.stamp)
        age_s = (self.get_clock().now().nanoseconds - stamp_ns) / stamps.NANOSECONDS_PER_SECOND
        if stamp_ns and age_s > self._timeout_s:
            self._say(
                Severity.WARNING,
                f"joint_commands stamp: expected at most {self._timeout_s} s ago, got {age_s:.2f} s; the "
                "message is ignored",
            )
            return
        self._arm.command(position, velocity)

    def _on_enable_torque(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        answer = self._arm.request_torque(request.data)
        self._loop.wake()
        try:
            reason = answer.result(ANSWER_S)
        except TimeoutError:
            reason = f"no answer from the bus within {ANSWER_S} s"
        response.success, response.message = not reason, reason or self._arm.mode
        return response

    def _on_emergency_stop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._arm.emergency_stop()
        self._loop.wake()
        reachable = self._death is None and self._arm.mode is not Mode.DISCONNECTED
        response.success, response.message = reachable, "stopping" if reachable else OUT_OF_REACH
        return response

    def _diagnose(self) -> None:
        if self._death is not None:
            # The servos hold their last goals; a driver that cannot be trusted must not go on.
            raise self._death
        stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name()
        loop, before = self._loop.statistics, self._before
        self._diagnostics.publish(arm_diagnostics(stamp, name, self._bus, self._arm, loop, before))
        self._before = loop

    def _apply(self, values: Mapping[str, Any]) -> None:
        self._timeout_s = values["command_timeout_s"]
        self._arm.settings = settings_from(values)

    def _say_why_not(self, answer: "Future[str]") -> None:
        if reason := answer.result():
            self._say(Severity.ERROR, f"enable_torque: {reason}")

    def _say(self, severity: Severity, text: str) -> None:
        """Once per subject in a while: the same trouble tends to come in every cycle."""
        subject, now_s = (severity, text.partition(":")[0]), time.monotonic()
        if now_s - self._complaints.get(subject, -math.inf) < COMPLAIN_EVERY_S:
            return
        self._complaints[subject] = now_s
        # A statement each: rclpy expects one severity from one line.
        if severity is Severity.ERROR:
            self.get_logger().error(text)
        elif severity is Severity.WARNING:
            self.get_logger().warning(text)
        else:
            self.get_logger().info(text)


def plausible_calibration(path: str, role: str) -> Calibration:
    """The calibration in a file. Raises ValueError where it cannot be an arm's, swept from stop to stop."""
    if not path:
        raise ValueError(
            "calibration_file: expected the calibration of this arm; `hilrl calibrate` makes one"
        )
    calibration = replace(calibration_files.load(Path(path)), role=role)
    if problems := calibration.problems():
        raise ValueError(f"calibration_file {path}: {'; '.join(problems)}")
    return calibration


def main() -> None:
    """Entry point."""
    run_node(ArmNode)
