"""From the replay to batches: how much comes from people, which crop, how far a return reaches."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hilrl_learning.algorithms.base import Batch, Observations
from hilrl_learning.data import DELTA_AXES, ActionSpec, Gripper, ObservationSpec
from hilrl_learning.encoders.augmentation import random_shift
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.replay import Replay


class DataMixer:
    """Half of every batch from people's steps, half from all steps (RLPD's symmetric sampling)."""

    def __init__(
        self,
        replay: Replay,
        preprocessor: Preprocessor,
        observation: ObservationSpec,
        action: ActionSpec,
        *,
        batch: int,
        window: int,
        n_step: int,
        discount: float,
        gripper_middle_rad: float,
        device: torch.device,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> None:
        """`window`: actions per sample, with which `n_step` must agree unless it is 1.

        `rng` draws steps and crops, `generator` shifts frames. Raises ValueError where the two differ.
        """
        if window not in (1, n_step):
            raise ValueError(f"n_step: expected {window}, the algorithm's action window, got {n_step}")
        self._replay = replay
        self._preprocessor = preprocessor
        self._axes = [DELTA_AXES.index(axis) for axis in action.axes]
        self._gripper_target = observation.state_names.index("gripper_target")
        self._batch = batch
        self._window = window
        self._n_step = n_step
        self._discount = discount
        self._gripper_middle_rad = gripper_middle_rad
        self._device = device
        self._rng = rng
        self._generator = generator

    def sample(self) -> Batch:
        """A batch for `RLAlgorithm.update`. Raises ValueError when there is nothing to sample yet."""
        return self._sample(self._batch // 2, self._batch - self._batch // 2)

    def sample_human(self) -> Batch:
        """A batch of people's steps only, for `RLAlgorithm.imitate`."""
        return self._sample(self._batch, 0)

    def _sample(self, human: int, everything: int) -> Batch:
        replay = self._replay
        with replay.lock:  # until everything is copied: another thread adds steps
            chosen = replay.sample(self._rng, human, everything, self._n_step, self._discount)
            steps = chosen.slots[:, : self._window]
            first = steps[:, 0]
            gripper = replay.gripper[steps]
            goal_rad = replay.state[steps, self._gripper_target]
            delta = replay.delta[steps][..., self._axes]
            source = replay.source[first]
            now, later = self._read(first), self._read(chosen.next_slot)
        is_open = goal_rad > self._gripper_middle_rad
        moves = ((gripper == Gripper.CLOSE) & is_open) | ((gripper == Gripper.OPEN) & ~is_open)
        return Batch(
            observation=self._observations(*now),
            next_observation=self._observations(*later),
            delta=self._tensor(delta),
            gripper=self._tensor(gripper.astype(np.int64)),
            gripper_moves=self._tensor(moves.astype(np.float32)),
            valid=self._tensor(chosen.valid[:, : self._window]),
            whole=self._tensor(chosen.whole),
            reward=self._tensor(chosen.reward),
            discount=self._tensor(chosen.discount),
            source=self._tensor(source.astype(np.int64)),
            human=human,
        )

    def _read(self, slots: NDArray[np.int64]) -> tuple[NDArray, NDArray]:
        """Vision, one of the cached crops or frames, and state of observations."""
        replay = self._replay
        if not replay.caches:
            return replay.images[slots], replay.state[slots]
        crop = self._rng.integers(0, replay.cached.shape[1], len(slots))
        return replay.cached[slots, crop], replay.state[slots]

    def _observations(self, vision: NDArray, state: NDArray) -> Observations:
        if self._replay.caches:
            inputs = self._tensor(vision).float()
        else:
            frames = self._preprocessor.shrink(self._tensor(vision))
            inputs = self._preprocessor.planes(random_shift(frames, self._generator))
        return Observations(inputs, self._preprocessor.state(self._tensor(state)))

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(array).to(self._device)
