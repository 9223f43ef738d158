"""The graph, written once, as data: which nodes, under which names, with which parameters.

`hilrl up` runs it with a process manager (supervisor.py); the launch files turn it into launch actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hilrl import parameter_files, viewers
from hilrl.composition import composed
from hilrl.nodes import (
    ACTOR,
    ARM,
    CAMERAS,
    CLASSIFIER,
    CONTROLLER,
    CROPPER,
    DEVICES,
    EVALUATION_ACTOR,
    GAMEPAD,
    JOY_NODE,
    JOY_TELEOP,
    KEYBOARD,
    LEADER_ARM,
    LEADER_TELEOP,
    LEARNER,
    MCAP_RECORDER,
    MUX,
    OPERATOR,
    PLAYER,
    RECORDER,
    REWARDS,
    RULE,
    SIM,
    Node,
)
from hilrl.options import OPTIONS, Option
from hilrl.packages import expect_installed, is_installed
from hilrl.parameter_files import NodeParameters

ROBOT = (SIM, CROPPER, CONTROLLER, MUX)
TRAIN = (*ROBOT, OPERATOR, ACTOR, LEARNER)
OPTIONAL = (
    *(ARM, *CAMERAS),
    *(JOY_TELEOP, GAMEPAD, KEYBOARD, LEADER_TELEOP, LEADER_ARM),
    *(CLASSIFIER, RULE),
    *(RECORDER, PLAYER, MCAP_RECORDER),
    *viewers.NODES,
)
NODE_NAMES = frozenset(node.name for node in (*TRAIN, *OPTIONAL))
"""Nodes that parameters can be given to."""

OF_THE_CONTROLLER = (
    "step_m",
    "step_rad",
    "workspace_min",
    "workspace_max",
    "gripper_open_rad",
    "gripper_closed_rad",
)
"""Parameters that the leader arm's node has in common with ee_controller."""
GUARDS = {
    # A lifted cube is between jaws that were told to close, and above the table.
    "lift": {
        "gripper_range": [-0.05, 0.1],
        "gripper_target_range": [-0.3, -0.05],
        "ee_min": [-1.0, -1.0, 0.05],
    }
}
"""Where jaws and TCP are in a success, by task: what a classifier claims elsewhere is not believed."""
HUMAN_EPISODE_S = 30.0
"""Longest episode with a person, who is slower than a script [s]."""
VETO_S = 3.0
"""How long a person can take back what a classifier called a success [s]."""

GIVES_WAY = 19
"""Niceness of the side that can wait. In lockstep that is the simulation: it would take the core that the
learner needs, and collect more steps than can be learned from. In real time it is the learner: the arm comes
first."""


def resolve_parameters(
    options: Mapping[str, Any], layers: Sequence[Mapping[str, Mapping[str, Any]]]
) -> NodeParameters:
    """Parameters of all nodes but for what belongs to one start: files, then options, then `--set`.

    `layers` are the parameter files in order, with the assignments of `--set` last.
    Raises ValueError for a node that is not in the graph.
    """
    chosen = from_options(OPTIONS, options)
    if options["operator"] == "scripted" and options["lockstep"]:
        chosen.setdefault(MUX.name, {})["lockstep_devices"] = ["scripted"]
    if options["reward"] == "operator":
        chosen[RULE.name]["rule"] = "never"
    if options["moveit"]:
        chosen[CONTROLLER.name]["planner"] = "moveit"
    if not options["sim"]:
        for name in (ACTOR.name, PLAYER.name):
            chosen.setdefault(name, {})["sim_reset"] = False
    usual: NodeParameters = {CLASSIFIER.name: dict(GUARDS.get(options["task"], {}))}
    if options["operator"] == "human":
        usual[ACTOR.name] = {"max_episode_steps": round(HUMAN_EPISODE_S * options["control_hz"])}
        if options["reward"] == "classifier":
            usual[ACTOR.name]["veto_s"] = VETO_S
    if options["learner"] == "remote":
        # Others may send it steps too, from runs that know nothing of this one.
        usual.setdefault(ACTOR.name, {})["actor_id"] = options["robot"].strip("/").replace("/", "-")
    resolved = layered([usual, *layers], chosen, NODE_NAMES)
    controller = resolved.get(CONTROLLER.name, {})
    shared = {name: controller[name] for name in OF_THE_CONTROLLER if name in controller}
    resolved[LEADER_TELEOP.name] = {**shared, **resolved.get(LEADER_TELEOP.name, {})}
    return resolved


def devices_of(options: Mapping[str, Any]) -> list[str]:
    """The devices that the graph starts. Raises ValueError for one that is not known."""
    names = [name.strip() for name in options["devices"].split(",") if name.strip()]
    for name in names:
        if name not in DEVICES:
            raise ValueError(f"devices: expected some of {sorted(DEVICES)}, got {name!r}")
    return names


def train(options: Mapping[str, Any], parameters: NodeParameters, run: Path) -> list[Node]:
    """The graph that learns, storing under `run`. Raises ValueError for what is not installed."""
    learner_here = [LEARNER] if options["learner"] == "local" else []
    nodes = [*robot(options), ACTOR, *learner_here]
    for_this_run = {name: {"run_dir": str(run)} for name in (ACTOR.name, LEARNER.name)}
    for_this_run[CLASSIFIER.name] = {"veto_dir": str(run / "vetoes")}
    return with_clock(nodes, options, parameter_files.merged([parameters, for_this_run]))


