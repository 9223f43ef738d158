"""Pre-training of the encoder on demonstrations: imitate, and say where the arm is and where it will go.

The demonstrations alone teach the encoder what matters, in the domain it will see: behaviour cloning, the
present position, the one a few steps later, and the position at which the gripper next acts. The last is the
object's place in hindsight, so no ground truth is needed (keyframes: James and Davison 2022, 2105.14829).
"""

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hilrl_learning.data import DELTA_AXES, ActionSpec, ObservationSpec, Source
from hilrl_learning.encoders import Encoder
from hilrl_learning.encoders.augmentation import colour_jitter, random_shift
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.replay import Replay

LOOK_AHEAD_STEPS = 3
GRIPPER_GOAL_CHANGE_RAD = 0.1


class EncoderPretraining:
    """Trains an encoder for a given time, in slices."""

    def __init__(
        self,
        encoder: Encoder,
        preprocessor: Preprocessor,
        replay: Replay,
        observation: ObservationSpec,
        action: ActionSpec,
        *,
        duration_s: float,
        colour_jitter: float,
        batch: int,
        seed: int,
        learning_rate: float = 1e-3,
    ) -> None:
        """Reads the demonstrations of `replay` into memory, shrunk. Raises ValueError when there are none."""
        self._encoder, self._preprocessor = encoder, preprocessor
        self._duration_s, self._jitter, self._batch = duration_s, colour_jitter, batch
        self._generator = torch.Generator().manual_seed(seed)
        episodes = shown_episodes(replay)
        slots = np.concatenate([episode[:-1] for episode in episodes])
        states = replay.state[slots]
        device = preprocessor.state_mean.device
        axes = [DELTA_AXES.index(axis) for axis in action.axes]
        places = np.concatenate([_places(replay, episode, observation) for episode in episodes])
        spread = np.maximum(places.std(0), 1e-2)
        self._small = torch.cat(
            [preprocessor.shrink(torch.from_numpy(replay.images[slot][None]).to(device)) for slot in slots]
        )
        self._state = preprocessor.state(torch.from_numpy(states).to(device))
        self._delta = torch.from_numpy(replay.delta[slots][:, axes]).to(device)
        self._gripper = torch.from_numpy(replay.gripper[slots].astype(np.int64)).to(device)
        self._places = torch.from_numpy(((places - places.mean(0)) / spread).astype(np.float32)).to(device)
        self._behaviour = nn.Sequential(
            nn.Linear(encoder.size + states.shape[1], 128), nn.ReLU(), nn.Linear(128, len(axes) + 3)
        ).to(device)
        self._where = nn.Linear(encoder.size, places.shape[1]).to(device)
        parameters = [*encoder.parameters(), *self._behaviour.parameters(), *self._where.parameters()]
        self._learning_rate = learning_rate
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=1e-4)
        self.frames = len(slots)
        self.batches = 0
        self.used_s = 0.0

    def work(self, slice_s: float) -> dict[str, float] | None:
        """Train for `slice_s`. Returns the last losses, or None once the time is used up."""
        if self.used_s >= self._duration_s:
            return None
        before_s, start = self.used_s, time.monotonic()
        losses: dict[str, Tensor] = {}
        # Once in any case: the process may be held up for all of the slice.
        while not losses or self.used_s < before_s + slice_s:
            # Down to a tenth along a cosine: the last features are the ones that stay.
            progress = min(1.0, self.used_s / self._duration_s)
            for group in self._optimizer.param_groups:
                group["lr"] = self._learning_rate * (0.1 + 0.45 * (1.0 + np.cos(np.pi * progress)))
            losses = self._update()
            self.batches += 1
            self.used_s = before_s + time.monotonic() - start
        return {name: loss.item() for name, loss in losses.items()}

    def _update(self) -> dict[str, Tensor]:
        rows = torch.randint(0, self.frames, (self._batch,), generator=self._generator).to(self._state.device)
        small = random_shift(self._small[rows], self._generator)
        small = colour_jitter(small, self._jitter, self._generator)
        embedding = self._encoder.encode(self._preprocessor.planes(small))
        behaviour = self._behaviour(torch.cat((embedding, self._state[rows]), -1))
        delta, gripper = behaviour[:, :-3], behaviour[:, -3:]
        losses = {
            "pretraining_delta": F.mse_loss(torch.tanh(delta), self._delta[rows]),
            "pretraining_gripper": F.cross_entropy(gripper, self._gripper[rows]),
            "pretraining_places": F.mse_loss(self._where(embedding), self._places[rows]),
        }
        self._optimizer.zero_grad()
        sum(losses.values()).backward()
        self._optimizer.step()
        return losses


def shown_episodes(replay: Replay) -> list[np.ndarray]:
    """Slots of the episodes that people did from start to end. Raises ValueError when there are none."""
    episodes = list(replay.episodes((Source.DEMONSTRATION, Source.INTERVENTION)))
    if not episodes:
        raise ValueError("pre-training: expected demonstrations in the replay, found none")
    return episodes


def _places(replay: Replay, episode: np.ndarray, observation: ObservationSpec) -> np.ndarray:
    """Per step (n, 9): TCP now, `LOOK_AHEAD_STEPS` later, and where the gripper goal next changes [m]."""
    names = observation.state_names
    tcp = replay.state[episode][:, [names.index(f"ee_position.{axis}") for axis in "xyz"]]
    goal = replay.state[episode, names.index("gripper_target")]
    steps, last = len(episode) - 1, len(episode) - 1
    now = np.arange(steps)
    changes = np.flatnonzero(np.abs(np.diff(goal)) > GRIPPER_GOAL_CHANGE_RAD)
    keyframes = np.append(changes, last)
    # The first keyframe at or after each step.
    key = keyframes[np.searchsorted(keyframes, now)]
    later = np.minimum(now + LOOK_AHEAD_STEPS, last)
    return np.concatenate((tcp[now], tcp[later], tcp[key]), axis=1)
