"""The graph of the real arms, as data: the drivers, and ros2_control between one and any graph."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory

from hilrl import parameter_files
from hilrl.graph import GIVES_WAY, from_options, layered, placed
from hilrl.nodes import ARM, CONTROLLER, LEADER_ARM, MCAP_RECORDER, STATE_PUBLISHER, Node
from hilrl.options import ARM_OPTIONS
from hilrl.packages import expect_installed
from hilrl.parameter_files import NodeParameters
from hilrl.viewers import description, recorders

UNDER_ROS2_CONTROL = (
    ("joint_states", "hardware/joint_states"),
    ("joint_commands", "hardware/joint_commands"),
)
"""What the follower's topics are then; `joint_states` is the joint_state_broadcaster's."""
CONTROLLER_MANAGER = Node(
    "controller_manager", "ros2_control_node", "controller_manager", respawn=False, use_sim_time=False
)
FORWARDER = Node("hilrl_control", "command_forwarder", "command_forwarder", respawn=True, use_sim_time=False)
STATE_SPAWNER, SPAWNER, INACTIVE_SPAWNER = SPAWNERS = tuple(
    Node("controller_manager", "spawner", name, respawn=False, use_sim_time=False, ends_by_itself=True)
    for name in ("state_spawner", "spawner", "inactive_spawner")
)
ROS2_CONTROL = (CONTROLLER_MANAGER, STATE_PUBLISHER, *SPAWNERS)

STATE_BROADCASTER = "joint_state_broadcaster"
TRAJECTORY_CONTROLLER = "joint_trajectory_controller"
FORWARD_CONTROLLER = "forward_command_controller"
CONTROLLERS = (STATE_BROADCASTER, TRAJECTORY_CONTROLLER, FORWARD_CONTROLLER)
PLUGINS = ("joint_state_topic_hardware_interface", *CONTROLLERS)
"""Packages that the controller manager loads."""

NODE_NAMES = frozenset(
    node.name for node in (ARM, LEADER_ARM, MCAP_RECORDER, CONTROLLER_MANAGER, STATE_PUBLISHER)
)
"""Nodes that parameters can be given to."""


def resolve_parameters(
    options: Mapping[str, Any], layers: Sequence[Mapping[str, Mapping[str, Any]]]
) -> NodeParameters:
    """As that of the training graph."""
    return layered(layers, from_options(ARM_OPTIONS, options), NODE_NAMES)


def arms(options: Mapping[str, Any], parameters: NodeParameters) -> list[Node]:
    """The drivers, and what records their topics."""
    drivers = [ARM, LEADER_ARM] if options["leader_port"] else [ARM]
    nodes = placed([*drivers, *recorders(options)], options["robot"], parameters)
    return [replace(node, niceness=GIVES_WAY if node.looks_on else 0) for node in nodes]


def under_ros2_control(
    nodes: Sequence[Node], options: Mapping[str, Any], parameters: NodeParameters
) -> list[Node]:
    """The graph with ros2_control between the follower and the others. The spawners are the last nodes.

    Raises ValueError where there is no follower, or ros2_control is not installed.
    """
    if ARM.name not in {node.name for node in nodes}:
        raise ValueError("ros2_control: expected a real arm, the simulated one has no driver; add sim:=false")
    others = [node for node in on_hardware_topics(nodes) if node.name != STATE_PUBLISHER.name]
    commanded = CONTROLLER.name in {node.name for node in nodes}
    return [*others, *controllers(options, parameters, commanded)]


def on_hardware_topics(nodes: Sequence[Node]) -> list[Node]:
    """The follower speaks to ros2_control instead of to the graph."""
    return [replace(node, remappings=UNDER_ROS2_CONTROL) if node.name == ARM.name else node for node in nodes]


def controllers(
    options: Mapping[str, Any], parameters: NodeParameters, commanded: bool = False
) -> list[Node]:
    """ros2_control for the follower. `commanded`: what the graph commands goes on to its controller.

    Raises ValueError if ros2_control is not installed.
    """
    expect_ros2_control()
    share = Path(get_package_share_directory("hilrl"))
    settings = share / "config" / "ros2_control.yaml"
    own: NodeParameters = {
        CONTROLLER_MANAGER.name: parameter_files.load(settings)[CONTROLLER_MANAGER.name],
        STATE_PUBLISHER.name: {"robot_description": description(share, ros2_control=True)},
    }
    active, inactive = TRAJECTORY_CONTROLLER, FORWARD_CONTROLLER
    if commanded:
        active, inactive = inactive, active
    spawned = {
        STATE_SPAWNER.name: (STATE_BROADCASTER,),
        SPAWNER.name: (active,),
        INACTIVE_SPAWNER.name: (inactive, "--inactive"),
    }
    nodes = [
        replace(node, arguments=(*spawned[node.name], "--param-file", str(settings)))
        if node.name in spawned
        else node
        for node in ([FORWARDER, *ROS2_CONTROL] if commanded else ROS2_CONTROL)
    ]
    return placed(nodes, options["robot"], parameter_files.merged([own, parameters]))


def expect_ros2_control() -> None:
    """Raises ValueError naming what is not installed."""
    expect_installed("ros2_control", [*(node.package for node in ROS2_CONTROL), *PLUGINS])
