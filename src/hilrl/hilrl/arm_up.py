"""`hilrl up arm`: bring up the arms, follow their health, let them down at the end."""

import contextlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.live import Live
from rich.table import Table
from sensor_msgs.msg import JointState

from hilrl import arm_graph, options, parameter_files
from hilrl.arm_console import HELP, ArmConsole
from hilrl.graph import Node
from hilrl.parameter_audit import ParameterAudit
from hilrl.parameter_files import NodeParameters
from hilrl.run_config import Assignment, as_parameters
from hilrl.run_folder import RunFolder
from hilrl.session import environment, run_graph
from hilrl.supervisor import Health
from hilrl_hardware.calibration_files import default_path
from hilrl_ros.joints import JOINT_NAMES

LEVELS = {
    DiagnosticStatus.OK: "ok",
    DiagnosticStatus.WARN: "warning",
    DiagnosticStatus.ERROR: "error",
    DiagnosticStatus.STALE: "stale",
}


class ArmWatch:
    """Follows the arms: says when each begins to speak and how its health changes, and shows its joints."""

    period_s = 0.25

    def __init__(self, node: RosNode, arms: Sequence[Node], console: Console, live: Live | None) -> None:
        self.messages = 0
        """Messages received so far."""
        # Without a terminal there is no live table.
        self._console, self._live = console, live
        self._audit = ParameterAudit(node, arms)
        self._typed = ArmConsole(node, arms, self._say)
        self._prefixes = tuple(f"{arm.fully_qualified_name}: " for arm in arms)
        self._levels: dict[str, bytes] = {}
        self._states: dict[str, JointState] = {}
        for arm in arms:
            topic = state_topic(arm)
            node.create_subscription(JointState, topic, self._on_state(arm.name, topic), QoSProfile(depth=1))
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, QoSProfile(depth=10))

    def tick(self, health: Mapping[str, Health]) -> bool:
        """Never True: the arms are up until somebody ends it. Raises ValueError for an unknown parameter."""
        before = self._audit.messages
        self._audit.poll()
        self.messages += self._audit.messages - before
        if self._live and self._states:
            self._live.update(self._table(), refresh=True)
        return False

    def _on_state(self, name: str, topic: str) -> Callable[[JointState], None]:
        def take(state: JointState) -> None:
            self.messages += 1
            if name not in self._states:
                self._say(f"{name}: its joints are on {topic}")
            self._states[name] = state

        return take

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.messages += 1
        for status in array.status:
            if not status.name.startswith(self._prefixes):
                continue
            if status.level != self._levels.get(status.name, DiagnosticStatus.OK):
                self._say(f"{status.name}: {LEVELS[status.level]}: {status.message}")
            self._levels[status.name] = status.level

    def _table(self) -> Table:
        table = Table("degrees", box=None, pad_edge=False)
        for joint in JOINT_NAMES:
            table.add_column(joint.replace("_", " "), justify="right")
        for name, state in self._states.items():
            angle = dict(zip(state.name, state.position, strict=True))
            table.add_row(name, *(f"{math.degrees(angle[joint]):.1f}" for joint in JOINT_NAMES))
        return table

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)


def run(choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> int:
    """Bring up the arms until Ctrl+C; the exit status.

    Raises ValueError for bad choices, NodeFailed if a driver has ended.
    """
    console = Console()
    with contextlib.ExitStack() as resources:
        chosen, folder = prepare(choices, resources)
        nodes = arm_graph.arms(chosen, parameters(chosen, assignments))
        # In the domain of the shell, so that other terminals and programs find the arms.
        env = resources.enter_context(environment(folder, own_domain=False))
        console.print(_greeting(nodes, chosen, folder), highlight=False, soft_wrap=True)
        live = (
            resources.enter_context(Live(console=console, auto_refresh=False))
            if console.is_terminal
            else None
        )
        run_graph(nodes, folder, env, lambda node: ArmWatch(node, nodes, console, live))
    console.print("The drivers have ended.")
    return 0


def prepare(choices: Mapping[str, Any], resources: contextlib.ExitStack) -> tuple[dict[str, Any], RunFolder]:
    """(all options, folder of logs). `resources` holds what lasts as long as the arms are up.

    Raises ValueError for choices that do not fit, and where these arms are up already.
    """
    chosen: dict[str, Any] = options.checked_for_arm(choices)
    folder = RunFolder.named(f"arm-{chosen['namespace'].strip('/').replace('/', '-')}")
    resources.enter_context(folder.lock())
    if chosen["emulated"]:
        chosen |= _emulated_boards(folder, resources)
    for role in ("follower", "leader"):
        if chosen[f"{role}_port"]:
            chosen[f"{role}_calibration"] = str(_calibration(role, chosen))
    return chosen, folder


def parameters(chosen: Mapping[str, Any], assignments: Sequence[Assignment]) -> NodeParameters:
    """Of all nodes, resolved. Raises ValueError naming what is wrong."""
    layers = [parameter_files.load(Path(get_package_share_directory("hilrl")) / "config" / "arm.yaml")]
    if chosen["params_file"]:
        layers.append(parameter_files.load(Path(chosen["params_file"])))
    return arm_graph.resolve_parameters(chosen, [*layers, as_parameters(assignments)])


def state_topic(arm: Node) -> str:
    """Where a driver publishes its joint states."""
    prefix = "leader/" if arm.parameters["role"] == "leader" else ""
    name = f"{prefix}joint_states"
    return f"{arm.namespace.rstrip('/')}/{dict(arm.remappings).get(name, name)}"


def _calibration(role: str, chosen: Mapping[str, Any]) -> Path:
    given, port = chosen[f"{role}_calibration"], chosen[f"{role}_port"]
    path = Path(given).expanduser().absolute() if given else default_path(role)
    if not path.exists():
        raise ValueError(
            f"{role}_calibration: expected the calibration of the arm on {port}, found no file {path}; "
            f"make it with `hilrl calibrate --role {role}`, or name LeRobot's .json"
        )
    return path


def _emulated_boards(folder: RunFolder, resources: contextlib.ExitStack) -> dict[str, str]:
    """Options that name boards which exist as long as `resources`."""
    from hilrl_hardware.emulator.client import EmulatedBus

    instead = {}
    for arm in ("follower", "leader"):
        board = resources.enter_context(EmulatedBus(folder.path / arm, arm))
        calibration = folder.path / arm / "calibration.json"
        calibration.write_text(json.dumps(board.calibration(), indent=4))
        instead |= {f"{arm}_port": board.port, f"{arm}_calibration": str(calibration)}
    return instead


def _greeting(nodes: Sequence[Node], chosen: Mapping[str, Any], folder: RunFolder) -> str:
    lines = [
        "Emulated boards: nothing real moves."
        if chosen["emulated"]
        else "The follower stiffens where it is; nothing moves by itself."
    ]
    for arm in nodes:
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
