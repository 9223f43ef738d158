"""Remembers the frames of a claimed success until it is clear whether a person takes it back. No ROS."""

from collections import OrderedDict, deque
from collections.abc import Sequence

import numpy as np

from hilrl_perception.reward_data import VETO, LabelledEpisode
from hilrl_perception.reward_observation import RewardObservation

MOST_FRAMES = 32
"""Of one claim."""


class ClaimMemory:
    """The last claim, with the frames that led to it."""

    def __init__(self, model_version: str) -> None:
        self._model_version = model_version
        self._recent: deque[tuple[RewardObservation, float]] = deque()
        self._episode: int | None = None
        self._claim: OrderedDict[int, tuple[RewardObservation, float]] = OrderedDict()
        self._claim_episode: int | None = None

    def begin(self, episode: int) -> None:
        """An episode begins. The claim of the one before can still be taken back."""
        self._recent.clear()
        self._episode = episode
        if episode == self._claim_episode:
            self._claim.clear()  # the same number once more is another episode

    def saw(self, observation: RewardObservation, probability: float, above: bool, n: int) -> None:
        """A new frame; the last `n` above the threshold can become a claim."""
        self._recent.append((observation, probability if above else -1.0))
        while len(self._recent) > n:
            self._recent.popleft()

    def claimed(self) -> None:
        """The frame seen last made a success."""
        if self._claim_episode != self._episode or not self._claim:
            self._claim.clear()
            self._claim_episode = self._episode
        for observation, probability in self._recent:
            if probability >= 0.0 and len(self._claim) < MOST_FRAMES:
                self._claim[observation.stamp_ns] = (observation, probability)

    def finished(self, episode: int, success: bool, truncated: bool) -> LabelledEpisode | None:
        """The end of an episode, or its correction: the frames of its claim where that was taken back.

        A cut-off says nothing about success, so it takes nothing back.
        """
        if self._claim_episode is None:
            self._claim_episode = episode  # this node came in the middle of the episode
        if not self._claim or episode != self._claim_episode or success or truncated:
            return None
        frames: Sequence[tuple[RewardObservation, float]] = list(self._claim.values())
        self._claim.clear()
        return LabelledEpisode(
            frames=np.stack([observation.frames for observation, _ in frames]),
            labels=np.zeros(len(frames), bool),
            stamps_ns=np.array([observation.stamp_ns for observation, _ in frames], np.int64),
            arm=np.stack([observation.arm.row() for observation, _ in frames]),
            provenance={
                "source": VETO,
                "episode": episode,
                "model": self._model_version,
                "probabilities": [probability for _, probability in frames],
            },
        )
