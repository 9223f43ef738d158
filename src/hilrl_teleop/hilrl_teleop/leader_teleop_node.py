"""The leader arm as a device: mirrors the follower, and speaks on `intervention/leader` while it is moved."""

import math
import time
from collections.abc import Mapping
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.kinematics import Kinematics, installed_urdf
from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import qos, stamps
from hilrl_ros.diagnostics import Report
from hilrl_ros.ee_action import Source
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop import leader_messages
from hilrl_teleop.ee_action import Action
from hilrl_teleop.leader import Leader
from hilrl_teleop.leader_motion import Asked
from hilrl_teleop.leader_settings import DEADMAN, GRIPPERS, TAKEOVERS, LeaderSettings
from hilrl_teleop.leader_torque import TorqueSwitch
from hilrl_teleop.messages import to_message

TORQUE_SERVICE = "leader_arm/enable_torque"
JOY_TIMEOUT_S = 0.5
"""A button of a gamepad that is silent for longer is released; drivers repeat 20 times a second."""
COMPLAIN_EVERY_S = 5.0
_AT = LeaderSettings()
_JOINT_NAMES = list(JOINT_NAMES)

PARAMETERS = (
    Parameter("urdf", "", "URDF or xacro of both arms; empty: the installed one", read_only=True),
    Parameter("lockstep", False, "answer each new stamp of ee_state, engaged or not", read_only=True),
    Parameter("mirror_hz", 50.0, "mirror commands per second [Hz]", 10.0, 200.0, read_only=True),
    Parameter(
        "takeover", _AT.takeover, "a push against the leader, or a button that is held", choices=TAKEOVERS
    ),
    Parameter("deadman_button", 5, "index of that button in `joy`", 0, 255),
    Parameter(
        "gripper", _AT.gripper, "whether the jaw asks for open and close, or how far", choices=GRIPPERS
    ),
    Parameter("scale", _AT.scale, "follower metres per leader metre", 0.05, 3.0),
    Parameter("step_m", _AT.step_m, "step_m of ee_controller [m]", 0.001, 0.1),
    Parameter("step_rad", _AT.step_rad, "step_rad of ee_controller [rad]", 0.005, 0.5),
    Parameter(
        "workspace_min", list(_AT.workspace_min), "workspace_min of ee_controller [m]", -1.0, 1.0, length=3
    ),
    Parameter(
        "workspace_max", list(_AT.workspace_max), "workspace_max of ee_controller [m]", -1.0, 1.0, length=3
    ),
    Parameter("gripper_open_rad", _AT.gripper_open_rad, "gripper_open_rad of ee_controller [rad]", -3.2, 3.2),
    Parameter(
        "gripper_closed_rad", _AT.gripper_closed_rad, "gripper_closed_rad of ee_controller [rad]", -3.2, 3.2
    ),
    Parameter("lead_m", _AT.lead_m, "how far the hand may be ahead of the follower [m]", 0.001, 0.5),
    Parameter("engage_rad", _AT.engage_rad, "a joint this far off is being pushed [rad]", 0.03, 1.0),
    Parameter("engage_s", _AT.engage_s, "how long a joint must be pushed [s]", 0.0, 2.0),
    Parameter("mirror_lag_s", _AT.mirror_lag_s, "dead time of the mirroring leader [s]", 0.05, 2.0),
    Parameter("slowest_rad_s", _AT.slowest_rad_s, "a leader that comes after slower is held", 0.02, 2.0),
    Parameter("release_rad", _AT.release_rad, "a leader within this is not being moved [rad]", 0.005, 0.5),
    Parameter("release_s", _AT.release_s, "hands back so long after the last motion [s]", 0.1, 60.0),
    Parameter("jaw_band_rad", _AT.jaw_band_rad, "play of the leader's jaw to either side [rad]", 0.02, 1.0),
    Parameter("catch_up_rad_s", _AT.catch_up_rad_s, "pace of a leader that sets out [rad/s]", 0.05, 2.0),
    Parameter("leader_timeout_s", _AT.leader_timeout_s, "a leader silent for longer is gone", 0.05, 5.0),
    Parameter(
        "follower_timeout_s", _AT.follower_timeout_s, "a follower silent for longer is gone", 0.05, 5.0
    ),
)


