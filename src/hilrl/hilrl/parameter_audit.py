"""Asks every node what it runs with.

ROS ignores a parameter that a node does not declare, so a misspelt one would go unnoticed; and a run can only
go on as it began if the nodes' own defaults of that day are known.
"""

import difflib
import time
from collections.abc import Sequence
from typing import Any

from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.client import Client
from rclpy.node import Node as RosNode
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future

from hilrl.graph import Node
from hilrl.parameter_files import NodeParameters

ROS_OWN = ("qos_overrides.", "start_type_description_service", "use_sim_time")
"""Every node has these."""
OF_ONE_START = ("run_dir", "veto_dir")
"""Where the run lies now; it may be moved."""
ASK_AGAIN_S = 4.0


class ParameterAudit:
    """Call `poll` until it returns the parameters of all nodes."""

    def __init__(self, asking: RosNode, nodes: Sequence[Node]) -> None:
        self.messages = 0
        """Answers received so far."""
        self._questions = [_Question(asking, node) for node in nodes]
        self._answered: NodeParameters = {}

    def poll(self) -> NodeParameters | None:
        """All parameters by node, the first time that all nodes have answered; otherwise None.

        Raises ValueError for a parameter that its node was given and does not know.
        """
        if not self._questions:
            return None
        for question in list(self._questions):
            if (values := question.poll()) is not None:
                self.messages += 1
                self._answered[question.node.name] = values
                self._questions.remove(question)
        return None if self._questions else self._answered


class _Question:
    def __init__(self, asking: RosNode, node: Node) -> None:
        self.node = node
        self._asking = asking
        self._names: list[str] = []
        self._asked: list[Future] = []
        self._ask_again_s = 0.0
        self._client = self._service(ListParameters, "list_parameters")
        self._request: Any = ListParameters.Request()

    def poll(self) -> dict[str, Any] | None:
        """The node's parameters once they are known."""
        response = next((future.result() for future in self._asked if future.done()), None)
        if response is None:
            self._ask()
            return None
        self._asking.destroy_client(self._client)
        if isinstance(response, ListParameters.Response):
            self._names = [name for name in response.result.names if not name.startswith(ROS_OWN)]
            self._check()
            self._client = self._service(GetParameters, "get_parameters")
            self._request = GetParameters.Request(names=self._names)
            self._asked, self._ask_again_s = [], 0.0
            self._ask()
            return None
        values = map(parameter_value_to_python, response.values)
        # ROS files cannot hold what has no value or no element to tell a type by; both are the default.
        return {
            name: value
            for name, value in zip(self._names, values, strict=True)
            if value not in (None, []) and name not in OF_ONE_START
        }

    def _ask(self) -> None:
        """Again after a while: a node that does not know who asks yet, or dies just then, does not answer."""
        if time.monotonic() >= self._ask_again_s and self._client.service_is_ready():
            self._ask_again_s = time.monotonic() + ASK_AGAIN_S
            self._asked.append(self._client.call_async(self._request))

    def _service(self, kind: type, name: str) -> Client:
        return self._asking.create_client(kind, f"{self.node.fully_qualified_name}/{name}")

    def _check(self) -> None:
        for name in self.node.parameters:
            if name not in self._names and not name.startswith(ROS_OWN):
                close = difflib.get_close_matches(name, self._names, n=1, cutoff=0.1)
                raise ValueError(
                    f"{self.node.name}.{name}: {self.node.name} has no such parameter; "
                    f"the nearest is {close and close[0]!r}, all are {sorted(self._names)}"
                )
