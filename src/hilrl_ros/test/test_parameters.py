"""Parameters of a node in another process, through the services that `ros2 param` uses."""

import json
import math
import time
from collections.abc import Sequence
from typing import Any

import pytest
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rcl_interfaces.srv import DescribeParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from std_msgs.msg import String

from hilrl_ros import qos
from hilrl_ros.testing import Probe, StartNode

DEFAULTS = {
    "step_m": 0.02,
    "leash_m": 0.04,
    "repeats": 3,
    "limits": [0.1, 0.2, 0.3],
    "mode": "train",
    "devices": [],
    "urdf": "arm.urdf",
}
PATIENCE_S = 20.0


class Example:
    """What a test does with the other process's parameters."""

    def __init__(self, probe: Probe) -> None:
        self._probe, node = probe, probe.node
        self._set = node.create_client(SetParameters, "example/set_parameters")
        self._set_all = node.create_client(SetParametersAtomically, "example/set_parameters_atomically")
        self._describe = node.create_client(DescribeParameters, "example/describe_parameters")
        self._seen: list[dict[str, Any]] = []
        node.create_subscription(
            String,
            "example/values",
            lambda message: self._seen.append(json.loads(message.data)),
            qos.LATCHED,
        )
        for service in (self._set, self._set_all, self._describe):
            probe.spin_until(service.service_is_ready)

    def set(self, name: str, value: Any) -> SetParametersResult:
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self._probe.call(self._set, request).results[0]

    def set_together(self, **values: Any) -> SetParametersResult:
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        return self._probe.call(self._set_all, SetParametersAtomically.Request(parameters=parameters)).result

    def describe(self, name: str) -> ParameterDescriptor:
        return self._probe.call(self._describe, DescribeParameters.Request(names=[name])).descriptors[0]

    def values(self, expected: dict[str, Any]) -> dict[str, Any]:
        """What the node says that it uses, once that is as expected or patience ends."""
        deadline = time.monotonic() + PATIENCE_S
        while self._seen[-1:] != [expected] and time.monotonic() < deadline:
            self._probe.spin_for(0.02)
        return self._seen[-1]

    def announced(self) -> int:
        """How many sets of values the node has published so far."""
        return len(self._seen)


@pytest.fixture
def example(start_example: StartNode, probe: Probe) -> Example:
    start_example()
    return Example(probe)


REFUSED = [
    ("step_m", 0.06, ["step_m", "0.06"]),
    ("step_m", -0.01, ["step_m", "-0.01"]),
    ("step_m", math.nan, ["step_m", "nan"]),
    ("step_m", "far", ["DOUBLE", "STRING"]),
    ("repeats", 11, ["repeats", "11"]),
    ("limits", [0.1, 0.2], ["limits", "3 values", "got 2"]),
    ("limits", [0.1, 0.2, 1.5], ["limits", "at most 1.0", "1.5"]),
    ("limits", [0.1, 0.2, math.inf], ["limits", "finite", "inf"]),
    ("mode", "dance", ["mode", "train", "evaluate", "dance"]),
    ("urdf", "other.urdf", ["urdf", "read-only"]),
]


def test_a_bad_set_is_refused_with_a_reason_and_changes_nothing(example: Example) -> None:
    assert example.values(DEFAULTS) == DEFAULTS
    for name, value, words in REFUSED:
        result = example.set(name, value)
        assert not result.successful, f"{name} = {value} was accepted"
        assert all(word in result.reason for word in words), f"{name} = {value}: {result.reason!r}"
    assert example.announced() == 1
    # The next good value shows that none of the bad ones was kept.
    assert example.set("repeats", 4).successful
    assert example.values({**DEFAULTS, "repeats": 4}) == {**DEFAULTS, "repeats": 4}


def test_a_good_set_takes_effect(example: Example) -> None:
    for name, value in [("step_m", 0.01), ("limits", [-1.0, 0.0, 1.0]), ("mode", "evaluate")]:
        assert example.set(name, value).successful
    assert example.set("devices", ["keyboard", "joy"]).successful
    expected = {**DEFAULTS, "step_m": 0.01, "limits": [-1.0, 0.0, 1.0], "mode": "evaluate"}
    expected["devices"] = ["keyboard", "joy"]
    assert example.values(expected) == expected


def test_parameters_that_contradict_each_other_are_refused_but_may_change_together(example: Example) -> None:
    refused = example.set("step_m", 0.05)
    assert not refused.successful
    assert refused.reason == "step_m: expected at most leash_m = 0.04, got 0.05"
    assert example.set_together(step_m=0.05, leash_m=0.1).successful
    expected = {**DEFAULTS, "step_m": 0.05, "leash_m": 0.1}
    assert example.values(expected) == expected


def test_one_bad_value_among_several_set_together_refuses_all(example: Example) -> None:
    refused = example.set_together(repeats=5, mode="dance")
    assert not refused.successful
    assert "mode" in refused.reason
    assert example.set("step_m", 0.01).successful
    assert example.values({**DEFAULTS, "step_m": 0.01}) == {**DEFAULTS, "step_m": 0.01}


def test_a_parameter_describes_its_range_and_meaning(example: Example) -> None:
    step = example.describe("step_m")
    assert step.description == "Longest step [m]"
    assert (step.floating_point_range[0].from_value, step.floating_point_range[0].to_value) == (0.0, 0.05)
    repeats = example.describe("repeats")
    assert (repeats.integer_range[0].from_value, repeats.integer_range[0].to_value) == (1, 10)
    assert "3 values" in example.describe("limits").description
    assert "each in [-1.0, 1.0]" in example.describe("limits").description
    assert "evaluate" in example.describe("mode").description
    assert example.describe("urdf").read_only


def test_start_values_come_from_the_command_line(start_example: StartNode, probe: Probe) -> None:
    start_example("step_m:=0.03", "limits:=[0.5, 0.6, 0.7]", "devices:=[joy]")
    example = Example(probe)
    expected = {**DEFAULTS, "step_m": 0.03, "limits": [0.5, 0.6, 0.7], "devices": ["joy"]}
    assert example.values(expected) == expected


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("step_m:=0.06", ["step_m", "0.06"]),
        ("step_m:=far", ["step_m"]),
        ("limits:=[0.1, 0.2]", ["limits", "expected 3 values", "got 2"]),
        ("limits:=[0.1, 0.2, 7.0]", ["limits", "expected at most 1.0", "got 7.0"]),
        ("mode:=dance", ["mode", "expected one of", "dance"]),
        ("leash_m:=0.01", ["step_m", "expected at most leash_m = 0.01", "got 0.02"]),
    ],
)
def test_a_bad_start_value_ends_the_node_with_status_2_and_one_line(
    start_example: StartNode, setting: str, words: Sequence[str]
) -> None:
    process = start_example(setting)
    assert process.wait() == 2
    (line,) = process.log.strip().splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words), line
