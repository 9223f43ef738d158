"""Every parameter of every node that this machine can start, one node after the other, in its own process."""

import json
import math
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hilrl import parameter_files
from hilrl.graph_client import GraphClient, connected
from hilrl.parameter_tables import parameter_tables
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_perception.reward_model import RewardModel, RewardNet, RewardSpec
from hilrl_ros.parameters import Parameter
from hilrl_ros.testing import new_namespace, starting_nodes

pytestmark = pytest.mark.timeout(300)

TABLES = parameter_tables()
PRESETS = sorted((Path(__file__).resolve().parents[1] / "config" / "presets").glob("*.yaml"))
STARTED_S = 90.0
"""Longest that a node may take to start: some import torch."""
MODULES = {
    "sim": "hilrl_sim.sim_node",
    "image_cropper": "hilrl_perception.image_cropper_node",
    "ee_controller": "hilrl_control.ee_controller_node",
    "workspace_display": "hilrl_control.workspace_display_node",
    "intervention_mux": "hilrl_teleop.intervention_mux_node",
    "leader_teleop": "hilrl_teleop.leader_teleop_node",
    "joy_teleop": "hilrl_teleop.joy_teleop_node",
    "scripted_operator": "hilrl_teleop.scripted_operator_node",
    "reward_rule": "hilrl_perception.reward_rule_node",
    "actor": "hilrl_learning.actor_node",
    "learner": "hilrl_learning.learner_node",
    "recorder": "hilrl_learning.recorder_node",
    "mcap_recorder": "hilrl_ros.mcap_recorder_node",
}
"""Nodes that need nothing but a folder to work in."""
# What needs more than a small step to be another good value: buttons that no other one uses, an order.
GOOD = {
    "intervention_mux": {"devices": ["scripted", "keyboard", "joy", "leader"]},
    "reward_rule": {"k": 2},
    "joy_teleop": {
        parameter.name: 100 + number
        for number, parameter in enumerate(TABLES["joy_teleop"])
        if type(parameter.default) is int
    },
}


@contextmanager
def arm(role: str, folder: Path) -> Iterator[list[str]]:
    """Parameters for the driver of an emulated arm."""
    # Replies at once: on a busy machine they would come too late for a driver.
    with EmulatedBus(folder, role, no_wire_time=True) as board:
        calibration = folder / "calibration.json"
        calibration.write_text(json.dumps(board.calibration()))
        yield [f"role:={role}", f"port:={board.port}", f"calibration_file:={calibration}"]


@contextmanager
def terminal(namespace: str) -> Iterator[None]:
    """The keyboard's node in a terminal of its own."""
    master, slave = pty.openpty()
    program = "from hilrl_teleop.keyboard_teleop_node import main; main()"
    command = [sys.executable, "-c", program, "--ros-args", "-r", f"__ns:={namespace}"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        os.set_blocking(master, False)
        process.wait(20)
        os.close(master)
        os.close(slave)


def reward_model(folder: Path) -> Path:
    """One that knows nothing."""
    spec = RewardSpec(cameras=("front", "wrist"), image_size=(64, 64), features_per_camera=4)
    path = folder / "reward.safetensors"
    RewardModel(spec, RewardNet(spec)).save(path)
    return path


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[str], tuple[GraphClient, str]]]:
    """`started(name)`: the node of that table runs; a client and the node's fully qualified name."""
    namespace = new_namespace()
    with ExitStack() as stack:
        start_node = stack.enter_context(starting_nodes(namespace, tmp_path))

        def start(name: str) -> tuple[GraphClient, str]:
            node = name
            if name in ("arm", "leader_arm"):
                role = "leader" if name == "leader_arm" else "follower"
                parameters = stack.enter_context(arm(role, tmp_path))
                node = "arm"
                start_node("hilrl_hardware.arm_node", *parameters)
            elif name == "camera_front":
                node = "camera"
                start_node("hilrl_perception.camera_node", "device:=pattern")
            elif name == "keyboard_teleop":
                stack.enter_context(terminal(namespace))
            elif name == "reward_classifier":
                model = reward_model(tmp_path)
                start_node("hilrl_perception.reward_classifier_node", f"model_file:={model}", "k:=1", "n:=5")
            elif name == "reward_collector":
                start_node("hilrl_perception.reward_collector_node", f"data_dir:={tmp_path}")
            elif name in ("actor", "learner"):
                start_node(MODULES[name], f"run_dir:={tmp_path / 'run'}")
            elif name == "recorder":
                start_node(MODULES[name], f"dataset:={tmp_path / 'dataset'}", "task_text:=lift")
            elif name == "mcap_recorder":
                start_node(MODULES[name], f"folder:={tmp_path / 'mcap'}")
            else:
                start_node(MODULES[name])
            client = stack.enter_context(connected())
            deadline_s = time.monotonic() + STARTED_S
            while f"{namespace}/{node}" not in client.nodes(lambda found: f"{namespace}/{node}" in found):
                assert time.monotonic() < deadline_s, f"{node} did not start"
            return client, f"{namespace}/{node}"

        yield start


