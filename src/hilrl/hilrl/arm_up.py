"""`hilrl up arm`: bring up the arms, follow their health, let them down at the end."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from rich.console import Console
from rich.live import Live

from hilrl import arm_graph, boards, options, parameter_files
from hilrl.arm_console import HELP
from hilrl.arm_watch import ArmWatch, state_topic
from hilrl.nodes import Node
from hilrl.parameter_files import NodeParameters
from hilrl.run_config import Assignment, as_parameters
from hilrl.run_folder import RunFolder
from hilrl.session import environment, run_graph
from hilrl.viewers import recordings


def run(choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> int:
    """Bring up the arms until Ctrl+C; the exit status.

    Raises ValueError for bad choices, NodeFailed if a driver has ended.
    """
    console = Console()
    with contextlib.ExitStack() as resources:
        chosen, folder = prepare(choices, resources)
        here = recordings(folder.path)
        nodes = arm_graph.arms(chosen, parameter_files.merged([parameters(chosen, assignments), here]))
        arms = [node for node in nodes if node.has_motors]
        # In the domain of the shell, so that other terminals and programs find the arms.
        env = resources.enter_context(environment(folder, own_domain=False))
        console.print(_greeting(arms, chosen, folder), highlight=False, soft_wrap=True)
        live = (
            resources.enter_context(Live(console=console, auto_refresh=False))
            if console.is_terminal
            else None
        )
        run_graph(nodes, folder, env, lambda node: ArmWatch(node, arms, console, live))
    console.print("The drivers have ended.")
    return 0


def prepare(choices: Mapping[str, Any], resources: contextlib.ExitStack) -> tuple[dict[str, Any], RunFolder]:
    """(all options, folder of logs). `resources` holds what lasts as long as the arms are up.

    Raises ValueError for choices that do not fit, and where these arms are up already.
    """
    chosen: dict[str, Any] = options.checked_for_arm(choices)
    folder = RunFolder.named(f"arm-{chosen['robot'].strip('/').replace('/', '-')}")
    resources.enter_context(folder.lock())
    has_leader = chosen["leader_port"] or chosen["emulated"]
    roles = ["follower", "leader"] if has_leader else ["follower"]
    return chosen | boards.connected(chosen, roles, folder, resources), folder


def parameters(chosen: Mapping[str, Any], assignments: Sequence[Assignment]) -> NodeParameters:
    """Of all nodes, resolved. Raises ValueError naming what is wrong."""
    layers = [parameter_files.load(Path(get_package_share_directory("hilrl")) / "config" / "arm.yaml")]
    if chosen["params_file"]:
        layers.append(parameter_files.load(Path(chosen["params_file"])))
    return arm_graph.resolve_parameters(chosen, [*layers, as_parameters(assignments)])


def _greeting(arms: Sequence[Node], chosen: Mapping[str, Any], folder: RunFolder) -> str:
    lines = [
        "Emulated boards: nothing real moves."
        if chosen["emulated"]
        else "The follower stiffens where it is; nothing moves by itself."
    ]
    for arm in arms:
        topic = state_topic(arm)
        lines.append(
            f"  {arm.name}: {arm.parameters['port']}, calibrated by {arm.parameters['calibration_file']}; "
            f"{topic}, {topic.replace('states', 'commands')}"
        )
    lines += [
        HELP,
        f"Ctrl+C lets the arms down, slowly, and ends. Logs: {folder.log}",
        "",
    ]
    return "\n".join(lines)
