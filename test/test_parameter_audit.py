"""What a graph's nodes run with is learnt also where one of them is lost while it is asked."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Event, Thread

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from hilrl.nodes import Node
from hilrl.parameter_audit import ParameterAudit
from hilrl_ros.testing import Probe, new_namespace


@pytest.fixture
def probe() -> Iterator[Probe]:
    """Asks, in a namespace of this test alone."""
    with closing(Probe(new_namespace())) as probe:
        yield probe


@contextmanager
def running(namespace: str, spun: bool) -> Iterator[None]:
    """A node with a parameter; nothing is answered unless it is spun."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("actor", namespace=namespace, context=context)
    node.declare_parameter("control_hz", 10.0)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ended = Event()

    def spin() -> None:
        while spun and not ended.is_set():
            executor.spin_once(timeout_sec=0.05)

    thread = Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def test_who_does_not_answer_is_asked_again(probe):
    namespace = probe.node.get_namespace()
    actor = Node("hilrl_learning", "actor", "actor", respawn=True, namespace=namespace)
    audit = ParameterAudit(probe.node, [actor])
    answers = []

    def poll() -> bool:
        if (answer := audit.poll()) is not None:
            answers.append(answer)
        return bool(answers)

    with running(namespace, spun=False):
        asked_s = time.monotonic() + 2
        probe.spin_until(lambda: poll() or time.monotonic() > asked_s)
    assert not answers
    with running(namespace, spun=True):
        probe.spin_until(poll)
    assert answers == [{"actor": {"control_hz": 10.0}}]
