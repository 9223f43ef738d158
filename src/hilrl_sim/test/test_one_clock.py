"""Of two real-time simulators on one clock topic the newer one goes, however late it hears of the other."""

from pathlib import Path

import pytest
from rosgraph_msgs.msg import Clock

from hilrl_ros import qos, stamps
from hilrl_ros.testing import NodeProcess, Probe, StartNode

YEAR_NS = 365 * 24 * 3600 * 10**9


@pytest.fixture
def simulator(start_node: StartNode, namespace: str, xacro_path: Path) -> NodeProcess:
    return start_node("hilrl_sim.sim_node", f"urdf:={xacro_path}", "lockstep:=false", "image_size:=32")


def publish_beside(probe: Probe, stamp_ns: int) -> None:
    """Once the simulator runs, another clock shows up beside its own."""
    heard: list[Clock] = []
    probe.node.create_subscription(Clock, "/clock", heard.append, qos.JOINT_STATES)
    probe.spin_until(lambda: heard, 60.0)
    other = probe.node.create_publisher(Clock, "/clock", qos.JOINT_STATES)
    probe.meet("sim")
    probe.spin_until(lambda: other.get_subscription_count() == 2)
    other.publish(Clock(clock=stamps.from_ns(stamp_ns)))


def test_gives_way_to_a_clock_ahead_of_it(simulator, probe):
    publish_beside(probe, YEAR_NS)
    assert simulator.wait() == 1
    assert "error: /clock: expected to be the only clock" in simulator.log


def test_stays_beside_a_clock_behind_it(simulator, probe):
    publish_beside(probe, 0)
    probe.spin_for(2.0)
    assert simulator.stop() == 0
