"""The launch files and `hilrl up` start the same graphs. Needs `ros2 launch`, which has no wheel."""

import os
import re
import signal
import subprocess
import time

import psutil
import pytest
import yaml
from conftest import all_gone, node_processes
from domain_coordinator import domain_id

from hilrl import arm_graph, arm_up, graph, options
from hilrl.run_config import new_config
from hilrl.run_folder import RunFolder
from hilrl.supervisor import executable, ros_arguments

pytest.importorskip("launch_ros", reason="needs an installed ROS: launch_ros is not on the Python index")


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """(`ros2 launch` of a run with a few arguments, its folder), once all nodes run."""
    folder = tmp_path_factory.mktemp("launched")
    arguments = ["run:=here", "seed:=5", "robot:=so101_b", "servo_lag_s:=0.05"]
    with domain_id() as domain, open(folder / "output", "w") as output:
        process = subprocess.Popen(
            ["ros2", "launch", "hilrl", "train.launch.py", *arguments],
            cwd=folder,
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while len(node_processes(process.pid)) < len(graph.TRAIN):
            assert time.monotonic() < deadline and process.poll() is None, (folder / "output").read_text()
            time.sleep(0.1)
        yield process, RunFolder(folder / "runs" / "here")
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def test_both_renderings_agree_node_by_node(launched):
    process, run = launched
    found = node_processes(process.pid)
    config = new_config({"seed": 5, "robot": "so101_b", "servo_lag_s": 0.05}, [])
    nodes = graph.train(config.options, config.parameters, run.path)
    assert set(found) == {node.name for node in nodes}
    parameter_file = run.path / "parameters.yaml"
    parameters = yaml.safe_load(parameter_file.read_text())
    for node in nodes:
        expected = [str(executable(node)), *ros_arguments(node, parameter_file)]
        assert found[node.name].cmdline()[-len(expected) :] == expected
        assert parameters[node.fully_qualified_name]["ros__parameters"] == dict(node.parameters)


def test_a_launched_run_is_one_that_hilrl_can_go_on_with(launched):
    assert launched[1].load().options["seed"] == 5


def test_a_node_that_may_be_started_again_is(launched):
    process, _ = launched
    node_processes(process.pid)["image_cropper"].kill()
    time.sleep(0.5)
    deadline = time.monotonic() + 20
    while "image_cropper" not in node_processes(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_death_of_what_holds_the_arm_ends_the_launch(launched):
    process, _ = launched
    nodes: list[psutil.Process] = list(node_processes(process.pid).values())
    node_processes(process.pid)["intervention_mux"].kill()
    process.wait(30)
    assert all_gone(nodes, 1)


def test_the_arms_are_launched_as_hilrl_brings_them_up(tmp_path):
    arguments = ["emulated:=true", "robot:=so101_b"]
    with domain_id() as domain, open(tmp_path / "output", "w") as output:
        process = subprocess.Popen(
            ["ros2", "launch", "hilrl", "arm.launch.py", *arguments],
            cwd=tmp_path,
            env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while len(found := node_processes(process.pid)) < 2:
            assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "output").read_text()
            time.sleep(0.1)
        commands = {name: node.cmdline() for name, node in found.items()}
        process.send_signal(signal.SIGINT)
        process.wait(40)
    assert all_gone(list(found.values()), 1)
    folder = RunFolder(tmp_path / "runs" / "arm-so101_b")
    chosen = options.defaults(options.ARM_OPTIONS) | {"robot": "so101_b"}
    for arm in ("follower", "leader"):
        chosen[f"{arm}_port"] = str(folder.path / arm / "bus")
        chosen[f"{arm}_calibration"] = str(folder.path / arm / "calibration.json")
    nodes = arm_graph.arms(chosen, arm_up.parameters(chosen, []))
    assert set(commands) == {node.name for node in nodes}
    parameter_file = folder.path / "parameters.yaml"
    parameters = yaml.safe_load(parameter_file.read_text())
    for node in nodes:
        expected = [str(executable(node)), *ros_arguments(node, parameter_file)]
        assert commands[node.name][-len(expected) :] == expected
        assert parameters[node.fully_qualified_name]["ros__parameters"] == dict(node.parameters)


@pytest.mark.parametrize(
    ("file", "table"), [("train.launch.py", options.OPTIONS), ("arm.launch.py", options.ARM_OPTIONS)]
)
def test_show_args_tells_every_option_with_its_default(file, table):
    shown = subprocess.run(
        ["ros2", "launch", "hilrl", file, "--show-args"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for option in table:
        pattern = rf"'{option.name}':\s+{re.escape(option.description)}.*?\(default: '(.*?)'\)"
        assert re.search(pattern, shown, re.DOTALL)[1] == option.default_text
