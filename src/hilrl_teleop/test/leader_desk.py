"""Two arms on a desk for tests of `leader_teleop`: an emulated leader with its driver, and a follower."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from hilrl_control import messages
from hilrl_control.ee_control import EeControl
from hilrl_control.ee_state import State
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings
from hilrl_hardware import registers as r
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written
from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import joint_messages, qos, stamps
from hilrl_ros.testing import NodeProcess, Probe

URDF = Path(__file__).resolve().parents[3] / "urdf" / "so101.urdf.xacro"
HOME = np.array([0.0, -0.4827, 0.166, 1.638, 0.0, 0.9])
STATE_S = 0.02
CONTROL_S = 0.1
STILL = (0.0,) * 5
ATTEMPTS = 5


class Follower:
    """A controller and an arm that goes where it is told; it executes what the leader's hand asks for."""

    def __init__(self, probe: Probe) -> None:
        self.kinematics = Kinematics(URDF)
        self.control = EeControl(self.kinematics, Settings.default())
        self.q, self.goal = HOME.copy(), HOME.copy()
        self.policy: Callable[[], Any] = lambda: STILL
        self.path: Callable[[float], np.ndarray] | None = None
        """Where the joints go instead, by monotonic time [s]."""
        self.answers: list[EeAction] = []
        self.executed: list[EeAction | None] = []
        """Per control tick: what the hand asked for, or None where the policy acted."""
        self.talks = True
        self._probe = probe
        node = probe.node
        self._joints = node.create_publisher(JointState, "joint_states", qos.JOINT_STATES)
        self._states = node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        node.create_subscription(EeAction, "intervention/leader", self.answers.append, qos.ACTIONS)
        self._next_tick_s = 0.0
        self.state: State

    @property
    def engaged(self) -> bool:
        """Whether the hand has it."""
        return bool(self.answers) and self.answers[-1].engaged

    def run(self, duration_s: float, hand: Callable[[float], None] = lambda t: None) -> None:
        """In real time; `hand(t)` is called at every state."""
        self.until(lambda: False, hand, duration_s, expected=False)

    def until(
        self,
        condition: Callable[[], Any],
        hand: Callable[[float], None] = lambda t: None,
        timeout_s: float = 60.0,
        expected: bool = True,
    ) -> None:
        start_s = time.monotonic()
        while not condition():
            now_s = time.monotonic() - start_s
            if now_s > timeout_s:
                assert not expected, "timed out"
                return
            hand(now_s)
            self._state()
            self._probe.spin_for(STATE_S)

    def _state(self) -> None:
        now_ns = time.time_ns()
        before = self.q
        self.q = self.q + np.clip(self.goal - self.q, -4.0 * STATE_S, 4.0 * STATE_S)
        state = self.state = self.control.observe(now_ns, self.q, (self.q - before) / STATE_S)
        if self.path is not None:
            self.goal = self.path(time.monotonic())
        elif time.monotonic() >= self._next_tick_s:
            self._next_tick_s = time.monotonic() + CONTROL_S
            self._tick(now_ns)
        if self.talks:
            zeros = np.zeros(6)
            self._joints.publish(joint_messages.joint_state(stamps.from_ns(now_ns), self.q, zeros, zeros))
            self._states.publish(messages.ee_state(state))

    def _tick(self, now_ns: int) -> None:
        asked = self.answers[-1] if self.engaged else None
        self.executed.append(asked)
        if asked is None:
            command = self.control.act(now_ns, self.policy(), 0, now_ns)
        else:
            goal = asked.gripper_goal if asked.gripper_partly else None
            command = self.control.act(now_ns, asked.delta, asked.gripper, now_ns, 1, goal)
        assert command is not None, self.control.refusal
        self.goal = command.position


class LeaderArm:
    """An emulated leader with its driver, and a hand on it."""

    def __init__(self, folder: Path, namespace: str, probe: Probe) -> None:
        self.folder, self.namespace, self.probe = folder, namespace, probe
        self.bus = EmulatedBus(folder, "leader", record=folder / "bus.record", no_wire_time=True)
        self.calibration_file = folder / "leader.json"
        self.calibration_file.write_text(json.dumps(self.bus.calibration()))
        self.calibration = load(self.calibration_file)
        self.offsets = np.array([joint.homing_offset for joint in self.calibration.joints.values()])
        self.driver: NodeProcess
        self.states: list[JointState] = []
        probe.node.create_subscription(
            JointState, "leader/joint_states", self.states.append, qos.JOINT_STATES
        )
        self.commands: list[np.ndarray] = []
        """Mirror commands as they came, each of shape (6,) [rad]."""
        probe.node.create_subscription(
            JointState,
            "leader/joint_commands",
            lambda m: self.commands.append(np.array(m.position)),
            qos.EVENTS,
        )
        self.torque_service = probe.node.create_client(SetBool, "leader_arm/enable_torque")
        self.stop_service = probe.node.create_client(Trigger, "leader_arm/emergency_stop")

    def start_driver(self) -> None:
        """Until it talks. On a busy machine the servos' first answers may come too late."""
        command = [sys.executable, "-c", "from hilrl_hardware.arm_node import main; main()", "--ros-args"]
        command += ["-r", f"__ns:={self.namespace}", "-r", "__node:=leader_arm", "-p", "role:=leader"]
        # Patience: a test says nothing about how busy the machine may be.
        command += ["-p", "state_hz:=50.0", "-p", "state_timeout_s:=1.0", "-p", "command_timeout_s:=2.0"]
        command += ["-p", f"port:={self.bus.port}", "-p", f"calibration_file:={self.calibration_file}"]
        for attempt in range(ATTEMPTS):
            self.driver = NodeProcess(command, self.folder / f"leader_arm-{attempt}.log")
            self.probe.spin_until(lambda: self.states or "error:" in self.driver.log, 40.0)
            if self.states:
                return
            self.driver.wait()
        raise AssertionError(self.driver.log)

    def stop_driver(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.driver.stop()

    def ask_where_lost(self, teleop: NodeProcess) -> Callable[[float], None]:
        """What a person does who reads that the leader's torque went."""
        answered = 0

        def ask(_: float) -> None:
            nonlocal answered
            if teleop.log.count("makes it mirror again") > answered:
                answered += 1
                self.torque_service.call_async(SetBool.Request(data=True))

        return ask

    @property
    def q(self) -> np.ndarray:
        """As published last, shape (6,) [rad]."""
        return np.array(self.states[-1].position)

    def has_torque(self) -> bool:
        return all(servo["torque_enabled"] for servo in self.bus.truth())

    def is_limp(self) -> bool:
        return not any(servo["torque_enabled"] for servo in self.bus.truth())

    def put(self, q: np.ndarray) -> None:
        """A hand moves the whole arm to `q` [rad], against its torque where it has some."""
        for servo_id, tick in zip(
            self.calibration.ids, self.calibration.to_ticks(q) + self.offsets, strict=True
        ):
            self.bus.place(servo_id, float(tick))

    def goals(self, since_s: float) -> np.ndarray:
        """Goals of all joints as they were written, shape (n, 6) [rad]."""
        newest: dict[int, int] = {}
        rows = []
        for event in self.bus.events():
            if not isinstance(event, Written) or event.address != r.GOAL_POSITION.address:
                continue
            newest[event.servo_id] = r.GOAL_POSITION.decode(event.data)
            if len(newest) == 6 and event.time_s >= since_s and event.servo_id == self.calibration.ids[-1]:
                rows.append([newest[servo_id] for servo_id in self.calibration.ids])
        return self.calibration.to_radians(np.array(rows))
