"""What the benchmarks of the arm's driver share: an emulated arm, the driver on it and who talks with it.

Each is a process of its own, in a ROS domain of its own.
"""

import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Log
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger

import table
from hilrl_hardware import registers as r
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written
from hilrl_ros import qos
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.testing import NodeProcess, Probe, StartNode, new_namespace, starting_nodes

TESTS = Path(__file__).parents[1] / "src" / "hilrl_hardware" / "test"
"""Has what tests and benchmarks share."""
READY_STATES = 20
DRIVER = "hilrl_hardware.arm_node"


def machine() -> str:
    """The machine, and how busy it is."""
    return (
        f"{table.cpu_model()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start; "
        f"Python {platform.python_version()}"
    )


class World:
    """An arm with its driver. Times are monotonic [s]."""

    def __init__(
        self, bus: EmulatedBus, role: str, folder: Path, start_node: StartNode, probe: Probe
    ) -> None:
        self.bus, self.probe, self._start, self._role = bus, probe, start_node, role
        self._file = folder / "calibration.json"
        self._file.write_text(json.dumps(bus.calibration()))
        self.calibration = load(self._file)
        self.node: NodeProcess
        self.states: list[tuple[float, float, JointState]] = []
        """(monotonic time, wall time, message) as they came."""
        self.said: list[tuple[float, str]] = []
        self.diagnostics: list[DiagnosticArray] = []
        node, prefix = probe.node, "leader/" if role == "leader" else ""
        node.create_subscription(JointState, f"{prefix}joint_states", self._on_state, qos.JOINT_STATES)
        node.create_subscription(DiagnosticArray, "/diagnostics", self.diagnostics.append, qos.EVENTS)
        node.create_subscription(Log, "/rosout", self._on_log, 100)
        self._commands = node.create_publisher(JointState, f"{prefix}joint_commands", qos.ACTIONS)
        self._torque = node.create_client(SetBool, "arm/enable_torque")
        self.stop_service = node.create_client(Trigger, "arm/emergency_stop")

    def _on_state(self, message: JointState) -> None:
        self.states.append((time.monotonic(), time.time(), message))

    def _on_log(self, message: Log) -> None:
        self.said.append((time.monotonic(), message.msg))

    def start_driver(self, *parameters: str) -> NodeProcess:
        """Until it talks, and a follower holds."""
        known = len(self.states)
        self.node = self.start_another(*parameters)
        self.probe.spin_until(
            lambda: len(self.states) > known + READY_STATES and self._commands.get_subscription_count()
        )
        self.probe.spin_until(self._torque.service_is_ready)
        self.probe.spin_until(self.stop_service.service_is_ready)
        if self._role == "follower":
            self.probe.spin_until(self.holds)
        return self.node

    def start_another(self, *parameters: str) -> NodeProcess:
        """A driver on the port of this arm, whatever comes of it."""
        return self._start(
            DRIVER,
            f"role:={self._role}",
            f"port:={self.bus.port}",
            f"calibration_file:={self._file}",
            *parameters,
        )

    @property
    def driver(self) -> psutil.Process:
        """The driver's process."""
        return next(
            child
            for child in psutil.Process().children(recursive=True)
            if DRIVER in " ".join(child.cmdline())
        )

    @property
    def position(self) -> np.ndarray:
        """As published last, shape (6,) [rad]."""
        return np.array(self.states[-1][2].position)

    def command(
        self, position: Sequence[float], velocity: Sequence[float] = (), names: Any = JOINT_NAMES
    ) -> None:
        """Publish once."""
        self._commands.publish(
            JointState(
                name=list(names), position=list(map(float, position)), velocity=list(map(float, velocity))
            )
        )

    def torque(self, on: bool) -> str:
        """Ask for it; why not, or empty."""
        answer = self.probe.call(self._torque, SetBool.Request(data=on))
        return "" if answer.success else answer.message

    def holds(self) -> bool:
        """Whether all servos have torque."""
        return all(servo["torque_enabled"] for servo in self.bus.truth())

    def heard(self, text: str, since_s: float) -> float | None:
        """When the driver said `text`."""
        return next((when_s for when_s, said in self.said if when_s >= since_s and text in said), None)

    def writes(self, register: r.Register, servo_id: int, since_s: float = 0.0) -> list[tuple[float, int]]:
        """(time, value) of what was written to a register."""
        return [
            (event.time_s, register.decode(event.data))
            for event in self.bus.events()
            if isinstance(event, Written)
            and (event.servo_id, event.address) == (servo_id, register.address)
            and event.time_s >= since_s
        ]


@contextmanager
def world(role: str, *parameters: str, start: bool = True, **options: Any) -> Iterator[World]:
    """`parameters` of the driver ("name:=value"), `options` of the emulator."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        namespace = new_namespace()
        probe = stack.enter_context(closing(Probe(namespace)))
        bus = stack.enter_context(EmulatedBus(folder, role, record=folder / "record", **options))
        start_node = stack.enter_context(starting_nodes(namespace, folder))
        made = World(bus, role, folder, start_node, probe)
        if start:
            made.start_driver(*parameters)
        yield made


def changes(writes: Sequence[tuple[float, int]]) -> list[tuple[float, int]]:
    """Those that differ from the one before, without the first."""
    return [after for before, after in pairwise(writes) if after[1] != before[1]]
