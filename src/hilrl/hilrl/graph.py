"""The graph, written once, as data: which nodes, under which names, with which parameters.

`hilrl up` runs it with a process manager (supervisor.py); the launch files turn it into launch actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix

from hilrl import parameter_files
from hilrl.options import OPTIONS, Option
from hilrl.parameter_files import NodeParameters


@dataclass(frozen=True)
class Node:
    """One process of the graph."""

    package: str
    executable: str
    name: str
    respawn: bool
    """Start it again when it dies. Not for what holds the arm's state: a person decides about that."""
    in_namespace: bool = True
    """Lives in the robot's namespace; otherwise global."""
    use_sim_time: bool = True
    namespace: str = "/"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()
    niceness: int = 0
    """How far it gives way where cores are scarce, as `nice` counts."""
    arguments: tuple[str, ...] = ()
    """Command-line arguments, before those of ROS."""
    has_motors: bool = False
    """Holds motors under power: it is given the time to let the arm down before it ends."""
    ends_by_itself: bool = False
    """Does its work and ends."""

    @property
    def fully_qualified_name(self) -> str:
        """For example "/so101/actor"."""
        return f"{self.namespace.rstrip('/')}/{self.name}"


# The sim is the clock, the scene and the arm; the controller and the mux hold the arm's reference. Nothing
# can be respawned there behind the others' back: their death ends the run, which can be resumed.
SIM = Node("hilrl_sim", "sim", "sim", respawn=False, use_sim_time=False)
CONTROLLER = Node("hilrl_control", "ee_controller", "ee_controller", respawn=False)
MUX = Node("hilrl_teleop", "intervention_mux", "intervention_mux", respawn=False)
CROPPER = Node("hilrl_perception", "image_cropper", "image_cropper", respawn=True)
OPERATOR = Node("hilrl_teleop", "scripted_operator", "scripted_operator", respawn=True)
ACTOR = Node("hilrl_learning", "actor", "actor", respawn=True)
# In evaluation a restarted actor would begin its count again.
EVALUATION_ACTOR = replace(ACTOR, respawn=False)
LEARNER = Node("hilrl_learning", "learner", "learner", respawn=True, in_namespace=False, use_sim_time=False)


# Where a person sits: what died there comes back. The drivers of arms are never started again: a person looks
# first at what the arm did.
JOY_TELEOP = Node("hilrl_teleop", "joy_teleop", "joy_teleop", respawn=True, use_sim_time=False)
GAMEPAD = Node("hilrl_teleop", "gamepad", "gamepad", respawn=True, use_sim_time=False)
JOY_NODE = Node("joy", "joy_node", "joy_node", respawn=True, use_sim_time=False)
LEADER_TELEOP = Node("hilrl_teleop", "leader_teleop", "leader_teleop", respawn=True, use_sim_time=False)
ARM = Node(
    "hilrl_hardware",
    "so101_arm",
    "arm",
    respawn=False,
    use_sim_time=False,
    has_motors=True,
    parameters={"role": "follower"},
)
LEADER_ARM = replace(ARM, name="leader_arm", parameters={"role": "leader"})
DEVICES = {"joy": (GAMEPAD, JOY_TELEOP), "leader": (LEADER_ARM, LEADER_TELEOP)}

CLASSIFIER = Node("hilrl_perception", "reward_classifier", "reward_classifier", respawn=True)
RULE = Node("hilrl_perception", "reward_rule", "reward_rule", respawn=True)
REWARDS = {"sim": (), "classifier": (CLASSIFIER,), "rule": (RULE,), "operator": (RULE,)}
"""Who says what an observation is worth; the simulator does it itself."""

# In the robot's namespace, so that each arm of several can have a dataset of its own.
RECORDER = Node("hilrl_learning", "recorder", "recorder", respawn=True, use_sim_time=False)
PLAYER = Node("hilrl_learning", "replay_episode", "replay_episode", respawn=False, ends_by_itself=True)

