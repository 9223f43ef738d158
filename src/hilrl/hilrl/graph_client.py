"""A running graph as a command in another process meets it: its nodes and their parameters."""

import contextlib
import difflib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterDescriptor, ParameterType
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParametersAtomically,
)
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python

from hilrl.parameter_audit import ROS_OWN

DISCOVERY_S = 8.0
"""Longest that DDS may take to find what runs."""
SETTLED_S = 1.0
"""Nothing new for so long: all are found."""
ANSWER_S = 3.0
ASKS = 4
"""A question may get lost where its server has not discovered the one who asks."""
LIST_SERVICE = "/list_parameters"


class GraphClient:
    """Talks to the nodes of one ROS domain. Raises RuntimeError where one does not answer."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self.node = node
        self._executor = executor

    def spin_until(self, condition: Callable[[], Any], timeout_s: float) -> bool:
        """Whether it came true in time."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def spin_for(self, duration_s: float) -> None:
        """Take what comes in the meantime."""
        self.spin_until(lambda: False, duration_s)

    def nodes(self, wanted: Callable[[set[str]], bool] = bool) -> list[str]:
        """Fully qualified names of all nodes that have parameters, sorted.

        Discovery goes on until `wanted` holds of the names and nothing new comes, or for `DISCOVERY_S`.
        """
        found: set[str] = set()
        since_s = time.monotonic()

        def settled() -> bool:
            nonlocal found, since_s
            if (now := self._with_parameters()) != found:
                found, since_s = now, time.monotonic()
            return wanted(found) and time.monotonic() - since_s > SETTLED_S

        self.spin_until(settled, DISCOVERY_S)
        return sorted(found)

    def find(self, name: str) -> str:
        """The fully qualified name of a node, which may be named without its namespace.

        Raises ValueError where it does not run, or several do.
        """

        def fitting_among(nodes: Iterable[str]) -> list[str]:
            return [node for node in nodes if name in (node, node.rpartition("/")[2])]

        nodes = self.nodes(wanted=lambda found: bool(fitting_among(found)))
        fitting = fitting_among(nodes)
        if not fitting:
            raise ValueError(f"node {name!r}: does not run in this ROS domain; those that do: {nodes}")
        if len(fitting) > 1:
            raise ValueError(f"node {name!r}: expected one, there are {fitting}; give the whole name")
        return fitting[0]

    def parameter_names(self, node: str) -> list[str]:
        """All but those that every ROS node has, sorted."""
        answer = self._call(ListParameters, node, "list_parameters", ListParameters.Request())
        return sorted(name for name in answer.result.names if not name.startswith(ROS_OWN))

    def values(self, node: str, names: Sequence[str]) -> dict[str, Any]:
        """Their values. Raises ValueError for a name that the node does not know."""
        self._check_known(node, names)
        answer = self._call(GetParameters, node, "get_parameters", GetParameters.Request(names=names))
        return {
            name: _plain(parameter_value_to_python(value))
            for name, value in zip(names, answer.values, strict=True)
        }

    def descriptors(self, node: str, names: Sequence[str]) -> dict[str, ParameterDescriptor]:
        """What they are. Raises ValueError for a name that the node does not know."""
        self._check_known(node, names)
        request = DescribeParameters.Request(names=names)
        answer = self._call(DescribeParameters, node, "describe_parameters", request)
        return dict(zip(names, answer.descriptors, strict=True))

    def change(self, node: str, values: Mapping[str, Any]) -> str:
        """Set all of them or none; why not, or ''. Raises ValueError for a name the node does not know."""
        kinds = {name: descriptor.type for name, descriptor in self.descriptors(node, list(values)).items()}
        parameters = [
            Parameter(name, value=fitted(value, kinds[name])).to_parameter_msg()
            for name, value in values.items()
        ]
        request = SetParametersAtomically.Request(parameters=parameters)
        answer = self._call(SetParametersAtomically, node, "set_parameters_atomically", request)
        return "" if answer.result.successful else answer.result.reason

    def _check_known(self, node: str, names: Sequence[str]) -> None:
        known = self.parameter_names(node)
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.1)
                raise ValueError(
                    f"{name}: {node} has no such parameter; the nearest is {close and close[0]!r}"
                )

    def _call(self, kind: type, node: str, service: str, request: Any) -> Any:
        client = self.node.create_client(kind, f"{node}/{service}")
        try:
            self.spin_until(client.service_is_ready, ANSWER_S)
            asked = []
            for _ in range(ASKS):
                asked.append(client.call_async(request))
                if self.spin_until(lambda: any(future.done() for future in asked), ANSWER_S):
                    return next(future.result() for future in asked if future.done())
        finally:
            self.node.destroy_client(client)
        raise RuntimeError(
            f"{node}: does not answer within {ASKS * ANSWER_S:.0f} s; `hilrl doctor` may tell why"
        )

    def _with_parameters(self) -> set[str]:
        names = (name for name, _ in self.node.get_service_names_and_types())
        return {name.removesuffix(LIST_SERVICE) for name in names if name.endswith(LIST_SERVICE)}


@contextlib.contextmanager
def connected() -> Iterator[GraphClient]:
    """A client in the ROS domain of this process, see `session.attach`."""
    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    try:
        node = Node("hilrl_client", enable_rosout=False, start_parameter_services=False, context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        yield GraphClient(node, executor)
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def fitted(value: Any, kind: int) -> Any:
    """`value` as a parameter of that `ParameterType`: to YAML, 1 is an integer and means 1.0 as well."""
    if kind == ParameterType.PARAMETER_DOUBLE and type(value) is int:
        return float(value)
    if kind == ParameterType.PARAMETER_DOUBLE_ARRAY and isinstance(value, list):
        return [float(element) if type(element) is int else element for element in value]
    return value


def _plain(value: Any) -> Any:
    """Arrays come as array.array; lists print as one expects."""
    return list(value) if hasattr(value, "__len__") and not isinstance(value, str | bytes) else value