def learn(options: Mapping[str, Any], parameters: NodeParameters, run: Path) -> list[Node]:
    """The learner alone, for arms on other machines."""
    for_this_run: NodeParameters = {LEARNER.name: {"run_dir": str(run)}}
    return placed([LEARNER], options["robot"], parameter_files.merged([parameters, for_this_run]))


def teleop(options: Mapping[str, Any], parameters: NodeParameters) -> list[Node]:
    """The arm in the hands of a person: nothing judges, nothing learns."""
    nodes = [*body(options), CROPPER, CONTROLLER, MUX, *_devices(options), *viewers.viewers(options)]
    return with_clock(nodes, options, parameters)


def evaluate(
    options: Mapping[str, Any], parameters: NodeParameters, run: Path, actor: Mapping[str, Any]
) -> list[Node]:
    """The graph that tries a policy alone: no scripted operator, no learner.

    `actor` says which policy and how often. The simulator judges a simulated arm, whatever trained it; a
    person beside a real one keeps their devices.
    """
    alone: NodeParameters = {ACTOR.name: {"mode": "evaluate", "run_dir": str(run), **actor}}
    alone_parameters = parameter_files.merged([parameters, alone])
    alone_parameters.get(MUX.name, {}).pop("lockstep_devices", None)
    if options["sim"]:
        options = {**options, "operator": "human", "devices": "", "reward": "sim"}
    nodes = [*robot(options), EVALUATION_ACTOR]
    return with_clock(nodes, options, alone_parameters)


def robot(options: Mapping[str, Any]) -> list[Node]:
    """The arm and all who drive it, judge it or look at it, but for the policy.

    Raises ValueError for what is not installed.
    """
    if options["moveit"]:
        expect_installed("moveit", ["moveit_py"])
    operator = [OPERATOR] if options["operator"] == "scripted" else []
    rewards = REWARDS[options["reward"]]
    look_on = viewers.viewers(options)
    return [*body(options), CROPPER, CONTROLLER, MUX, *rewards, *operator, *_devices(options), *look_on]


def body(options: Mapping[str, Any]) -> list[Node]:
    """What moves and sees: the simulator, or the driver of the arm and the cameras."""
    if not options["sim"]:
        return [ARM, *CAMERAS]
    judges = not REWARDS[options["reward"]]
    return [SIM if judges else replace(SIM, remappings=(("reward", "sim/reward"),))]


def with_clock(nodes: Sequence[Node], options: Mapping[str, Any], parameters: NodeParameters) -> list[Node]:
    """The nodes as they run: placed, on one clock, and giving way as they should."""
    # In lockstep the stamp is the tick and no node reads a clock: each would wake up for nothing.
    on_sim_time = options["sim"] and not options["lockstep"]
    clock = {node.name: {"use_sim_time": True} for node in nodes if node.use_sim_time and on_sim_time}
    placed_nodes = placed(nodes, options["robot"], parameter_files.merged([clock, parameters]))
    can_wait = [node.looks_on or node.in_namespace == options["lockstep"] for node in nodes]
    processes = [
        replace(node, niceness=GIVES_WAY if waits else 0)
        for node, waits in zip(placed_nodes, can_wait, strict=True)
    ]
    return composed(processes) if options["composed"] else processes


def placed(nodes: Sequence[Node], robot: str, parameters: NodeParameters) -> list[Node]:
    """The nodes in the namespace of `robot`, with their parameters."""
    return [
        replace(
            node,
            namespace="/" + robot.strip("/") if node.in_namespace else "/",
            parameters={**node.parameters, **parameters.get(node.name, {})},
        )
        for node in nodes
    ]


def parameters_by_name(nodes: Sequence[Node]) -> NodeParameters:
    """Of all nodes, by fully qualified name."""
    single = (one for node in nodes for one in node.components or (node,))
    return {node.fully_qualified_name: dict(node.parameters) for node in single}


def _devices(options: Mapping[str, Any]) -> list[Node]:
    devices = [node for name in devices_of(options) for node in DEVICES[name]]
    return [JOY_NODE if node is GAMEPAD and is_installed(JOY_NODE.package) else node for node in devices]


def from_options(table: Sequence[Option], options: Mapping[str, Any]) -> NodeParameters:
    """What the options say."""
    parameters: NodeParameters = {}
    for option in table:
        for target in option.sets:
            node, parameter = target.split(".")
            parameters.setdefault(node, {})[parameter] = options[option.name]
    return parameters


def layered(
    layers: Sequence[Mapping[str, Mapping[str, Any]]], chosen: NodeParameters, names: frozenset[str]
) -> NodeParameters:
    """Files, then what the options say, then the assignments of `--set`, which are the last of `layers`.

    Raises ValueError for a node that is none of `names`.
    """
    *files, assignments = layers
    for layer in layers:
        if unknown := set(layer) - names:
            raise ValueError(f"parameters of {sorted(unknown)}: no such node, expected {sorted(names)}")
    return parameter_files.merged([*files, chosen, assignments])
