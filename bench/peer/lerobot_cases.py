"""What LeRobot does, measured in its own interpreter.

    lerobot_cases.py CASE OPTIONS-AS-JSON, which answers JSON on stdout

Written against its public API and wired as its learner and actor wire it (version 0.6: `rl/learner.py`,
`rl/actor.py`). Started by `table.peer`, which puts this folder's parent on the path.
"""

import sys
import time
from importlib.metadata import version
from itertools import cycle
from platform import python_version

import torch
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.gaussian_actor.modeling_gaussian_actor import GaussianActorPolicy
from lerobot.rl import OnlineOfflineMixer, ReplayBuffer, RLTrainer, SACAlgorithmConfig, make_algorithm
from lerobot.utils.transition import Transition

from peer.lerobot_setup import policy_config, replay_buffer, transitions
from peer.lerobot_transport import push, receive
from table import Result, calls_per_s, run_alone

POOL = 64
"""Different transitions that fill a buffer, as many as fill ours."""


def versions() -> dict[str, str]:
    """For the header of a table."""
    return {"Python": python_version(), **{name: version(name) for name in ("torch", "lerobot", "grpcio")}}


def update_images(seconds: float, batch: int, stored: int) -> Result:
    """Frozen default CNN on two cameras, as `freeze_vision_encoder` is their default."""
    return _updates(seconds, batch, stored, images=True, freeze_vision_encoder=True)


def update_images_trainable(seconds: float, batch: int, stored: int) -> Result:
    """The default CNN, trained."""
    return _updates(seconds, batch, stored, images=True, freeze_vision_encoder=False)


def update_state(seconds: float, batch: int, stored: int) -> Result:
    """No images; continuous critics, gripper critic, actor and temperature."""
    return _updates(seconds, batch, stored, images=False, freeze_vision_encoder=True)


def _updates(seconds: float, batch: int, stored: int, *, images: bool, freeze_vision_encoder: bool) -> Result:
    """Their training step: sample (prefetched by their thread), preprocess, one update of everything."""
    config = policy_config(images=images, freeze_vision_encoder=freeze_vision_encoder)
    policy = GaussianActorPolicy(config).train()
    preprocessor, _ = make_pre_post_processors(policy_cfg=config, dataset_stats=config.dataset_stats)
    buffer = replay_buffer(stored, images=images)
    _fill(buffer, stored, transitions(POOL, images=images))
    trainer = RLTrainer(
        algorithm=make_algorithm(cfg=SACAlgorithmConfig.from_policy_config(config), policy=policy),
        data_mixer=OnlineOfflineMixer(online_buffer=buffer),
        batch_size=batch,
        preprocessor=preprocessor,
    )
    return {"updates_per_s": calls_per_s(trainer.training_step, seconds)}


def replay(seconds: float, batch: int, stored: int) -> Result:
    """Add into fresh and into used memory, sample with and without the random shift, bytes per step."""
    steps = transitions(POOL, images=True)
    buffer = replay_buffer(stored, images=True)
    first, again = _fill(buffer, stored, steps), _fill(buffer, stored, steps)
    with_shift = calls_per_s(lambda: buffer.sample(batch), seconds)
    buffer.use_drq = False
    without = calls_per_s(lambda: buffer.sample(batch), seconds)
    doubled = replay_buffer(16, images=True, optimize_memory=False)
    _fill(doubled, 16, steps)
    return {
        "add_first_fill_per_s": first,
        "add_refill_per_s": again,
        "sample_shifted_ms": 1e3 / with_shift,
        "sample_frames_ms": 1e3 / without,
        "bytes_per_step": _bytes_per_transition(buffer),
        "bytes_per_step_with_next": _bytes_per_transition(doubled),
    }


def _fill(buffer: ReplayBuffer, count: int, steps: list[Transition]) -> float:
    """Add `count` transitions. Returns how many a second."""
    endless = cycle(steps)
    start = time.perf_counter()
    for _ in range(count):
        buffer.add(**next(endless))
    return count / (time.perf_counter() - start)


def _bytes_per_transition(buffer: ReplayBuffer) -> float:
    tensors = [*buffer.states.values(), buffer.actions, buffer.rewards, buffer.dones, buffer.truncateds]
    tensors += [buffer.episode_ends, *buffer.complementary_info.values()]
    if not buffer.optimize_memory:
        tensors += buffer.next_states.values()
    return sum(tensor.nbytes for tensor in tensors) / buffer.capacity


CASES = {
    case.__name__: case
    for case in (versions, update_images, update_images_trainable, update_state, replay, push, receive)
}


if __name__ == "__main__":
    torch.manual_seed(0)
    run_alone(CASES, sys.argv)
