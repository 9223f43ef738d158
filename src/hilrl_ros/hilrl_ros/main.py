"""The one `main` of every process: start its node or nodes, spin, leave cleanly."""

import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from hilrl_ros import fast_dds
from hilrl_ros.node import Node

WAKE_S = 0.1
"""Longest sleep of a node. Fast DDS 2.14 now and then misses the wake-up for a service call or a signal, and
a node with nothing else to do would then never answer again."""


def run_node(factory: Callable[[], Node]) -> None:
    """As `run_nodes`, for a process with one node."""
    run_nodes([factory])


def run_nodes(factories: Sequence[Callable[[], Node]]) -> None:
    """Spin the nodes that `factories` build until SIGINT, SIGTERM or `rclpy.shutdown()`.

    A ValueError while one is built (a bad parameter or file) is printed as one line and exits with 2.
    A node with a `close()` method gets it called before it is destroyed.
    """
    # rclpy ends `spin` on SIGINT by itself; Python's KeyboardInterrupt would strike in the clean-up too.
    signal.signal(signal.SIGINT, lambda *_: None)
    fast_dds.configure()
    rclpy.init()
    nodes: list[Node] = []
    try:
        for factory in factories:
            nodes.append(factory())
        nodes[0].create_timer(WAKE_S, partial(_wake, nodes), clock=Clock(clock_type=ClockType.STEADY_TIME))
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception as error:
        if not rclpy.ok():
            pass  # a signal between two callbacks: rclpy trips over its own shutdown
        elif len(nodes) < len(factories) and isinstance(error, ValueError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        else:
            raise
    finally:
        for node in reversed(nodes):
            if hasattr(node, "close"):
                node.close()
            node.destroy_node()
        rclpy.try_shutdown()


def _wake(nodes: Sequence[Node]) -> None:
    """What wakes the process has the nodes say how they are."""
    for node in nodes:
        node.diagnose()
