"""An emulated arm, the driver's node on it, and somebody who talks to the node: three processes."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

from hilrl_hardware import registers as r
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written
from hilrl_ros import qos
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.testing import NodeProcess, Probe, StartNode, namespace, probe, start_node

__all__ = ["namespace", "probe", "start_node"]

PATIENCE_S = 60.0
NEAR_RAD = 0.05
"""A loaded joint droops by half of it."""


class ArmUnderTest:
    """The node `arm`, or `leader_arm`, on an emulated arm."""

    def __init__(
        self, bus: EmulatedBus, role: str, folder: Path, start_node: StartNode, probe: Probe
    ) -> None:
        self.bus, self._probe, self._start_node = bus, probe, start_node
        self._calibration_file = folder / "calibration.json"
        self._calibration_file.write_text(json.dumps(bus.calibration()))
        self.calibration = load(self._calibration_file)
        self._role = role
        self.process: NodeProcess
        self.states: list[JointState] = []
        self.statuses: Mapping[str, Any] = {}
        node, prefix = probe.node, "leader/" if role == "leader" else ""
        node.create_subscription(JointState, f"{prefix}joint_states", self.states.append, qos.JOINT_STATES)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.EVENTS)
        self._commands = node.create_publisher(JointState, f"{prefix}joint_commands", qos.ACTIONS)
        self._torque = node.create_client(SetBool, "arm/enable_torque")
        self._stop = node.create_client(Trigger, "arm/emergency_stop")
        self._parameters = node.create_client(SetParameters, "arm/set_parameters")

    def calibrate_again(self, joint: str, range_max: int) -> None:
        """Another end of a joint's range, in the file and in the servo."""
        joints = self.bus.calibration()
        joints[joint]["range_max"] = range_max
        self.bus.set(joints[joint]["id"], r.MAX_POSITION_LIMIT, range_max)
        self._calibration_file.write_text(json.dumps(joints))

    def start(self, *parameters: str) -> NodeProcess:
        """A node on this arm; the last one is the one under test."""
        self.process = self._start_node(
            "hilrl_hardware.arm_node",
            f"role:={self._role}",
            f"port:={self.bus.port}",
            f"calibration_file:={self._calibration_file}",
            "ease_down_s:=0.3",
            # The longest there is: a test says nothing about how busy the machine may be, unless it sets it.
            "state_timeout_s:=1.0",
            *parameters,
        )
        return self.process

    def bring_up(self, *parameters: str) -> None:
        """Until it can be talked with, holds, where it is a follower, and tells of itself at rest."""
        self.start(*parameters)
        self.wait(lambda: self.states and self._commands.get_subscription_count())
        if self._role == "follower" and "torque_on_start:=false" not in parameters:
            self.wait(self.holds)
        self._probe.meet("arm")
        self.wait(self.is_still)
        self.wait_for_states()

    # -- to the node ----------------------------------------------------------------------------------------

    def command(self, position: Any, velocity: Any = (), names: Any = JOINT_NAMES) -> None:
        """Publish once."""
        self._commands.publish(
            JointState(
                name=list(names), position=[float(p) for p in position], velocity=[float(v) for v in velocity]
            )
        )

    def drive(self, position: Any, duration_s: float, velocity: Any = ()) -> None:
        """Command the same ten times a second."""
        until_s = time.monotonic() + duration_s
        while time.monotonic() < until_s:
            self.command(position, velocity)
            self._probe.spin_for(0.1)

    def drive_until(self, condition: Callable[[], Any], position: Any, **options: Any) -> None:
        """Command the same ten times a second until something holds; `options` are those of `command`."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"the arm is at {self.position}"
            self.command(position, **options)
            self._probe.spin_for(0.1)

    def drive_to(self, target: Any) -> None:
        """Until it is there."""
        self.drive_until(lambda: self.is_at(target), target)

    def enable_torque(self, on: bool) -> SetBool.Response:
        return self._probe.call(self._torque, SetBool.Request(data=on))

    def switch_on(self) -> None:
        """Ask for torque until it is on: it is refused where a reply is lost just then."""
        self.wait(lambda: self.enable_torque(True).success)

    def refusal(self) -> str:
        """Why torque does not come on, other than that a reply is lost just then."""
        answers = []

        def refused_for_good() -> bool:
            answers.append(self.enable_torque(True))
            assert not answers[-1].success
            return "does not answer" not in answers[-1].message

        self.wait(refused_for_good)
        return answers[-1].message

    def set_parameter(self, name: str, value: Any) -> SetParametersResult:
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return self._probe.call(self._parameters, request).results[0]

    def emergency_stop(self) -> Trigger.Response:
        """Asked for once, and not again where the answer is late: a second stop takes the torque at once."""
        self.wait(self._stop.service_is_ready)
        asked = self._stop.call_async(Trigger.Request())
        self.wait(asked.done)
        return asked.result()

    # -- from the node --------------------------------------------------------------------------------------

    def wait(self, condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
        self._probe.spin_until(condition, timeout_s)

    def wait_for_log(self, text: str) -> None:
        self.wait(lambda: text in self.process.log)

    def wait_for_states(self, count: int = 10) -> None:
        """That many new ones: more than may be under way already."""
        enough = len(self.states) + count
        self.wait(lambda: len(self.states) >= enough)

    def spin(self, duration_s: float) -> None:
        self._probe.spin_for(duration_s)

    @property
    def position(self) -> np.ndarray:
        """As published last, shape (6,) [rad]."""
        return np.array(self.states[-1].position)

    def is_at(self, target: Any) -> bool:
        """Whether it says so."""
        return bool((np.abs(self.position - target) < NEAR_RAD).all())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        self.statuses = {status.name.rpartition(" ")[2]: status for status in message.status}

    # -- from the emulated servos ---------------------------------------------------------------------------

    def holds(self) -> bool:
        """Whether all servos have torque."""
        return all(servo["torque_enabled"] for servo in self.bus.truth())

    def is_limp(self) -> bool:
        """Whether none has."""
        return not any(servo["torque_enabled"] for servo in self.bus.truth())

    def is_still(self) -> bool:
        """Whether no joint moves."""
        return not any(servo["speed"] for servo in self.bus.truth())

    def goals(self, since_s: float = 0.0) -> list[tuple[float, int, int]]:
        """(time [s], joint, tick) of every goal that was written."""
        ids = list(self.calibration.ids)
        return [
            (event.time_s, ids.index(event.servo_id), r.GOAL_POSITION.decode(event.data))
            for event in self.bus.events()
            if isinstance(event, Written)
            and event.address == r.GOAL_POSITION.address
            and event.time_s >= since_s
        ]

    def goals_of(self, joint: int, since_s: float = 0.0) -> list[int]:
        """Ticks of one joint's goals."""
        return [tick for _, index, tick in self.goals(since_s) if index == joint]

    def ticks(self) -> np.ndarray:
        """Where the joints really are, shape (6,)."""
        return np.array([servo["tick"] for servo in self.bus.truth()])


@pytest.fixture
def make_arm(tmp_path: Path, start_node: StartNode, probe: Probe) -> Iterator[Callable[..., ArmUnderTest]]:
    """make_arm(role, options of the emulator)."""
    with ExitStack() as stack:

        def make(role: str = "follower", **options: Any) -> ArmUnderTest:
            bus = EmulatedBus(tmp_path, role, record=tmp_path / "bus.record", **options)
            return ArmUnderTest(stack.enter_context(bus), role, tmp_path, start_node, probe)

        yield make


@pytest.fixture
def arm(make_arm: Callable[..., ArmUnderTest]) -> ArmUnderTest:
    """A follower; not started yet."""
    return make_arm()


@pytest.fixture
def leader(make_arm: Callable[..., ArmUnderTest]) -> ArmUnderTest:
    """A leader; not started yet."""
    return make_arm("leader")
