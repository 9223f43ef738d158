"""A domain of its own per run, so that suites run side by side; nodes in their own processes."""

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

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

NAMESPACE = "/so101"


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
