"""The image holds what the packages ask for; its boxes run commands that there are. Needs no Docker."""

import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_prefix

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"

ROS_BASE = {
    "ament_cmake", "ament_cmake_pytest", "ament_cmake_python", "ament_index_python", "builtin_interfaces",
    "diagnostic_msgs", "geometry_msgs", "launch", "launch_ros", "rcl_interfaces", "rclpy", "ros2launch",
    "ros2topic", "rosgraph_msgs", "rosidl_default_generators", "rosidl_default_runtime", "sensor_msgs",
    "shape_msgs", "std_msgs", "std_srvs", "trajectory_msgs", "visualization_msgs",
}  # fmt: skip
"""Packages of ours that are in the ros_base of Jazzy (REP 2001)."""
BROUGHT_ALONG = {"moveit_msgs": "moveit"}
"""Messages that come with what uses them."""
FROM_PIP = {
    "python3-evdev": "evdev",
    "python3-imageio": "imageio",
    "python3-matplotlib": "matplotlib",
    "python3-opencv": "opencv-python-headless",
    "python3-psutil": "psutil",
    "python3-pytest": "pytest",
    "python3-rich": "rich",
    "python3-serial": "pyserial",
    "python3-tornado": "tornado",
    "python3-yaml": "PyYAML",
}
"""Keys of rosdep that requirements.txt pins under another name."""
FROM_ROS = {"python3-numpy"}
"""Of the underlay, as every ROS package is built against it."""


def dockerfile() -> str:
    return (DOCKER / "Dockerfile").read_text()


def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def installed() -> set[str]:
    """The ROS packages that the image takes from apt."""
    names = re.findall(r"^\s+ros-jazzy-([a-z0-9-]+)", dockerfile(), re.MULTILINE)
    return {name.replace("-", "_") for name in names}


def asked_for() -> set[str]:
    """Everything that any of our packages depends on, but for each other."""
    manifests = [ElementTree.parse(path).getroot() for path in (ROOT / "src").glob("*/package.xml")]
    own = {manifest.find("name").text for manifest in manifests}
    named = {child.text for manifest in manifests for child in manifest if child.tag.endswith("depend")}
    return named - own


def test_the_image_holds_every_ros_package_that_ours_depend_on():
    ros = {name for name in asked_for() if not name.startswith("python3-")}
    assert {BROUGHT_ALONG.get(name, name) for name in ros} - ROS_BASE <= installed()


def test_python_packages_are_the_pinned_ones():
    """One provider each: what apt and pip both brought would be a matter of luck."""
    pinned = set(re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    keys = {name for name in asked_for() if name.startswith("python3-")}
    assert {FROM_PIP.get(name, name) for name in keys - FROM_ROS} <= pinned
    assert not set(FROM_PIP) & set(re.findall(r"^\s+(python3-[a-z0-9-]+)", dockerfile(), re.MULTILINE))


def test_what_the_setup_looks_for_is_there():
    """Building may not have to install anything: the image would change behind the Dockerfile's back."""
    words = set(dockerfile().split())
    source = (ROOT / "bootstrap.py").read_text()
    for package in (
        "g++",
        "cmake",
        "python3-colcon-common-extensions",
        "libegl1",
        "libgl1-mesa-dri",
        "libopengl0",
    ):
        assert f'"{package}"' in source and package in words
    assert {"python3-venv", "python3-dev"} <= words


def test_nodes_run_as_a_user_who_may_open_the_arm_and_the_cameras():
    stages = dockerfile().split("\nFROM ")
    assert re.search(r"useradd .*--groups dialout,video", stages[-1]) and "\nUSER robot\n" in stages[-1]


def test_everything_copied_into_the_image_is_in_the_repository():
    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile(), re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source


def test_no_build_or_run_of_this_machine_is_sent_to_docker():
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().split()
    assert {".git", ".venv", "build", "install", "log", "runs"} <= set(ignored)


@pytest.mark.parametrize("box", ["robot", "learner"])
def test_a_box_runs_a_command_that_there_is(box):
    words = compose()["services"][box]["command"].split()
    graph, options = words[2], [word for word in words if word.startswith("--")]
    hilrl = Path(get_package_prefix("hilrl"), "bin", "hilrl")
    known = subprocess.run(
        [hilrl, "up", graph, "--help"], capture_output=True, text=True, check=True, timeout=100
    ).stdout
    for option in options:
        assert option in known


def test_boxes_on_one_host_find_each_other_and_may_share_memory():
    for box in compose()["services"].values():
        assert box["network_mode"] == box["ipc"] == "host"
        assert "SUBNET" in box["environment"]["ROS_AUTOMATIC_DISCOVERY_RANGE"]


def test_the_robot_is_given_the_devices_that_its_command_names():
    robot = compose()["services"]["robot"]
    inside = [device.rsplit(":", 1)[1] for device in robot["devices"]]
    assert inside == [word for word in robot["command"].split() if word.startswith("/dev/")]


@pytest.mark.parametrize("script", ["entrypoint.sh", "test.sh"])
def test_the_scripts_are_shell_and_can_be_run(script):
    assert os.access(DOCKER / script, os.X_OK)
    subprocess.run([shutil.which("sh"), "-n", DOCKER / script], check=True)
