"""The task of all cases in LeRobot's terms: two cameras of 128x128, 18 numbers of state, xyz and gripper."""

from collections.abc import Iterator

import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.gaussian_actor.configuration_gaussian_actor import GaussianActorConfig
from lerobot.rl.buffer import ReplayBuffer
from lerobot.utils.transition import Transition

CAMERAS = ("observation.images.front", "observation.images.wrist")
STATE = "observation.state"
STATE_SIZE = 18
CONTINUOUS_ACTIONS = 3
GRIPPER_COMMANDS = 3


def policy_config(*, images: bool, freeze_vision_encoder: bool = True) -> GaussianActorConfig:
    """Its defaults but for the shapes and the ranges of the data, which a user of theirs must set too."""
    inputs = {STATE: PolicyFeature(type=FeatureType.STATE, shape=(STATE_SIZE,))}
    statistics = {
        STATE: {"min": [-1.0] * STATE_SIZE, "max": [1.0] * STATE_SIZE},
        "action": {"min": [-1.0] * CONTINUOUS_ACTIONS, "max": [1.0] * CONTINUOUS_ACTIONS},
    }
    for camera in CAMERAS if images else ():
        inputs[camera] = PolicyFeature(type=FeatureType.VISUAL, shape=(3, 128, 128))
        statistics[camera] = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    return GaussianActorConfig(
        input_features=inputs,
        output_features={"action": PolicyFeature(type=FeatureType.ACTION, shape=(CONTINUOUS_ACTIONS,))},
        dataset_stats=statistics,
        num_discrete_actions=GRIPPER_COMMANDS,
        freeze_vision_encoder=freeze_vision_encoder,
        device="cpu",
    )


def observation(*, images: bool) -> dict[str, torch.Tensor]:
    """As their environment processors leave it: float32, images as planes in [0, 1], a batch of one."""
    result = {STATE: torch.rand(1, STATE_SIZE) * 2 - 1}
    for camera in CAMERAS if images else ():
        result[camera] = torch.rand(1, 3, 128, 128)
    return result


def transitions(count: int, *, images: bool) -> list[Transition]:
    """An episode as the actor collects it: a step's next state is the object the next step begins with."""
    return list(_transitions(count, images))


def _transitions(count: int, images: bool) -> Iterator[Transition]:
    state = observation(images=images)
    for i in range(count):
        next_state = observation(images=images)
        gripper = torch.randint(0, GRIPPER_COMMANDS, (1, 1)).float()
        yield Transition(
            state=state,
            action=torch.cat((torch.rand(1, CONTINUOUS_ACTIONS) * 2 - 1, gripper), dim=-1),
            reward=float(i == count - 1),
            next_state=next_state,
            done=i == count - 1,
            truncated=False,
            complementary_info={"discrete_penalty": torch.zeros(1), "is_intervention": False},
        )
        state = next_state


def replay_buffer(
    capacity: int, *, images: bool, use_drq: bool = True, optimize_memory: bool = True
) -> ReplayBuffer:
    """Empty; by default as their learner's `initialize_replay_buffer` makes it, but for the capacity."""
    return ReplayBuffer(
        capacity=capacity,
        device="cpu",
        state_keys=policy_config(images=images).input_features.keys(),
        storage_device="cpu",
        use_drq=use_drq,
        optimize_memory=optimize_memory,
    )
