"""From the replay to batches: how much comes from people, which crop, how far a return reaches."""

import numpy as np
import torch

from hilrl_learning.algorithms.base import Batch
from hilrl_learning.data import DELTA_AXES, ActionSpec, Gripper, ObservationSpec
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.replay import Replay, Transitions


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
        n_step: int,
        discount: float,
        gripper_middle_rad: float,
        device: torch.device,
        rng: np.random.Generator,
    ) -> None:
        self._replay = replay
        self._preprocessor = preprocessor
        self._axes = [DELTA_AXES.index(axis) for axis in action.axes]
        self._gripper_target = observation.state_names.index("gripper_target")
        self._batch = batch
        self._n_step = n_step
        self._discount = discount
        self._gripper_middle_rad = gripper_middle_rad
        self._device = device
        self._rng = rng

    def sample(self) -> Batch:
        """A batch for `RLAlgorithm.update`."""
        human = self._batch // 2
        chosen = self._replay.sample(self._rng, human, self._batch - human, self._n_step, self._discount)
        return self._assemble(chosen, human)

    def sample_human(self) -> Batch:
        """A batch of people's steps only, for `RLAlgorithm.imitate`."""
        chosen = self._replay.sample(self._rng, self._batch, 0, self._n_step, self._discount)
        return self._assemble(chosen, self._batch)

    def _assemble(self, chosen: Transitions, human: int) -> Batch:
        replay, slot = self._replay, chosen.slot
        gripper = replay.gripper[slot]
        is_open = replay.state[slot, self._gripper_target] > self._gripper_middle_rad
        moves = ((gripper == Gripper.CLOSE) & is_open) | ((gripper == Gripper.OPEN) & ~is_open)
        return Batch(
            features=self._features(slot),
            next_features=self._features(chosen.next_slot),
            delta=self._tensor(replay.delta[slot][:, self._axes]),
            gripper=self._tensor(gripper.astype(np.int64)),
            gripper_moves=self._tensor(moves.astype(np.float32)),
            reward=self._tensor(chosen.reward),
            discount=self._tensor(chosen.discount),
            human=human,
        )

    def _features(self, slot: np.ndarray) -> torch.Tensor:
        crop = self._rng.integers(0, self._replay.embedding.shape[1], len(slot))
        embedding = self._tensor(self._replay.embedding[slot, crop]).float()
        state = self._preprocessor.state(self._tensor(self._replay.state[slot]))
        return torch.cat((embedding, state), dim=-1)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)
