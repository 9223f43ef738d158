"""One end of a topic with large messages, as a process: `dds_peer.py talk|listen BYTES`.

The talker says how much shared memory Fast DDS gave it, in bytes, and talks until it is ended. The listener
ends once it has heard five messages.
"""

import re
import sys
from array import array
from pathlib import Path

import rclpy
from rclpy.node import Node

from hilrl_interfaces.msg import PolicyWeights
from hilrl_ros import qos

PERIOD_S = 0.2
ENOUGH = 5
SEGMENT = re.compile(r"([0-9a-f]+)-([0-9a-f]+) .*/dev/shm/fastrtps_[0-9a-f]{16}$", re.MULTILINE)
"""A line of /proc/PID/maps."""


def main() -> None:
    role, size = sys.argv[1], int(sys.argv[2])
    rclpy.init()
    node = Node(f"{role}er")
    if role == "talk":
        message = PolicyWeights(version=1, data=array("B", bytes(size)))
        publisher = node.create_publisher(PolicyWeights, "/learner/policy", qos.LATCHED)
        maps = SEGMENT.findall(Path("/proc/self/maps").read_text())
        print(max((int(end, 16) - int(begin, 16) for begin, end in maps), default=0), flush=True)
        node.create_timer(PERIOD_S, lambda: publisher.publish(message))
        rclpy.spin(node)
    heard: list[PolicyWeights] = []
    node.create_subscription(PolicyWeights, "/learner/policy", heard.append, qos.LATCHED)
    while len(heard) < ENOUGH:
        rclpy.spin_once(node)
    print(min(len(message.data) for message in heard), flush=True)


if __name__ == "__main__":
    main()
