"""ros2_control for the arm: its description, its controllers, and, where they are installed, both at work."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import xacro
import yaml
from ament_index_python.packages import get_package_share_directory

from hilrl import arm_graph, options, parameter_files, viewers
from hilrl_hardware.calibration import URDF_LOWER_RAD, URDF_UPPER_RAD
from hilrl_ros.joints import JOINT_NAMES

SHARE = Path(get_package_share_directory("hilrl"))


def is_installed() -> bool:
    try:
        arm_graph.expect_ros2_control()
    except ValueError:
        return False
    return True


def description() -> ElementTree.Element:
    return ElementTree.fromstring(viewers.description(SHARE, ros2_control=True))


@pytest.fixture(scope="module")
def settings():
    return parameter_files.load(SHARE / "config" / "ros2_control.yaml")


def interfaces(joint: ElementTree.Element, kind: str) -> set[str]:
    return {interface.get("name") for interface in joint.iterfind(kind)}


def test_without_the_argument_the_description_is_what_it_was():
    robot = description()
    plain = ElementTree.fromstring(xacro.process_file(str(SHARE / "urdf" / "so101.urdf.xacro")).toxml())
    assert plain.find("ros2_control") is None
    robot.remove(robot.find("ros2_control"))
    canonical = [ElementTree.canonicalize(ElementTree.tostring(r), strip_text=True) for r in (plain, robot)]
    assert canonical[0] == canonical[1]


def test_every_joint_that_moves_is_driven():
    robot = description()
    moving = [joint.get("name") for joint in robot.iterfind("joint") if joint.get("type") == "revolute"]
    driven = [joint.get("name") for joint in robot.iterfind("ros2_control/joint")]
    assert driven == moving == list(JOINT_NAMES)


def test_the_limits_are_those_of_the_joints_and_of_the_driver():
    robot = description()
    for name in JOINT_NAMES:
        limit = robot.find(f"joint[@name='{name}']/limit")
        assert float(limit.get("lower")) == URDF_LOWER_RAD[name]
        assert float(limit.get("upper")) == URDF_UPPER_RAD[name]
    # ros2_control takes them from the joints; limits of its own could only contradict them.
    assert not list(robot.iterfind("ros2_control/joint/command_interface/param"))


def test_no_pose_is_made_up_before_the_arm_has_told_one():
    robot = description()
    assert "initial_value" not in {param.get("name") for param in robot.find("ros2_control").iter("param")}


def test_the_hardware_speaks_on_the_topics_that_the_driver_is_moved_to():
    hardware = description().find("ros2_control/hardware")
    assert hardware.find("plugin").text == "joint_state_topic_hardware_interface/JointStateTopicSystem"
    params = {param.get("name"): param.text for param in hardware.iterfind("param")}
    assert {params["joint_states_topic"], params["joint_commands_topic"]} == {
        target for _, target in arm_graph.UNDER_ROS2_CONTROL
    }
    # Relative, so that a second arm has its own; and every cycle is sent, so that silence means something.
    assert not any(target.startswith("/") for _, target in arm_graph.UNDER_ROS2_CONTROL)
    assert float(params["trigger_joint_command_threshold"]) < 0
    assert arm_graph.PLUGINS[0] == hardware.find("plugin").text.split("/")[0]


def test_only_the_follower_is_moved_to_them():
    chosen = options.checked_for_arm(
        {"follower_calibration": "f", "leader_port": "/dev/l", "leader_calibration": "l"}
    )
    follower, leader = arm_graph.on_hardware_topics(arm_graph.arms(chosen, {}))
    assert dict(follower.remappings) == dict(arm_graph.UNDER_ROS2_CONTROL)
    assert leader.remappings == ()


def test_every_controller_that_is_spawned_is_set_up_for_any_namespace(settings):
    assert set(settings) == {"controller_manager", *arm_graph.CONTROLLERS}
    document = yaml.safe_load((SHARE / "config" / "ros2_control.yaml").read_text())
    assert all(key.startswith("/**/") for key in document)
    for name in arm_graph.CONTROLLERS:
        # Each lives in the package of its own name.
        assert settings[name]["type"].split("/")[0] == name


def test_the_controllers_use_the_joints_and_interfaces_that_there_are(settings):
    trajectory, forward = settings["joint_trajectory_controller"], settings["forward_command_controller"]
    assert trajectory["joints"] == forward["joints"] == list(JOINT_NAMES)
    for joint in description().iterfind("ros2_control/joint"):
        commands, states = interfaces(joint, "command_interface"), interfaces(joint, "state_interface")
        assert commands == {"position"}
        assert {*trajectory["command_interfaces"], forward["interface_name"]} <= commands
        assert set(trajectory["state_interfaces"]) <= states == {"position", "velocity", "effort"}


def test_the_controllers_run_as_often_as_the_driver(settings):
    driver = parameter_files.load(SHARE / "config" / "arm.yaml")["arm"]
    assert settings["controller_manager"]["update_rate"] == driver["state_hz"]


@pytest.mark.skipif(is_installed(), reason="ros2_control is installed")
def test_where_ros2_control_is_missing_it_is_said_what_to_install():
    with pytest.raises(ValueError, match=r"ros2_control: .* sudo apt install .*ros-jazzy-controller-manager"):
        arm_graph.controllers(options.defaults(options.ARM_OPTIONS), {})
