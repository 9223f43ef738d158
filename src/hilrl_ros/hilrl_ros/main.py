"""The one `main` of every node: start, spin, leave cleanly."""

import signal
import sys
from collections.abc import Callable

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

WAKE_S = 0.1
"""Longest sleep of a node. Fast DDS 2.14 now and then misses the wake-up for a service call or a signal, and
a node with nothing else to do would then never answer again."""


def run_node(factory: Callable[[], Node]) -> None:
    """Spin the node that `factory` builds until SIGINT, SIGTERM or `rclpy.shutdown()`.

    A ValueError while it is built (a bad parameter or file) is printed as one line and exits with 2.
    A node with a `close()` method gets it called before it is destroyed.
    """
    # rclpy ends `spin` on SIGINT by itself; Python's KeyboardInterrupt would strike in the clean-up too.
    signal.signal(signal.SIGINT, lambda *_: None)
    rclpy.init()
    node = None
    try:
        node = factory()
        node.create_timer(WAKE_S, lambda: None, clock=Clock(clock_type=ClockType.STEADY_TIME))
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception as error:
        if not rclpy.ok():
            pass  # a signal between two callbacks: rclpy trips over its own shutdown
        elif node is None and isinstance(error, ValueError):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        else:
            raise
    finally:
        if node is not None:
            if hasattr(node, "close"):
                node.close()
            node.destroy_node()
        rclpy.try_shutdown()
