"""Which nodes share a process where the run is `composed`."""

from collections.abc import Sequence
from dataclasses import replace

from hilrl.composed import COMPONENTS
from hilrl.nodes import Node

COMPOSED = Node("hilrl", "composed", "robot_side", respawn=False)
"""Not started again when it dies, as it holds the arm's reference."""


def composed(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, with those that can do so in one process; they are placed and have their parameters."""
    shared = [node for node in nodes if node.name in COMPONENTS]
    if not shared:
        return list(nodes)
    process = replace(
        COMPOSED,
        namespace=shared[0].namespace,
        niceness=shared[0].niceness,
        arguments=tuple(node.name for node in shared),
        components=tuple(shared),
    )
    return [*(node for node in nodes if node not in shared), process]
