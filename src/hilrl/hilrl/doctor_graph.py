"""Looks at a running graph for some seconds: nodes, topics, diagnostics, parameters."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hilrl.graph_client import GraphClient
from hilrl.run_folder import RunFolder

LISTEN_S = 4.0
"""Nodes speak on /diagnostics once a second; a busy machine makes gaps."""


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription."""

    node: str
    kind: str
    """Of its messages."""
    profile: QoSProfile


@dataclass
class GraphView:
    """What was seen."""

    nodes: set[str] = field(default_factory=set)
    """Fully qualified names."""
    expected: set[str] = field(default_factory=set)
    """Nodes that the run has started; empty where that is not known."""
    publishers: dict[str, list[Endpoint]] = field(default_factory=dict)
    """By topic."""
    subscriptions: dict[str, list[Endpoint]] = field(default_factory=dict)
    statuses: dict[str, DiagnosticStatus] = field(default_factory=dict)
    """The last word by name, which is "<node>: <part>"."""
    parameters: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By node; of those that speak."""

    def speaks(self, node: str) -> bool:
        """Whether it was heard on /diagnostics."""
        return any(name.startswith(f"{node}: ") for name in self.statuses)

    def values(self, node: str) -> dict[str, str]:
        """All numbers that it says of itself."""
        told = (status for name, status in self.statuses.items() if name.startswith(f"{node}: "))
        return {pair.key: pair.value for status in told for pair in status.values}


def look(client: GraphClient, folder: RunFolder | None) -> GraphView:
    """Takes some seconds."""
    view = GraphView(expected=folder.started() if folder else set())

    def on_diagnostics(array: DiagnosticArray) -> None:
        view.statuses.update({status.name: status for status in array.status})

    client.node.create_subscription(DiagnosticArray, "/diagnostics", on_diagnostics, 100)
    begun_s = time.monotonic()
    view.nodes = set(client.nodes(wanted=lambda found: bool(found) and view.expected <= found))
    client.spin_for(max(0.0, LISTEN_S - (time.monotonic() - begun_s)) if view.nodes else 0.0)
    for topic, _ in client.node.get_topic_names_and_types():
        view.publishers[topic] = _endpoints(client.node.get_publishers_info_by_topic(topic))
        view.subscriptions[topic] = _endpoints(client.node.get_subscriptions_info_by_topic(topic))
    for node in sorted(view.nodes):
        if view.speaks(node):
            try:
                view.parameters[node] = client.values(node, client.parameter_names(node))
            except RuntimeError:
                continue  # it fell silent just now, the next look will tell
    return view


def _endpoints(found: Sequence[TopicEndpointInfo]) -> list[Endpoint]:
    return [
        Endpoint(f"{end.node_namespace.rstrip('/')}/{end.node_name}", end.topic_type, end.qos_profile)
        for end in found
        if not end.node_name.startswith("hilrl_client")
    ]
