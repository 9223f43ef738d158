"""The declared parameters of every node, without starting one."""

from collections.abc import Mapping, Sequence

from hilrl_control import ee_controller_node, workspace_display_node
from hilrl_hardware import arm_parameters
from hilrl_learning import actor_parameters, episode_player_node, learner_node, recorder_node
from hilrl_learning.algorithms import registry
from hilrl_learning.train_config import TrainConfig
from hilrl_perception import (
    camera_node,
    image_cropper_node,
    reward_classifier_node,
    reward_collector_node,
    reward_rule_node,
)
from hilrl_ros import mcap_recorder_node
from hilrl_ros.parameters import Parameter
from hilrl_sim import sim_node
from hilrl_teleop import (
    gamepad_node,
    intervention_mux_node,
    joy_layout,
    joy_teleop_node,
    keyboard_teleop_node,
    leader_teleop_node,
    scripted_operator_node,
)

CAMERAS = ("front", "wrist")
PAD = "xbox"
ALGORITHM = "sac"


def parameter_tables() -> Mapping[str, Sequence[Parameter]]:
    """By node name; of blocks per camera, per pad and per algorithm, those that there are by default."""
    return {
        "sim": sim_node.TABLE,
        "arm": [arm_parameters.ROLE, *arm_parameters.parameter_table("follower")],
        "leader_arm": [arm_parameters.ROLE, *arm_parameters.parameter_table("leader")],
        "camera_front": camera_node.PARAMETERS,
        "image_cropper": [
            *image_cropper_node.PARAMETERS,
            *(image_cropper_node.crop_parameter(camera) for camera in CAMERAS),
        ],
        "ee_controller": ee_controller_node.parameter_table(),
        "workspace_display": workspace_display_node.parameter_table(),
        "intervention_mux": intervention_mux_node.PARAMETERS,
        "leader_teleop": leader_teleop_node.PARAMETERS,
        "gamepad": gamepad_node.PARAMETERS,
        "joy_teleop": [
            joy_teleop_node.PAD,
            *joy_teleop_node.PARAMETERS,
            *joy_layout.parameter_table(PAD),
        ],
        "keyboard_teleop": keyboard_teleop_node.PARAMETERS,
        "scripted_operator": scripted_operator_node.PARAMETERS,
        "reward_classifier": reward_classifier_node.PARAMETERS,
        "reward_rule": reward_rule_node.PARAMETERS,
        "reward_collector": reward_collector_node.PARAMETERS,
        "actor": actor_parameters.PARAMETERS,
        "learner": [
            *learner_node.PARAMETERS,
            *learner_node.dataclass_parameters(TrainConfig),
            *learner_node.dataclass_parameters(registry.algorithm(ALGORITHM).config_class, f"{ALGORITHM}."),
        ],
        "recorder": recorder_node.PARAMETERS,
        "replay_episode": episode_player_node.PARAMETERS,
        "mcap_recorder": mcap_recorder_node.PARAMETERS,
    }
