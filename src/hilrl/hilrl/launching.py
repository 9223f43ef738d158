"""The training graph as launch actions, for an installed ROS."""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node as LaunchNode

from hilrl import graph, parameter_files
from hilrl.graph import Node
from hilrl.options import OPTIONS
from hilrl.run_folder import RunFolder
from hilrl.supervisor import RESPAWN_DELAY_S
from hilrl.up import prepare


def training() -> LaunchDescription:
    """An argument per option, and the nodes."""
    arguments = [
        DeclareLaunchArgument(
            option.name,
            default_value=option.default_text,
            description=option.description,
            choices=option.choices or None,
        )
        for option in OPTIONS
    ]
    run = DeclareLaunchArgument(
        "run",
        default_value="",
        description="Name or path of the run; one that exists goes on where it was.",
    )
    return LaunchDescription([run, *arguments, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes of the run that the arguments name.

    Launch does not tell an argument left out from one given at its default: both leave a run that goes on
    as it is.
    """

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    choices = {
        option.name: option.parse(value(option.name))
        for option in OPTIONS
        if value(option.name) != option.default_text
    }
    folder, config, _ = prepare(value("run") or None, choices, [])
    # Kept by the launch process until it ends.
    context.extend_globals({"hilrl_lock": folder.lock()})
    folder.store(config)
    nodes = graph.train(config.options, config.parameters, folder.path)
    return [LogInfo(msg=f"run folder: {folder.path}"), *actions(nodes, folder)]


def actions(nodes: list[Node], folder: RunFolder) -> list[LaunchNode]:
    """One launch action per node; the death of one that may not be started again ends all."""
    parameter_file = folder.path / "parameters.yaml"
    parameter_file.write_text(
        parameter_files.dump({node.fully_qualified_name: node.parameters for node in nodes})
    )
    return [
        LaunchNode(
            package=node.package,
            executable=node.executable,
            name=node.name,
            namespace=node.namespace,
            parameters=[str(parameter_file)],
            remappings=list(node.remappings),
            respawn=node.respawn,
            respawn_delay=RESPAWN_DELAY_S,
            prefix=f"nice -n {node.niceness}" if node.niceness else None,
            on_exit=None if node.respawn else Shutdown(reason=f"{node.name} ended"),
            additional_env={"OMP_NUM_THREADS": "1"},
        )
        for node in nodes
    ]
