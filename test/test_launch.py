"""`train.launch.py` and `hilrl up train` are the same graph. Needs `launch`, which has no wheel."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from hilrl import graph, options
from hilrl.run_config import new_config
from hilrl.supervisor import RESPAWN_DELAY_S, executable, ros_arguments

launch = pytest.importorskip("launch", reason="needs an installed ROS: launch is not on the Python index")
pytest.importorskip("launch_ros", reason="needs an installed ROS: launch_ros is not on the Python index")


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """The launch description of a run with a few arguments, its node actions by name, their command lines."""
    from ament_index_python.packages import get_package_share_directory
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch.utilities import perform_substitutions
    from launch_ros.actions import Node

    monkeypatch.chdir(tmp_path)
    path = Path(get_package_share_directory("hilrl"), "launch", "train.launch.py")
    description = get_launch_description_from_python_launch_file(str(path))
    context = launch.LaunchContext()
    given = {"run": "launched", "seed": "5", "namespace": "so101_b", "servo_lag_s": "0.05"}
    context.launch_configurations.update(given)
    found, queue = {}, list(description.entities)
    while queue:
        entity = queue.pop(0)
        if isinstance(entity, Node):
            entity._perform_substitutions(context)
            command = [perform_substitutions(context, part) for part in entity.cmd]
            found[entity.node_name.rsplit("/", 1)[-1]] = (entity, command)
        else:
            queue += entity.visit(context) or []
    return found


def test_both_renderings_agree_node_by_node(launched, tmp_path):
    config = new_config({"seed": 5, "namespace": "so101_b", "servo_lag_s": 0.05}, [])
    run = tmp_path / "runs" / "launched"
    nodes = graph.train(config.options, config.parameters, run)
    assert set(launched) == {node.name for node in nodes}
    for node in nodes:
        action, command = launched[node.name]
        assert command == [str(executable(node)), *ros_arguments(node, run / "parameters.yaml")]
        assert action.node_name == node.fully_qualified_name
        assert action._ExecuteLocal__respawn is node.respawn
        assert action._ExecuteLocal__respawn_delay == RESPAWN_DELAY_S
    parameters = yaml.safe_load((run / "parameters.yaml").read_text())
    for node in nodes:
        block = parameters[node.fully_qualified_name]["ros__parameters"]
        assert block == dict(node.parameters)


def test_a_launched_run_is_one_that_hilrl_can_go_on_with(launched, tmp_path):
    from hilrl.run_folder import RunFolder

    assert RunFolder(tmp_path / "runs" / "launched").load().options["seed"] == 5


def test_show_args_tells_every_option_with_its_default():
    shown = subprocess.run(
        ["ros2", "launch", "hilrl", "train.launch.py", "--show-args"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    for option in options.OPTIONS:
        pattern = rf"'{option.name}':\s+{re.escape(option.description)}.*?\(default: '(.*?)'\)"
        assert re.search(pattern, shown, re.DOTALL)[1] == option.default_text
