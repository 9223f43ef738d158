"""Every process that a graph may have, written once: what it is, and what becomes of it when it dies."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


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
    looks_on: bool = False
    """Shows what the others do; they go on without it."""
    components: tuple["Node", ...] = ()
    """Nodes that share this process; it is none itself."""

    @property
    def fully_qualified_name(self) -> str:
        """For example "/so101/actor"."""
        return f"{self.namespace.rstrip('/')}/{self.name}"

    @property
    def process_remappings(self) -> list[tuple[str, str]]:
        """Of the whole process, where each is for one of its nodes."""
        of_parts = [(f"{part.name}:{a}", b) for part in self.components for a, b in part.remappings]
        return [*self.remappings, *of_parts]


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
# In a graph it has no terminal to read.
KEYBOARD = Node(
    "hilrl_teleop",
    "keyboard_teleop",
    "keyboard_teleop",
    respawn=True,
    use_sim_time=False,
    parameters={"keys_from": "auto"},
)
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
CAMERAS = tuple(
    Node(
        "hilrl_perception",
        "camera",
        f"camera_{name}",
        respawn=True,
        use_sim_time=False,
        parameters={"camera": name},
    )
    for name in ("front", "wrist")
)
DEVICES = {"joy": (GAMEPAD, JOY_TELEOP), "keyboard": (KEYBOARD,), "leader": (LEADER_ARM, LEADER_TELEOP)}

CLASSIFIER = Node("hilrl_perception", "reward_classifier", "reward_classifier", respawn=True)
RULE = Node("hilrl_perception", "reward_rule", "reward_rule", respawn=True)
REWARDS = {"sim": (), "classifier": (CLASSIFIER,), "rule": (RULE,), "operator": (RULE,)}
"""Who says what an observation is worth; the simulator does it itself."""

# In the robot's namespace, so that each arm of several can have a dataset of its own.
RECORDER = Node("hilrl_learning", "recorder", "recorder", respawn=True, use_sim_time=False)
PLAYER = Node("hilrl_learning", "replay_episode", "replay_episode", respawn=False, ends_by_itself=True)

OWN_FRAMES = (("/tf", "tf"), ("/tf_static", "tf_static"))
"""Every robot has a base_link, so each has a tree of frames of its own, in its namespace."""
STATE_PUBLISHER = Node(
    "robot_state_publisher",
    "robot_state_publisher",
    "robot_state_publisher",
    respawn=True,
    looks_on=True,
    remappings=OWN_FRAMES,
)
WORKSPACE_DISPLAY = Node(
    "hilrl_control", "workspace_display", "workspace_display", respawn=True, looks_on=True
)
MCAP_RECORDER = Node(
    "hilrl_ros", "mcap_recorder", "mcap_recorder", respawn=True, use_sim_time=False, looks_on=True
)
# A window that was closed stays closed.
RVIZ = Node("rviz2", "rviz2", "rviz2", respawn=False, looks_on=True, remappings=OWN_FRAMES)
