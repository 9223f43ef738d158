"""What tests of nodes share: a node to talk with, and the nodes under test in processes of their own.

A conftest imports the fixtures `namespace`, `probe` and `start_node`. Importing this module puts the process
and its children in a ROS domain of their own on this machine, so that suites run side by side.
"""

import itertools
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import rclpy
from domain_coordinator import domain_id
from rcl_interfaces.srv import ListParameters
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from hilrl_ros import fast_dds


def own_domain() -> AbstractContextManager[int]:
    """A ROS domain that no graph and no process of tests has, nor gets while the context lasts."""
    return domain_id(lambda: random.SystemRandom().randint(1, 100))


_reserved = ExitStack()  # as long as this process lives
os.environ["ROS_DOMAIN_ID"] = str(_reserved.enter_context(own_domain()))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
fast_dds.configure()

END_S = 10.0
"""Longest that a node may take to leave on a signal."""
REFUSAL_S = 40.0
"""Longest that a node may take to end by itself, several starting at once."""
ASK_AGAIN_S = 4.0
"""A call may stay without an answer: the server drops it where it has not discovered the client yet, or the
one that was found ready is a killed process that has not been missed yet."""
ASKS = 8


def random_domain() -> int:
    """As `own_domain`, for what is soon over."""
    with own_domain() as chosen:
        return chosen


class Probe:
    """A node of the test that spins until something holds. Its ROS context is its own."""

    def __init__(self, namespace: str) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("probe", namespace=namespace, context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._askers: dict[str, Client] = {}

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
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

    def call(self, client: Client, request: Any) -> Any:
        """The response of a service. A request that is not answered is made again."""
        self.spin_until(client.service_is_ready)
        asked = []
        for _ in range(ASKS):
            asked.append(client.call_async(request))
            with suppress(AssertionError):
                self.spin_until(lambda: any(future.done() for future in asked), ASK_AGAIN_S)
                return next(future.result() for future in asked if future.done())
        raise AssertionError(f"no answer: {client.srv_name}")

    def meet(self, name: str) -> None:
        """Until the node `name` of this namespace knows every topic that the probe's node has by now.

        That the probe knows the node's says nothing of it: what is sent too soon is lost. DDS tells of topics
        and services in the order they were made, so who answers the newest client knows the rest.
        """
        client = self.node.create_client(ListParameters, f"{name}/list_parameters")
        self.call(client, ListParameters.Request())
        self.node.destroy_client(client)

    def until_taken_by(self, name: str, messages: int = 1) -> None:
        """Until the node `name` has acted on what was sent to it, the newest `messages` of each topic.

        A node takes one message of each topic before it answers a call. Once more, as the first call may come
        between its look at the topics and its look at the services. Says nothing of who has not met.
        """
        if name not in self._askers:
            self._askers[name] = self.node.create_client(ListParameters, f"{name}/list_parameters")
        for _ in range(messages + 1):
            self.call(self._askers[name], ListParameters.Request())

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


class NodeProcess:
    """A node as a process; what it prints and logs can be read while it runs."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        self._log = log
        with log.open("w") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        """All of stdout and stderr so far."""
        return self._log.read_text()

    def wait(self) -> int:
        """The exit status, once it ends by itself."""
        return self._process.wait(REFUSAL_S)

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        """End it, as Ctrl-C does unless told otherwise; the exit status.

        Raises subprocess.TimeoutExpired where it had to be killed: others take a killed node for alive.
        """
        if self._process.poll() is None:
            self._process.send_signal(by)
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


StartNode = Callable[..., NodeProcess]
"""start_node(program, "name:=value", ...): `main` of a module by its name, or a script by its path."""


def new_namespace() -> str:
    """One that no other test has, so that a node that is slow to leave is not taken for the next one."""
    return f"/test_{secrets.token_hex(4)}"


@contextmanager
def starting_nodes(namespace: str, logs: Path) -> Iterator[StartNode]:
    """A function that starts nodes in the namespace; whatever happens, all have ended afterwards."""
    numbers = itertools.count()
    with ExitStack() as stack:

        def start(program: str | Path, *parameters: str) -> NodeProcess:
            run = [program] if isinstance(program, Path) else ["-c", f"from {program} import main; main()"]
            settings = [word for parameter in parameters for word in ("-p", parameter)]
            command = [sys.executable, *run, "--ros-args", "-r", f"__ns:={namespace}", *settings]
            process = NodeProcess(command, logs / f"node-{next(numbers)}.log")
            stack.callback(process.stop)
            return process

        yield start


@pytest.fixture
def namespace() -> str:
    """Of this test alone."""
    return new_namespace()


@pytest.fixture
def probe(namespace: str) -> Iterator[Probe]:
    """Of this test alone, in its namespace."""
    with closing(Probe(namespace)) as probe:
        yield probe


@pytest.fixture
def start_node(namespace: str, tmp_path: Path) -> Iterator[StartNode]:
    """Start nodes in the namespace of this test."""
    with starting_nodes(namespace, tmp_path) as start:
        yield start
