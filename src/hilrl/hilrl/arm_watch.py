"""Follows the drivers of arms: what they say of their health, and how to stop them."""

import math
from collections.abc import Callable, Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.live import Live
from rich.table import Table
from sensor_msgs.msg import JointState

from hilrl.arm_console import ArmConsole
from hilrl.nodes import Node
from hilrl.parameter_audit import ParameterAudit
from hilrl.session import Onlooker
from hilrl.supervisor import Health
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


class BesideArms:
    """An onlooker of a graph that drives real arms, with their health and their stop beside it."""

    def __init__(self, onlooker: Onlooker, arms: ArmWatch) -> None:
        self.period_s = min(onlooker.period_s, arms.period_s)
        self._onlooker, self._arms = onlooker, arms

    @property
    def messages(self) -> int:
        """Messages received so far."""
        return self._onlooker.messages + self._arms.messages

    def tick(self, health: Mapping[str, Health]) -> bool:
        """Whether the onlooker has seen enough. Raises what either raises."""
        self._arms.tick(health)
        return self._onlooker.tick(health)


def beside_arms(onlooker: Onlooker, node: RosNode, nodes: Sequence[Node], console: Console) -> Onlooker:
    """The onlooker itself where the graph has no motors."""
    arms = [one for one in nodes if one.has_motors]
    return BesideArms(onlooker, ArmWatch(node, arms, console, None)) if arms else onlooker


def state_topic(arm: Node) -> str:
    """Where a driver publishes its joint states."""
    prefix = "leader/" if arm.parameters["role"] == "leader" else ""
    name = f"{prefix}joint_states"
    return f"{arm.namespace.rstrip('/')}/{dict(arm.remappings).get(name, name)}"
