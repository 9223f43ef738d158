"""Nodes in their own processes, in a domain of this run's own; and the loop of the graph without nodes."""

import math
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
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from hilrl_control.ee_control import EeControl
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings
from hilrl_control.workspace import Workspace
from hilrl_sim.simulation import Frame, Simulation
from hilrl_teleop.ee_action import Gripper
from hilrl_teleop.expert import Arm, Expert, Scene

NAMESPACE = "/so101"
URDF = Path(__file__).resolve().parents[3] / "urdf" / "so101.urdf.xacro"
WORKSPACE = Workspace.from_corners((0.12, -0.15, 0.005), (0.32, 0.15, 0.22))
EPISODE_STEPS = 60


class ClosedLoop:
    """One arm; every scene begins with `reset`."""

    def __init__(self, task: str, **simulation: object) -> None:
        self.task = task
        self.simulation = Simulation(task, urdf=URDF, **simulation)
        self.controller = EeControl(Kinematics(URDF), Settings(WORKSPACE, lockstep=True))
        self.frame: Frame

    def reset(self, seed: int) -> None:
        self._take(self.simulation.reset(seed, render=False))

    def step(self, delta: np.ndarray, gripper: int) -> bool:
        """One control period. Whether the task is done."""
        command = self.controller.act(self.frame.time_ns, delta, int(gripper))
        assert command is not None, self.controller.refusal
        self._take(self.simulation.step(command.position, command.velocity, render=False))
        return self.frame.success

    def show(self, seed: int, noise: float, steps: int = EPISODE_STEPS) -> int:
        """Steps that the expert needs from where the arm is now; 0: not done in time."""
        expert = Expert(self.task, np.random.default_rng([1, seed]), noise)
        for step in range(steps):
            if self.step(*expert.act(step, self.arm(), self.scene())):
                return step + 1
        return 0

    def arm(self) -> Arm:
        state = self.state
        return Arm(
            state.pose.position,
            state.target.position,
            -state.pose.rotation[:, 0],
            state.gripper_position,
            state.gripper_target,
        )

    def scene(self) -> Scene:
        truth = self.frame.ground_truth
        x, y, z, w = truth.poses[0, 3:]
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        bin_ = truth.poses[1, :3] if self.task == "place" else None
        return Scene(truth.poses[0, :3], yaw, bin_, truth.grasped)

    def wander(self, rng: np.random.Generator, steps: int) -> None:
        """What a policy does that has learnt nothing."""
        drift = rng.uniform(-1, 1, 3)
        for _ in range(steps):
            delta = np.zeros(5)
            delta[:3] = np.clip(drift + rng.normal(0, 0.5, 3), -1, 1)
            self.step(delta, rng.choice([Gripper.STAY, Gripper.CLOSE, Gripper.OPEN]))

    def _take(self, frame: Frame) -> None:
        self.frame = frame
        self.state = self.controller.observe(frame.time_ns, frame.joint_position, frame.joint_velocity)


class Probe:
    """A node of the test that spins until something holds."""

    def __init__(self) -> None:
        self.node = Node("probe", namespace=NAMESPACE)
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


@pytest.fixture
def probe() -> Iterator[Probe]:
    """Of this test alone."""
    rclpy.init()
    probe = Probe()
    yield probe
    probe.node.destroy_node()
    rclpy.try_shutdown()


class NodeProcess:
    """A node as a process; what it logs can be read while it runs."""

    def __init__(self, module: str, parameters: tuple[str, ...], log: Path) -> None:
        arguments = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
        for parameter in parameters:
            arguments += ["-p", parameter]
        self._log = log
        with log.open("w") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"from {module} import main; main()", *arguments], stderr=file
            )

    @property
    def log(self) -> str:
        """All of stderr so far."""
        return self._log.read_text()

    def wait(self) -> int:
        """The exit status, once it ends."""
        return self._process.wait(30)

    def stop(self) -> None:
        """End it as Ctrl-C does. What is killed is still matched by the next test for a while."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Start `module.main` as a process: start_node(module, "name:=value", ...)."""
    processes: list[NodeProcess] = []

    def start(module: str, *parameters: str) -> NodeProcess:
        processes.append(NodeProcess(module, parameters, tmp_path / f"{len(processes)}.log"))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()


@pytest.fixture
def closed_loop() -> type[ClosedLoop]:
    """Simulator, controller and expert in one process: closed_loop(task)."""
    return ClosedLoop