ROBOT = (SIM, CROPPER, CONTROLLER, MUX)
TRAIN = (*ROBOT, OPERATOR, ACTOR, LEARNER)
EVALUATE = (*ROBOT, EVALUATION_ACTOR)
OPTIONAL = (JOY_TELEOP, GAMEPAD, LEADER_TELEOP, LEADER_ARM, CLASSIFIER, RULE, RECORDER, PLAYER)
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
        chosen.setdefault("intervention_mux", {})["lockstep_devices"] = ["scripted"]
    if options["reward"] == "operator":
        chosen["reward_rule"]["rule"] = "never"
    usual: NodeParameters = {CLASSIFIER.name: dict(GUARDS.get(options["task"], {}))}
    if options["operator"] == "human":
        usual[ACTOR.name] = {"max_episode_steps": round(HUMAN_EPISODE_S * options["control_hz"])}
        if options["reward"] == "classifier":
            usual[ACTOR.name]["veto_s"] = VETO_S
    resolved = layered([usual, *layers], chosen, NODE_NAMES)
    controller = resolved.get("ee_controller", {})
    shared = {name: controller[name] for name in OF_THE_CONTROLLER if name in controller}
    resolved["leader_teleop"] = {**shared, **resolved.get("leader_teleop", {})}
    return resolved


def devices_of(options: Mapping[str, Any]) -> list[str]:
    """The devices that the graph starts. Raises ValueError for one that is not known."""
    names = [name.strip() for name in options["devices"].split(",") if name.strip()]
    for name in names:
        if name not in DEVICES:
            raise ValueError(f"devices: expected some of {sorted(DEVICES)}, got {name!r}")
    return names


def train(options: Mapping[str, Any], parameters: NodeParameters, run: Path) -> list[Node]:
    """The graph that learns, storing under `run`."""
    nodes = [*robot(options), ACTOR, LEARNER]
    for_this_run = {name: {"run_dir": str(run)} for name in ("actor", "learner")}
    for_this_run[CLASSIFIER.name] = {"veto_dir": str(run / "vetoes")}
    return with_clock(nodes, options, parameter_files.merged([parameters, for_this_run]))


def robot(options: Mapping[str, Any]) -> list[Node]:
    """The arm and all who drive it or judge it, but for the policy."""
    rewards = REWARDS[options["reward"]]
    sim = replace(SIM, remappings=(("reward", "sim/reward"),)) if rewards else SIM
    operator = [OPERATOR] if options["operator"] == "scripted" else []
    devices = [node for name in devices_of(options) for node in DEVICES[name]]
    if _is_installed(JOY_NODE.package):
        devices = [JOY_NODE if node is GAMEPAD else node for node in devices]
    return [sim, *ROBOT[1:], *rewards, *operator, *devices]


def evaluate(
    options: Mapping[str, Any],
    parameters: NodeParameters,
    run: Path,
    actor: Mapping[str, Any],
) -> list[Node]:
    """The graph that tries a policy alone: no operator, no learner. `actor` says which and how often."""
    alone: NodeParameters = {"actor": {"mode": "evaluate", "run_dir": str(run), **actor}}
    alone_parameters = parameter_files.merged([parameters, alone])
    alone_parameters.get("intervention_mux", {}).pop("lockstep_devices", None)
    return with_clock(EVALUATE, options, alone_parameters)


def with_clock(nodes: Sequence[Node], options: Mapping[str, Any], parameters: NodeParameters) -> list[Node]:
    """The nodes as they run: placed, on one clock, and giving way as they should."""
    # In lockstep the stamp is the tick and no node reads a clock: each would wake up for nothing.
    clock = {node.name: {"use_sim_time": True} for node in nodes if node.use_sim_time}
    layers = [parameters] if options["lockstep"] else [clock, parameters]
    return [
        replace(node, niceness=GIVES_WAY if node.in_namespace == options["lockstep"] else 0)
        for node in placed(nodes, options["namespace"], parameter_files.merged(layers))
    ]


def placed(nodes: Sequence[Node], namespace: str, parameters: NodeParameters) -> list[Node]:
    """The nodes in the robot's namespace, with their parameters."""
    return [
        replace(
            node,
            namespace="/" + namespace.strip("/") if node.in_namespace else "/",
            parameters={**node.parameters, **parameters.get(node.name, {})},
        )
        for node in nodes
    ]


def _is_installed(package: str) -> bool:
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


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