class LeaderTeleop(Node):
    """Adapter of `Leader`: topics in, answers and mirror commands out, and the driver asked for torque."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError naming the parameter or the file that does not fit."""
        super().__init__("leader_teleop", **kwargs)
        params = Parameters(self, PARAMETERS, self._check, self._retune)
        kinematics = Kinematics(params["urdf"] or installed_urdf())
        self._inverse = InverseKinematics(kinematics)
        self._leader = Leader(kinematics, settings_from(params.values))
        self._button: int = params["deadman_button"]
        self._lockstep: bool = params["lockstep"]
        self._torque = TorqueSwitch()
        self._state: EeState | None = None
        self._answer: EeAction | None = None
        self._said_engaged = False
        self._pressed_s = -math.inf
        self._troubles: dict[str, str] = {}
        self._complaints: dict[str, float] = {}
        self._wall = Clock(clock_type=ClockType.SYSTEM_TIME)

        self._actions = self.create_publisher(EeAction, "intervention/leader", qos.ACTIONS)
        self._commands = self.create_publisher(JointState, "leader/joint_commands", qos.ACTIONS)
        self._enable = self.create_client(SetBool, TORQUE_SERVICE)
        self.create_subscription(JointState, "leader/joint_states", self._on_leader, qos.JOINT_STATES)
        self.create_subscription(JointState, "joint_states", self._on_follower, qos.JOINT_STATES)
        self.create_subscription(EeState, "ee_state", self._on_state, qos.JOINT_STATES)
        self.create_subscription(Joy, "joy", self._on_joy, qos.EVENTS)
        # The leader is a real arm in a real hand, also where the follower is simulated.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / params["mirror_hz"], self._on_period, clock=steady)
        self.diagnostics.expect("leader/joint_states", "is the leader's driver running?")
        self.diagnostics.expect("joint_states", "is the follower's driver, or the simulator, running?")
        self.diagnostics.expect("ee_state", "is ee_controller running?")
        self.diagnostics.ask(self._diagnose)

    def _diagnose(self, report: Report) -> None:
        report.values["engaged"] = self._leader.engaged
        for what, trouble in self._troubles.items():
            if trouble:
                report.warn(f"{what}: {trouble}")

    def _check(self, values: Mapping[str, Any]) -> str | None:
        low, high = values["workspace_min"], values["workspace_max"]
        if not all(a < b for a, b in zip(low, high, strict=True)):
            return f"workspace_min: expected less than workspace_max = {high} m on each axis, got {low}"
        return None

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._leader.settings, self._button = settings_from(values), values["deadman_button"]

    # -- in -------------------------------------------------------------------------------------------------

    def _on_leader(self, message: JointState) -> None:
        try:
            q = leader_messages.joint_angles("leader/joint_states", message)
        except ValueError as error:
            self._complain(f"{error}; the message is ignored")
            return
        self._leader.on_leader(q, leader_messages.joint_efforts(message), time.monotonic())
        self._react()

    def _on_follower(self, message: JointState) -> None:
        try:
            q = leader_messages.joint_angles("joint_states", message)
        except ValueError as error:
            self._complain(f"{error}; the message is ignored")
            return
        self._leader.on_follower(q, time.monotonic())

    def _on_state(self, message: EeState) -> None:
        repeated = self._state is not None and self._state.header.stamp == message.header.stamp
        try:
            target = leader_messages.target(message, self._inverse)
        except ValueError as error:
            self._complain(f"{error}; the message is ignored")
            return
        now_s = time.monotonic()
        self._leader.on_state(target, message.action_source != Source.POLICY, now_s)
        self._state = message
        if not self._lockstep:
            self._speak(now_s)
        elif repeated and self._answer is not None:
            self._actions.publish(self._answer)
        else:
            self._say(self._leader.ask(now_s))
        self._react()

    def _on_joy(self, message: Joy) -> None:
        known = self._button < len(message.buttons)
        if not known and self._leader.settings.takeover == DEADMAN:
            self._complain(f"joy buttons: expected one of index {self._button}, got {len(message.buttons)}")
        pressed = known and bool(message.buttons[self._button])
        now_s = time.monotonic()
        self._pressed_s = now_s if pressed else -math.inf
        self._leader.on_button(pressed, now_s)
        self._react()

    def _on_period(self) -> None:
        now_s = time.monotonic()
        if now_s - self._pressed_s > JOY_TIMEOUT_S:
            self._leader.on_button(False, now_s)
        pose = self._leader.mirror(now_s)
        if pose is not None:
            header = Header(stamp=self._wall.now().to_msg())
            self._commands.publish(JointState(header=header, name=_JOINT_NAMES, position=pose.tolist()))
        self._react()

    # -- out ------------------------------------------------------------------------------------------------

    def _react(self) -> None:
        """Whatever changed: torque, what is said of it, and who has the follower."""
        now_s = time.monotonic()
        self._ask_for_torque(now_s)
        if self._leader.engaged != self._said_engaged and not self._lockstep:
            self._speak(now_s)
        self._tell("leader", self._leader.trouble)
        refusal = self._torque.trouble
        self._tell("torque", f"{TORQUE_SERVICE}: {refusal}: not mirroring, asking again" if refusal else "")

    def _speak(self, now_s: float) -> None:
        """In real time: while the hand has the follower, and once more when it has let go."""
        asked = self._leader.ask(now_s)
        if asked is not None or self._said_engaged:
            self._say(asked)

    def _say(self, asked: Asked | None) -> None:
        if self._state is None:
            return
        header, wish = self._state.header, asked or Asked.nothing()
        action = Action(
            stamps.to_ns(header.stamp),
            wish.delta,
            wish.gripper,
            Source.INTERVENTION,
            "leader",
            asked is not None,
            frame_id=header.frame_id,
            gripper_goal=wish.gripper_goal,
        )
        self._answer = to_message(action)
        self._said_engaged = asked is not None
        self._actions.publish(self._answer)

    def _ask_for_torque(self, now_s: float) -> None:
        wanted = self._torque.request(self._leader.torque_wanted(now_s), self._leader.generation, now_s)
        if wanted is None:
            return
        if not self._enable.service_is_ready():
            self._torque.on_absence()
            return
        number = self._torque.number

        def on_answer(future: Future) -> None:
            answer = future.result()
            if self._torque.on_answer(number, answer.success, answer.message):
                self._leader.on_torque(time.monotonic())

        self._enable.call_async(SetBool.Request(data=wanted)).add_done_callback(on_answer)

    def _tell(self, what: str, trouble: str) -> None:
        """Of each trouble once, when it comes."""
        if trouble != self._troubles.get(what, ""):
            self._troubles[what] = trouble
            if trouble:
                self.get_logger().warning(trouble)

    def _complain(self, text: str) -> None:
        """Once per field in a while: the same wrong message tends to come again and again."""
        self.diagnostics.refused(text)
        field, now_s = text.partition(":")[0], time.monotonic()
        if now_s - self._complaints.get(field, -math.inf) >= COMPLAIN_EVERY_S:
            self._complaints[field] = now_s
            self.get_logger().error(text)


def settings_from(values: Mapping[str, Any]) -> LeaderSettings:
    """Settings from parameter values."""
    plain = {name: values[name] for name in LeaderSettings.__dataclass_fields__}
    for name in ("workspace_min", "workspace_max"):
        plain[name] = tuple(plain[name])
    return LeaderSettings(**plain)


def main() -> None:
    """Entry point."""
    run_node(LeaderTeleop)
