"""Random steps, and our own learner filled with them, for the benchmarks."""

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch

from hilrl_learning.algorithms.sac import SAC, SACConfig
from hilrl_learning.data import Action, ActionSpec, Gripper, Observation, ObservationSpec, Source, Step
from hilrl_learning.data_mixer import DataMixer
from hilrl_learning.encoders import Encoder
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.replay import Replay
from hilrl_learning.train_config import TrainConfig

STATE_SIZE = 18
EPISODE_STEPS = 100
DEMONSTRATED = 10
"""One episode of so many is a person's."""
POOL = 64
"""Different observations; they come round again and again, so that making them is no part of a time."""


def observation_spec(side_px: int, cameras: tuple[str, ...] = ("front", "wrist")) -> ObservationSpec:
    """Square frames and 18 numbers of state."""
    names = (*(f"state_{i}" for i in range(STATE_SIZE - 1)), "gripper_target")
    return ObservationSpec(state_names=names, cameras=cameras, image_size=(side_px, side_px))


def steps(spec: ObservationSpec) -> Iterator[Step]:
    """Without end, in episodes of `EPISODE_STEPS`, of which the first and every tenth is demonstrated."""
    rng = np.random.default_rng(0)
    pool = [
        Observation(
            stamp_ns=0,
            state=rng.uniform(-1.0, 1.0, len(spec.state_names)).astype(np.float32),
            images=rng.integers(0, 256, (len(spec.cameras), *spec.image_size, 3), dtype=np.uint8),
        )
        for _ in range(POOL)
    ]
    actions = [
        [
            Action(rng.uniform(-1.0, 1.0, 5).astype(np.float32), Gripper(int(rng.integers(3))), source)
            for _ in range(POOL)
        ]
        for source in (Source.POLICY, Source.DEMONSTRATION)
    ]
    for number in count():
        episode, index = divmod(number, EPISODE_STEPS)
        last = index == EPISODE_STEPS - 1
        yield Step(
            actor_id="arm",
            sequence=number + 1,
            episode=episode + 1,
            index=index,
            observation=pool[number % POOL],
            action=actions[episode % DEMONSTRATED == 0][number % POOL],
            reward=float(last),
            terminated=last,
            final_observation=pool[(number + 1) % POOL] if last else None,
        )


class Learner:
    """The parts of our learner that take part in an update, put together as `Trainer` does."""

    def __init__(
        self, folder: Path, spec: ObservationSpec, encoder: Encoder, *, capacity: int, batch: int
    ) -> None:
        """With the default settings, but for an actor update with every critic update, as the peer has it."""
        settings, action, device = TrainConfig(), ActionSpec(), torch.device("cpu")
        self._steps, self._rng = steps(spec), np.random.default_rng(0)
        cached = encoder.cached_shape
        self.replay = Replay(folder, spec, None if cached is None else (settings.crops, *cached), capacity)
        self.sac = SAC(
            SACConfig(critic_only_updates=0, critic_updates_per_actor_update=1),
            encoder,
            len(spec.state_names),
            len(action.axes),
            device,
        )
        self.mixer = DataMixer(
            self.replay,
            Preprocessor(len(spec.state_names), encoder.frame_size),
            spec,
            action,
            batch=batch,
            window=self.sac.window,
            n_step=settings.n_step,
            discount=settings.discount,
            gripper_middle_rad=settings.gripper_middle_rad,
            device=device,
            rng=np.random.default_rng(0),
            generator=torch.Generator().manual_seed(0),
        )

    def fill(self, count: int) -> None:
        """Store `count` more steps, and random numbers for their embeddings."""
        for step in islice(self._steps, count):
            self.replay.add(step)
        if not self.replay.caches:
            return
        self.replay.encode_with(1)
        outputs = self._rng.uniform(-1.0, 1.0, (1024, *self.replay.cached.shape[1:])).astype(np.float16)
        while self.replay.uncached:
            slots, serials = self.replay.take_uncached(len(outputs))
            self.replay.cache(slots, serials, outputs[: len(slots)])

    def training_step(self) -> None:
        """Sample a batch and update everything once, as the peer's `training_step` does."""
        self.sac.update(self.mixer.sample())
