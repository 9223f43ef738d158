"""A node in another process to talk to, in a domain of this run's own."""

from functools import partial
from pathlib import Path

import pytest

from hilrl_ros.testing import StartNode, namespace, probe, start_node

__all__ = ["namespace", "probe", "start_node"]

EXAMPLE_NODE = Path(__file__).with_name("example_node.py")


@pytest.fixture
def start_example(start_node: StartNode) -> StartNode:
    """Starts example_node.py with `name:=value` parameters."""
    return partial(start_node, EXAMPLE_NODE)
