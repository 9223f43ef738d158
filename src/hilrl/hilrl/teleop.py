"""`hilrl up teleop`: drive the arm, simulated or real; nothing judges, nothing learns."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from rclpy.node import Node as RosNode
from rich.console import Console

from hilrl import boards, graph, options
from hilrl.arm_console import HELP
from hilrl.arm_watch import beside_arms
from hilrl.nodes import Node
from hilrl.parameter_audit import ParameterAudit
from hilrl.parameter_files import merged
from hilrl.run_config import Assignment, RunConfig, new_config
from hilrl.run_folder import RunFolder
from hilrl.session import Onlooker, environment, run_graph
from hilrl.supervisor import Health


class TeleopWatch:
    """Sees to it that every parameter that was given is known."""

    period_s = 0.25

    def __init__(self, node: RosNode, nodes: Sequence[Node]) -> None:
        self._audit = ParameterAudit(node, [one for one in nodes if not one.looks_on])

    @property
    def messages(self) -> int:
        """Messages received so far."""
        return self._audit.messages

    def tick(self, health: Mapping[str, Health]) -> bool:
        """Never True: it lasts until somebody ends it. Raises ValueError for an unknown parameter."""
        self._audit.poll()
        return False


def teleop(choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> int:
    """Until Ctrl+C; the exit status. Raises ValueError for bad choices, NodeFailed if a node is gone."""
    console = Console()
    with ExitStack() as resources:
        nodes, folder, _ = prepare(choices, assignments, resources)

        def look(node: RosNode) -> Onlooker:
            return beside_arms(TeleopWatch(node, nodes), node, nodes, console)

        env = resources.enter_context(environment(folder))
        console.print(
            f"Drive the arm with `hilrl keyboard` in another terminal. Ctrl+C ends it. Logs: {folder.log}",
            highlight=False,
            soft_wrap=True,
        )
        if any(node.has_motors for node in nodes):
            console.print(f"Here: {HELP}", highlight=False)
        run_graph(nodes, folder, env, look)
    return 0


def prepare(
    choices: Mapping[str, Any], assignments: Sequence[Assignment], resources: ExitStack
) -> tuple[list[Node], RunFolder, RunConfig]:
    """(nodes, folder of logs, configuration). `resources` holds what lasts as long as the arm is up.

    Raises ValueError for choices that do not fit, and where this arm is up already.
    """
    config = new_config({**choices, **options.A_PERSON_DRIVES}, assignments)
    folder = RunFolder.named(f"teleop-{config.options['robot'].strip('/').replace('/', '-')}")
    resources.enter_context(folder.lock())
    connections = boards.parameters(config.options, folder, resources)
    nodes = graph.teleop(config.options, merged([config.parameters, connections]))
    return nodes, folder, config
