"""The graphs as launch actions, for an installed ROS."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

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

from hilrl import arm_graph, arm_up, boards, evaluation, graph, options, parameter_files, record, teleop, up
from hilrl.nodes import Node
from hilrl.option import Option, Value
from hilrl.parameter_files import NodeParameters, merged
from hilrl.run_config import new_config
from hilrl.run_folder import RunFolder
from hilrl.supervisor import RESPAWN_DELAY_S, grace_s
from hilrl.viewers import recordings

IS_KNOWN = "all(angle == angle for angle in m.position)"
"""Whether the pose in a message `m` is made of numbers; others do not even equal themselves."""

RUN = DeclareLaunchArgument(
    "run", default_value="", description="Name or path of the run; one that exists goes on where it was."
)
ROS2_CONTROL = DeclareLaunchArgument(
    "ros2_control",
    default_value="false",
    description="Real arm: command the follower through the controllers of ros2_control.",
    choices=("true", "false"),
)
DATASET = (
    DeclareLaunchArgument("dataset", description="Folder of the LeRobotDataset, new or one that goes on."),
    DeclareLaunchArgument("episodes", default_value="50", description="How many more to record."),
    DeclareLaunchArgument(
        "task_text", default_value="", description="What they show, in a sentence; empty: that of the task."
    ),
)
TRIAL = (
    DeclareLaunchArgument("run", default_value="", description="Name or path of the run; empty: the newest."),
    DeclareLaunchArgument(
        "checkpoint", default_value="last", description="Which policy: last, bc or a version."
    ),
    DeclareLaunchArgument("episodes", default_value="20", description="How many starts to try."),
    DeclareLaunchArgument("videos", default_value="0", description="How many of them to film."),
    DeclareLaunchArgument("mcap", default_value="", description=options.MCAP.description),
)

Start = Callable[[LaunchContext], list[LaunchDescriptionEntity]]


def training() -> LaunchDescription:
    """Arguments and nodes of `train.launch.py`."""
    return _description(start_training, options.OPTIONS, RUN, last=[ROS2_CONTROL])


def learning() -> LaunchDescription:
    """Of `learner.launch.py`."""
    return _description(start_learning, options.LEARNER_OPTIONS, RUN)


def recording() -> LaunchDescription:
    """Of `record.launch.py`."""
    return _description(start_recording, options.OPTIONS, *DATASET, last=[ROS2_CONTROL])


def trying() -> LaunchDescription:
    """Of `eval.launch.py`."""
    return _description(start_trying, (), *TRIAL, last=[ROS2_CONTROL])


def driving() -> LaunchDescription:
    """Of `teleop.launch.py`."""
    return _description(start_driving, options.TELEOP_OPTIONS, last=[ROS2_CONTROL])


def arm() -> LaunchDescription:
    """Of `arm.launch.py`."""
    return _description(start_arm, options.ARM_OPTIONS, last=[ROS2_CONTROL])


def start_training(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes of the run that the arguments name.

    Launch does not tell an argument left out from one given at its default: both leave a run that goes on
    as it is.
    """
    folder, config, _ = up.prepare(_value(context, "run") or None, _choices(context, options.OPTIONS), [])
    resources = _kept(context)
    resources.enter_context(folder.lock())
    folder.store(config)
    parameters = merged([config.parameters, boards.parameters(config.options, folder, resources)])
    nodes = graph.train(config.options, parameters, folder.path)
    return _graph(context, nodes, folder, config.options, parameters)


