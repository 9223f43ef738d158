"""What is typed where `hilrl up arm` runs: an order that does not reach the driver is never silent."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Event, Thread

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool, Trigger

from hilrl.arm_console import LAST_RESORT, ArmConsole
from hilrl.nodes import Node
from hilrl_ros.testing import Probe, new_namespace

PATIENCE_S = 60.0


@pytest.fixture
def namespace() -> str:
    """Of this test alone."""
    return new_namespace()


@pytest.fixture
def probe(namespace) -> Iterator[Probe]:
    """In the namespace of the arm."""
    with closing(Probe(namespace)) as probe:
        yield probe


@pytest.fixture
def keys(monkeypatch) -> Iterator[Callable[[str], object]]:
    """Types on what the console takes for its standard input."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield lambda text: os.write(writer, text.encode())
        os.close(writer)


@pytest.fixture
def driver(namespace) -> Iterator[SingleThreadedExecutor]:
    """The executor of a node with a driver's services: nothing is answered before it spins."""

    def stop(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, "stopping"
        return response

    def torque(_: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        response.success, response.message = False, "shoulder_pan is too hot"
        return response

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("arm", namespace=namespace, context=context)
    node.create_service(Trigger, "~/emergency_stop", stop)
    node.create_service(SetBool, "~/enable_torque", torque)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield executor
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


@pytest.fixture
def told(probe, namespace) -> Callable[..., list[str]]:
    """told(type_keys, count): what the console says, once it has said `count` things."""

    def listen(type_keys: Callable[[], object], count: int = 1) -> list[str]:
        said: list[str] = []

        async def run() -> None:
            arm = Node("hilrl_hardware", "arm", "arm", respawn=False, namespace=namespace)
            ArmConsole(probe.node, [arm], said.append)
            loop = asyncio.get_running_loop()
            deadline_s = loop.time() + PATIENCE_S
            type_keys()
            while len(said) < count:
                assert loop.time() < deadline_s, said
                probe.spin_for(0.02)
                await asyncio.sleep(0.01)

        asyncio.run(run())
        return said

    return listen


@pytest.mark.parametrize(
    ("typed", "order"), [("\n", "emergency stop"), ("on\n", "torque on"), ("off\n", "torque off")]
)
def test_that_there_is_no_driver_is_said_at_once(typed, order, keys, told):
    (said,) = told(lambda: keys(typed))
    assert said.endswith(f"{order}: NOT DONE, the driver is not there; {LAST_RESORT}")


def test_that_a_driver_does_not_answer_is_said(keys, told, probe, namespace, driver):
    found = probe.node.create_client(Trigger, "arm/emergency_stop")
    probe.spin_until(found.service_is_ready)
    (said,) = told(lambda: keys("\n"))
    assert said == f"{namespace}/arm: emergency stop: NO ANSWER of the driver; {LAST_RESORT}"


def test_the_answers_of_a_driver_are_said(keys, told, probe, namespace, driver):
    ended = Event()

    def spin() -> None:
        while not ended.is_set():
            driver.spin_once(timeout_sec=0.05)

    def type_keys() -> None:
        probe.meet("arm")
        keys("\non\n")

    thread = Thread(target=spin)
    thread.start()
    try:
        said = told(type_keys, 2)
    finally:
        ended.set()
        thread.join()
    assert f"{namespace}/arm: emergency stop: stopping" in said
    assert "torque on: refused: shoulder_pan is too hot" in said
