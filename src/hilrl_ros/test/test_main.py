"""How a node's process ends."""

import signal

import pytest
from rclpy.client import Client
from std_srvs.srv import Trigger

from hilrl_ros.testing import Probe, StartNode


@pytest.fixture
def fail(probe: Probe) -> Client:
    """The service of the example node in which there is a bug."""
    return probe.node.create_client(Trigger, "example/fail")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_node_and_exits_cleanly(
    start_example: StartNode, probe: Probe, ending: signal.Signals
) -> None:
    process = start_example()
    probe.meet("example")  # one that answers is made to the end
    assert (process.stop(ending), process.log) == (0, "closed\n")


def test_a_bug_in_a_callback_closes_the_node_and_shows_the_traceback(
    start_example: StartNode, probe: Probe, fail: Client
) -> None:
    process = start_example()
    probe.spin_until(fail.service_is_ready)
    probe.meet("example")
    fail.call_async(Trigger.Request())
    assert process.wait() == 1
    assert process.log.splitlines().count("closed") == 1
    assert "Traceback" in process.log
    assert "ValueError: a bug in a callback" in process.log
