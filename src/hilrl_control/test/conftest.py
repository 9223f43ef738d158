"""A domain of its own per run, so that suites run side by side; nodes in their own processes."""

import dataclasses
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 101))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

import numpy as np
import pytest
import rclpy
import xacro
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from hilrl_control.ee_control import EeControl
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings

NUMBERS = itertools.count()
URDF = Path(__file__).parents[3] / "urdf" / "so101.urdf.xacro"


@pytest.fixture(scope="session")
def urdf_path():
    """Of the arm in this repository."""
    return URDF


@pytest.fixture(scope="session")
def urdf_text():
    """The arm as URDF."""
    return xacro.process_file(str(URDF)).toxml()


@pytest.fixture(scope="session")
def kinematics():
    """Of the arm in this repository."""
    return Kinematics(URDF)


@pytest.fixture(scope="session")
def workspace():
    """The default box."""
    return Settings.default().workspace


@pytest.fixture(scope="session")
def home():
    """Arm joints at home, shape (5,) [rad]."""
    return np.array(Settings.default().home_joints[:5])


HOME = np.array(Settings.default().home_joints)
PERIOD_NS = 100_000_000


class Arm:
    """One controller and one arm, a control period at a time."""

    def __init__(self, kinematics, q=HOME, follows=0.6, **settings):
        settings = {"lockstep": True, **settings}
        self.control = EeControl(kinematics, dataclasses.replace(Settings.default(), **settings))
        self.kinematics = kinematics
        self.q = np.array(q, float)
        self.follows = follows
        """Share of the way to its goal that a joint makes in a period; 0: blocked."""
        self.now_ns = PERIOD_NS
        self.commands = []

    def change(self, **settings):
        self.control.settings = dataclasses.replace(self.control.settings, **settings)

    def observe(self):
        return self.control.observe(self.now_ns, self.q, np.zeros(6))

    def act(self, delta=(0, 0, 0, 0, 0), gripper=0, **options):
        """One whole period: look, act, move. Returns the command."""
        self.observe()
        command = self.control.act(self.now_ns, delta, gripper, **options)
        self.take(command)
        return command

    def take(self, command):
        """Move for one period."""
        if command is not None:
            self.commands.append(command)
            self.q = self.q + self.follows * (command.position - self.q)
        self.now_ns += PERIOD_NS

    def tick(self):
        """One period without an action."""
        self.observe()
        command = self.control.tick(self.now_ns)
        self.take(command)
        return command

    def tcp(self, q=None):
        return self.kinematics.forward(self.q if q is None else q).position


@pytest.fixture
def new_arm(kinematics):
    """new_arm(q=HOME, follows=0.6, **settings): an arm under the controller, without ROS."""
    return lambda *args, **options: Arm(kinematics, *args, **options)


class Probe:
    """A node of the test that spins until something holds, in a namespace of its own."""

    def __init__(self) -> None:
        self.namespace = f"/arm_{next(NUMBERS)}"
        self.node = Node("probe", namespace=self.namespace)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def spin_until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Fails where the condition does not come true."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            self._executor.spin_once(timeout_sec=0.02)

    def spin_for(self, duration_s: float) -> None:
        """Take what comes in the meantime."""
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.02)

    def call(self, client: object, request: object) -> object:
        """The response of a service."""
        self.spin_until(client.service_is_ready)
        future = client.call_async(request)
        self.spin_until(future.done)
        return future.result()


def _probe() -> Iterator[Probe]:
    context_was_ours = not rclpy.ok()
    if context_was_ours:
        rclpy.init()
    probe = Probe()
    yield probe
    probe.node.destroy_node()
    if context_was_ours:
        rclpy.try_shutdown()


def _start_node() -> Iterator[Callable[..., subprocess.Popen]]:
    processes = []

    def start(module: str, *parameters: str, namespace: str = "/") -> subprocess.Popen:
        """Start `module.main` as a process: start_node(module, "name:=value", ...)."""
        arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
        for parameter in parameters:
            arguments += ["-p", parameter]
        process = subprocess.Popen(
            [sys.executable, "-c", f"from {module} import main; main()", *arguments],
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


probe = pytest.fixture(_probe, name="probe")
start_node = pytest.fixture(_start_node, name="start_node")
module_probe = pytest.fixture(_probe, scope="module", name="module_probe")
module_start_node = pytest.fixture(_start_node, scope="module", name="module_start_node")
