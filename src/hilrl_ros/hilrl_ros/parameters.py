"""A node's parameters as one table: default, range and description in one place.

Modelled on generate_parameter_library, which is not available without an installed ROS.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RclpyParameter

Value = bool | int | float | str | list


@dataclass(frozen=True)
class Parameter:
    """One parameter. The type follows from the default; ranges hold for every element of an array."""

    name: str
    default: Value
    description: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Value, ...] | None = None
    length: int | None = None
    """Exact length of an array; None: any."""
    read_only: bool = False
    """Fixed once the node has started."""
    element_type: type = str
    """Type of the elements where the default is an empty list."""

    def descriptor(self) -> ParameterDescriptor:
        """The rcl description; scalar ranges are also enforced by rclpy and shown by its tools."""
        notes = []
        if self.choices is not None:
            notes.append(f"one of {list(self.choices)}")
        if self.length is not None:
            notes.append(f"{self.length} values")
        if isinstance(self.default, list) and (self.minimum, self.maximum) != (None, None):
            notes.append(f"each in [{self.minimum}, {self.maximum}]")
        descriptor = ParameterDescriptor(
            description=self.description + "".join(f" ({note})" for note in notes),
            read_only=self.read_only,
            # rclpy takes an empty list for bytes and would refuse anything else later.
            dynamic_typing=self.default == [],
        )
        has_range = self.minimum is not None or self.maximum is not None
        if has_range and type(self.default) is float:
            low = -math.inf if self.minimum is None else float(self.minimum)
            high = math.inf if self.maximum is None else float(self.maximum)
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif has_range and type(self.default) is int:
            low = -(2**63) if self.minimum is None else int(self.minimum)
            high = 2**63 - 1 if self.maximum is None else int(self.maximum)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        return descriptor

    def problem(self, value: Any) -> str | None:
        """Why `value` is refused, or None. But for empty defaults, rclpy has checked the type before."""
        if self.default == [] and not (
            isinstance(value, list) and all(isinstance(element, self.element_type) for element in value)
        ):
            return f"{self.name}: expected a list of {self.element_type.__name__}, got {value!r}"
        elements = list(value) if isinstance(self.default, list) else [value]
        if self.length is not None and len(elements) != self.length:
            return f"{self.name}: expected {self.length} values, got {len(elements)}"
        for element in elements:
            if isinstance(element, float) and not math.isfinite(element):
                return f"{self.name}: expected finite numbers, got {element}"
            if self.choices is not None and element not in self.choices:
                return f"{self.name}: expected one of {list(self.choices)}, got {element!r}"
            if self.minimum is not None and element < self.minimum:
                return f"{self.name}: expected at least {self.minimum}, got {element}"
            if self.maximum is not None and element > self.maximum:
                return f"{self.name}: expected at most {self.maximum}, got {element}"
        return None


class Parameters:
    """Declares a table on a node and holds the current values: `params["step_m"]`.

    A set that breaks a range, or for which `check` returns a reason, is refused with that reason and
    changes nothing. An accepted one is in `params` before `on_change` is called with all values.
    """

    def __init__(
        self,
        node: Node,
        table: Sequence[Parameter],
        check: Callable[[Mapping[str, Any]], str | None] | None = None,
        on_change: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Raises ValueError, naming the parameter, where a start value is out of range or of another type."""
        self._table = {parameter.name: parameter for parameter in table}
        self._check = check
        self._on_change = on_change
        self._values: dict[str, Any] = {}
        for parameter in table:
            self._values[parameter.name] = self._declare(node, parameter)
        if reason := self._refusal(self._values):
            raise ValueError(reason)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    @property
    def values(self) -> Mapping[str, Any]:
        """All current values by name."""
        return self._values

    def _declare(self, node: Node, parameter: Parameter) -> Any:
        try:
            value = node.declare_parameter(parameter.name, parameter.default, parameter.descriptor()).value
        except Exception as error:  # rclpy has one class per kind of misfit
            raise ValueError(f"parameter {parameter.name}: {error}") from error
        return _plain(value)

    def _refusal(self, values: Mapping[str, Any]) -> str | None:
        for name, value in values.items():
            if reason := self._table[name].problem(value):
                return reason
        return self._check({**self._values, **values}) if self._check else None

    def _known(self, changes: Sequence[RclpyParameter]) -> dict[str, Any]:
        return {p.name: _plain(p.value) for p in changes if p.name in self._table}

    def _validate(self, changes: Sequence[RclpyParameter]) -> SetParametersResult:
        reason = self._refusal(self._known(changes))
        return SetParametersResult(successful=reason is None, reason=reason or "")

    def _apply(self, changes: Sequence[RclpyParameter]) -> None:
        known = self._known(changes)
        self._values.update(known)
        if known and self._on_change:
            self._on_change(self._values)


def _plain(value: Any) -> Any:
    """rclpy hands arrays out as array.array or numpy; lists compare and print as one expects."""
    return list(value) if not isinstance(value, str | bool | int | float) else value
