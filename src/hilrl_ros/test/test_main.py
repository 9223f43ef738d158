"""How a node's process ends."""

import signal
import subprocess
from collections.abc import Callable

import pytest
from rclpy.node import Node
from std_srvs.srv import Trigger

PATIENCE_S = 20.0


def wait_until_up(client: Node) -> None:
    service = client.create_client(Trigger, "/example/fail")
    assert service.wait_for_service(PATIENCE_S)
    client.destroy_client(service)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_node_and_exits_cleanly(
    start_example: Callable[..., subprocess.Popen[str]], client: Node, ending: signal.Signals
) -> None:
    process = start_example()
    wait_until_up(client)
    process.send_signal(ending)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, output, errors) == (0, "closed\n", "")


def test_a_bug_in_a_callback_closes_the_node_and_shows_the_traceback(
    start_example: Callable[..., subprocess.Popen[str]], client: Node
) -> None:
    process = start_example()
    wait_until_up(client)
    service = client.create_client(Trigger, "/example/fail")
    assert service.wait_for_service(PATIENCE_S)
    service.call_async(Trigger.Request())
    output, errors = process.communicate(timeout=PATIENCE_S)
    client.destroy_client(service)
    assert process.returncode == 1
    assert output == "closed\n"
    assert "Traceback" in errors
    assert "ValueError: a bug in a callback" in errors