def start_learning(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The learner of the run that the arguments name."""
    choices = _choices(context, options.LEARNER_OPTIONS)
    folder, config, _ = up.prepare(_value(context, "run") or None, choices, [])
    _kept(context).enter_context(folder.lock())
    folder.store(config)
    nodes = graph.learn(config.options, config.parameters, folder.path)
    return [LogInfo(msg=f"folder: {folder.path}"), *actions(nodes, folder).values()]


def start_recording(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes that record into the dataset; once it is full they wait to be ended."""
    config = new_config(_choices(context, options.OPTIONS), [])
    dataset = Path(_value(context, "dataset"))
    wanted = record.episodes_in(dataset) + _count(context, "episodes")
    folder = record.folder_of(dataset)
    resources = _kept(context)
    resources.enter_context(folder.lock())
    parameters = merged([config.parameters, boards.parameters(config.options, folder, resources)])
    nodes = record.recording(config.options, parameters, dataset, wanted, _value(context, "task_text"))
    return _graph(context, nodes, folder, config.options, parameters)


def start_trying(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes that try one policy of a run; the end of the actor, when all starts are tried, ends them."""
    run = _value(context, "run")
    folder = RunFolder.named(run) if run else RunFolder.newest()
    config = evaluation.loaded(folder, _value(context, "mcap"))
    version, policy_file = folder.policy(_value(context, "checkpoint"))
    resources = _kept(context)
    resources.enter_context(folder.lock())
    parameters = merged([config.parameters, boards.parameters(config.options, folder, resources)])
    episodes, videos = _count(context, "episodes"), _count(context, "videos", 0)
    trial = evaluation.trial(folder, policy_file, episodes, videos, version)
    nodes = graph.evaluate(config.options, parameters, folder.path, trial)
    where = LogInfo(msg=f"checkpoint {version}; results: {trial['result_file']}")
    return [where, *_graph(context, nodes, folder, config.options, parameters)]


def start_driving(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The nodes between a person and the arm."""
    choices = _choices(context, options.TELEOP_OPTIONS)
    nodes, folder, config = teleop.prepare(choices, [], _kept(context))
    return _graph(context, nodes, folder, config.options, config.parameters)


def start_arm(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The drivers that the arguments ask for."""
    chosen, folder = arm_up.prepare(_choices(context, options.ARM_OPTIONS), _kept(context))
    parameters = merged([arm_up.parameters(chosen, []), recordings(folder.path)])
    return _graph(context, arm_graph.arms(chosen, parameters), folder, chosen, parameters)


def _graph(
    context: LaunchContext,
    nodes: Sequence[Node],
    folder: RunFolder,
    chosen: Mapping[str, Value],
    parameters: NodeParameters,
) -> list[LaunchDescriptionEntity]:
    """The nodes, with ros2_control where it is asked for.

    Under ros2_control no controller commands anything before ros2_control itself knows the arm's pose: one
    that starts earlier would hold a pose of no numbers.
    """
    log = LogInfo(msg=f"folder: {folder.path}")
    if _value(context, "ros2_control") != "true":
        return [log, *actions(nodes, folder).values()]
    rendered = actions(arm_graph.under_ros2_control(nodes, chosen, parameters), folder)
    state_spawner, spawner, inactive_spawner = (rendered.pop(node.name) for node in arm_graph.SPAWNERS)
    states = f"/{chosen['robot'].strip('/')}/joint_states"
    first_pose = ExecuteProcess(
        cmd=["ros2", "topic", "echo", "--once", "--filter", IS_KNOWN, states, "sensor_msgs/msg/JointState"],
        name="first_pose",
        output="log",
    )
    return [
        log,
        _when_done(state_spawner, [first_pose]),
        _when_done(first_pose, [spawner]),
        _when_done(spawner, [inactive_spawner]),
        *rendered.values(),
        state_spawner,
    ]


def actions(nodes: Sequence[Node], folder: RunFolder) -> dict[str, LaunchNode]:
    """One launch action per node, by name; the death of one that may not be started again ends all."""
    parameter_file = folder.parameters
    parameter_file.write_text(parameter_files.dump(graph.parameters_by_name(nodes)))
    return {
        node.name: LaunchNode(
            package=node.package,
            executable=node.executable,
            name=None if node.components else node.name,
            exec_name=node.name,
            namespace=node.namespace,
            arguments=list(node.arguments),
            ros_arguments=["--enclave", node.fully_qualified_name],
            parameters=[str(parameter_file)],
            remappings=node.process_remappings,
            respawn=node.respawn,
            respawn_delay=RESPAWN_DELAY_S,
            prefix=f"nice -n {node.niceness}" if node.niceness else None,
            on_exit=None if _may_end(node) else Shutdown(reason=f"{node.name} ended"),
            sigterm_timeout=str(grace_s(node)),
            additional_env={"OMP_NUM_THREADS": "1"},
        )
        for node in nodes
    }


def _may_end(node: Node) -> bool:
    return node.respawn or node.ends_by_itself or node.looks_on


def _when_done(process: ExecuteProcess, following: list[LaunchDescriptionEntity]) -> LaunchDescriptionEntity:
    def go_on(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        if context.is_shutdown:
            return []
        return [Shutdown(reason=f"{event.process_name} failed")] if event.returncode else following

    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=go_on))


def _description(
    start: Start,
    table: Sequence[Option],
    *own: DeclareLaunchArgument,
    last: Sequence[DeclareLaunchArgument] = (),
) -> LaunchDescription:
    return LaunchDescription([*own, *_arguments(table), *last, OpaqueFunction(function=start)])


def _arguments(table: Sequence[Option]) -> list[LaunchDescriptionEntity]:
    return [
        DeclareLaunchArgument(
            option.name,
            default_value=option.default_text,
            description=option.description,
            choices=option.choices or (("true", "false") if option.kind is bool else None),
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


def _count(context: LaunchContext, name: str, minimum: int = 1) -> int:
    text = _value(context, name)
    if not text.isdecimal() or int(text) < minimum:
        raise ValueError(f"{name}: expected a whole number of at least {minimum}, got {text!r}")
    return int(text)


def _kept(context: LaunchContext) -> contextlib.ExitStack:
    """What is entered here lasts until the launch process ends."""
    resources = contextlib.ExitStack()
    context.extend_globals({"hilrl_resources": resources})
    return resources