def good_values(name: str, parameter: Parameter) -> object:
    """Another good value than the default."""
    if parameter.name in GOOD.get(name, {}):
        return GOOD[name][parameter.name]
    if parameter.choices is not None and not isinstance(parameter.default, list):
        return next(choice for choice in parameter.choices if choice != parameter.default)
    if isinstance(parameter.default, list):
        return [a_step_on(value, parameter) for value in parameter.default]
    return a_step_on(parameter.default, parameter)


def a_step_on(value: object, parameter: Parameter) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if parameter.maximum is None or value < parameter.maximum else value - 1
    high = value + 1.0 if parameter.maximum is None else parameter.maximum
    low = value - 1.0 if parameter.minimum is None else parameter.minimum
    return value + 0.01 * (high - value) if high > value else value - 0.01 * (value - low)


def bad_values(parameter: Parameter) -> Iterator[object]:
    """Each has something that is refused."""
    default = parameter.default
    first = default[0] if isinstance(default, list) else default
    wrong: list[object] = []
    if type(first) in (int, float):
        wrong += [type(first)(limit) for limit in (_below(parameter), _above(parameter)) if limit is not None]
    if type(first) is float:
        wrong += [math.nan]
    if parameter.choices is not None and isinstance(first, str):
        wrong.append("nonsense")
    if not isinstance(default, list):
        yield from wrong
        yield ["nonsense"]
        return
    yield from ([value, *default[1:]] for value in wrong)
    if parameter.length is not None:
        yield [*default, first]
    yield "nonsense"


def _below(parameter: Parameter) -> float | None:
    return None if parameter.minimum is None else parameter.minimum - 1


def _above(parameter: Parameter) -> float | None:
    return None if parameter.maximum is None else parameter.maximum + 1


STARTED = [
    *MODULES,
    "arm",
    "leader_arm",
    "camera_front",
    "keyboard_teleop",
    "reward_classifier",
    "reward_collector",
]


def test_only_what_needs_a_device_or_a_dataset_is_left_out():
    assert set(TABLES) - set(STARTED) == {"gamepad", "replay_episode"}
    for name in ("gamepad", "replay_episode"):
        assert all(parameter.read_only for parameter in TABLES[name])


@pytest.mark.parametrize("name", STARTED)
def test_a_node_has_what_its_table_says_refuses_bad_values_by_name_and_takes_good_ones(started, name):
    client, node = started(name)
    table = {parameter.name: parameter for parameter in TABLES[name]}
    assert set(client.parameter_names(node)) == set(table)
    for descriptor in client.descriptors(node, list(table)).values():
        assert descriptor.description and descriptor.read_only == table[descriptor.name].read_only
    for parameter in table.values():
        if parameter.read_only:
            continue
        before = client.values(node, [parameter.name])
        for value in bad_values(parameter):
            reason = client.change(node, {parameter.name: value})
            is_of_another_type = "Wrong parameter type" in reason  # rclpy's words, which name no parameter
            assert parameter.name in reason or is_of_another_type, f"{parameter.name} = {value}: {reason!r}"
        assert client.values(node, [parameter.name]) == before
        good = good_values(name, parameter)
        assert client.change(node, {parameter.name: good}) == "", f"{parameter.name} = {good}"
        found = client.values(node, [parameter.name])[parameter.name]
        assert found == (pytest.approx(good) if type(good) is float else good)
        assert client.change(node, before) == "", f"{parameter.name} = {before}"


def test_bounds_that_contradict_each_other_are_refused_separately_and_together(started):
    client, node = started("ee_controller")
    low, high = client.values(node, ["workspace_min", "workspace_max"]).values()
    moved_low, moved_high = [0.33, -0.1, 0.0], [0.36, 0.1, 0.2]
    assert "workspace_min x" in client.change(node, {"workspace_min": moved_low})
    assert client.values(node, ["workspace_min"])["workspace_min"] == low
    swapped = {"workspace_min": moved_high, "workspace_max": moved_low}
    assert "workspace_min x" in client.change(node, swapped)
    assert client.values(node, ["workspace_max"])["workspace_max"] == high
    together = {"workspace_min": moved_low, "workspace_max": moved_high}
    assert client.change(node, together) == ""
    assert client.values(node, list(together)) == together


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_keeps_to_the_tables_of_all_its_nodes(preset):
    for name, values in parameter_files.load(preset).items():
        table = {parameter.name: parameter for parameter in TABLES[name]}
        for parameter, value in values.items():
            assert table[parameter].problem(value) is None
            assert type(value) is type(table[parameter].default), "as ROS reads it, 1 is no double"


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", ["arm", "leader_teleop"])
def test_a_preset_is_taken_by_the_nodes_of_a_real_arm(started, preset, name):
    client, node = started(name)
    values = parameter_files.load(preset)[name]
    assert client.change(node, values) == ""
    assert client.values(node, list(values)) == values
