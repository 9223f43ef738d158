"""The graphs as launch actions, for an installed ROS."""

import contextlib
from collections.abc import Sequence

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node as LaunchNode

from hilrl import arm_graph, arm_up, graph, options, parameter_files
from hilrl.graph import Node
from hilrl.options import Option, Value
from hilrl.run_folder import RunFolder
from hilrl.supervisor import RESPAWN_DELAY_S, grace_s
from hilrl.up import prepare

IS_KNOWN = "all(angle == angle for angle in m.position)"
"""Whether the pose in a message `m` is made of numbers; others do not even equal themselves."""


def training() -> LaunchDescription:
    """An argument per option, and the nodes."""
    run = DeclareLaunchArgument(
        "run",
        default_value="",
        description="Name or path of the run; one that exists goes on where it was.",
    )
    return LaunchDescription([run, *_arguments(options.OPTIONS), OpaqueFunction(function=start_training)])


def start_training(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes of the run that the arguments name.

    Launch does not tell an argument left out from one given at its default: both leave a run that goes on
    as it is.
    """
    folder, config, _ = prepare(_value(context, "run") or None, _choices(context, options.OPTIONS), [])
    # Kept by the launch process until it ends.
    context.extend_globals({"hilrl_lock": folder.lock()})
    folder.store(config)
    nodes = graph.train(config.options, config.parameters, folder.path)
    return [LogInfo(msg=f"run folder: {folder.path}"), *actions(nodes, folder).values()]


def arm() -> LaunchDescription:
    """An argument per option, the drivers, and ros2_control where it is asked for."""
    ros2_control = DeclareLaunchArgument(
        "ros2_control",
        default_value="false",
        description="Command the follower through ros2_control's controllers instead of joint_commands.",
        choices=("true", "false"),
    )
    return LaunchDescription(
        [*_arguments(options.ARM_OPTIONS), ros2_control, OpaqueFunction(function=start_arm)]
    )


def start_arm(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes that the arguments ask for.

    Under ros2_control no controller commands anything before ros2_control itself knows the arm's pose: one
    that starts earlier would hold a pose of no numbers.
    """
    ros2_control = _value(context, "ros2_control") == "true"
    resources = contextlib.ExitStack()
    chosen, folder = arm_up.prepare(_choices(context, options.ARM_OPTIONS), resources)
    # Kept by the launch process until it ends.
    context.extend_globals({"hilrl_resources": resources})
    parameters = arm_up.parameters(chosen, [])
    drivers = arm_graph.arms(chosen, parameters, ros2_control)
    controllers = arm_graph.controllers(chosen, parameters) if ros2_control else []
    rendered = actions([*drivers, *controllers], folder)
    entities = [LogInfo(msg=f"log folder: {folder.path}"), *(rendered[node.name] for node in drivers)]
    if not ros2_control:
        return entities
    states = f"{drivers[0].namespace.rstrip('/')}/joint_states"
    manager, publisher, state_spawner, spawner, inactive_spawner = (
        rendered[node.name] for node in arm_graph.ROS2_CONTROL
    )
    first_pose = ExecuteProcess(
        cmd=["ros2", "topic", "echo", "--once", "--filter", IS_KNOWN, states, "sensor_msgs/msg/JointState"],
        name="first_pose",
        output="log",
    )
    return [
        *entities,
        _when_done(state_spawner, [first_pose]),
        _when_done(first_pose, [spawner]),
        _when_done(spawner, [inactive_spawner]),
        manager,
        publisher,
        state_spawner,
    ]


def actions(nodes: Sequence[Node], folder: RunFolder) -> dict[str, LaunchNode]:
    """One launch action per node, by name; the death of one that may not be started again ends all."""
    parameter_file = folder.path / "parameters.yaml"
    parameter_file.write_text(
        parameter_files.dump({node.fully_qualified_name: node.parameters for node in nodes})
    )
    return {
        node.name: LaunchNode(
            package=node.package,
            executable=node.executable,
            name=node.name,
            namespace=node.namespace,
            arguments=list(node.arguments),
            parameters=[str(parameter_file)],
            remappings=list(node.remappings),
            respawn=node.respawn,
            respawn_delay=RESPAWN_DELAY_S,
            prefix=f"nice -n {node.niceness}" if node.niceness else None,
            on_exit=None if node.respawn or node.ends_by_itself else Shutdown(reason=f"{node.name} ended"),
            sigterm_timeout=str(grace_s(node)),
            additional_env={"OMP_NUM_THREADS": "1"},
        )
        for node in nodes
    }


def _when_done(process: ExecuteProcess, following: list[LaunchDescriptionEntity]) -> LaunchDescriptionEntity:
    def go_on(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        return [Shutdown(reason=f"{event.process_name} failed")] if event.returncode else following

    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=go_on))


def _arguments(table: Sequence[Option]) -> list[LaunchDescriptionEntity]:
    return [
        DeclareLaunchArgument(
            option.name,
            default_value=option.default_text,
            description=option.description,
            choices=option.choices or None,
        )
        for option in table
    ]


def _choices(context: LaunchContext, table: Sequence[Option]) -> dict[str, Value]:
    return {
        option.name: option.parse(text)
        for option in table
        if (text := _value(context, option.name)) != option.default_text
    }


def _value(context: LaunchContext, name: str) -> str:
    return LaunchConfiguration(name).perform(context)
