"""A ROS domain of its own for each run, and a node in another process to talk to."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rclpy
from rclpy.node import Node

os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 101))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

EXAMPLE_NODE = Path(__file__).with_name("example_node.py")


@pytest.fixture
def start_example() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts example_node.py with `name:=value` parameters; ends what still runs afterwards."""
    started: list[subprocess.Popen[str]] = []

    def start(*parameters: str) -> subprocess.Popen[str]:
        settings = [word for parameter in parameters for word in ("-p", parameter)]
        command = [sys.executable, str(EXAMPLE_NODE), "--ros-args", *settings]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            # Not SIGKILL: others would go on taking the dead participant for the next test's server.
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20.0)


@pytest.fixture(scope="session")
def client() -> Iterator[Node]:
    """A node in this process."""
    rclpy.init()
    node = rclpy.create_node("client")
    yield node
    node.destroy_node()
    rclpy.shutdown()
