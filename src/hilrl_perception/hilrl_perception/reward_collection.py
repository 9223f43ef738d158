"""The frames of the running episode, until it is known what they show. Plain, no ROS."""

from typing import Any

import numpy as np

from hilrl_perception.reward_data import LabelledEpisode
from hilrl_perception.reward_labels import Truth, TruthLabels, by_ending
from hilrl_perception.reward_observation import RewardObservation


class EpisodeFrames:
    """Collects one episode after the other."""

    def __init__(self, by_truth: bool) -> None:
        """`by_truth`: a simulator labels every frame; else the episode's ending does."""
        self._by_truth = by_truth
        self._labels_of = TruthLabels()
        self._provenance: dict[str, Any] | None = None
        self._observations: list[RewardObservation] = []
        self._labels: list[bool] = []
        self._success = False
        self._last_ns: int | None = None
        self._ended = False
        self.rise_m = 0.0
        """Of the first object in the newest frame, by truth [m]."""

    @property
    def done(self) -> bool:
        """By truth, the newest frame shows success."""
        return bool(self._labels) and self._labels[-1]

    def begin(self, **provenance: Any) -> None:
        """An episode begins; `provenance` says "source" and "episode"."""
        self._provenance = provenance
        self._labels_of.begin()
        self._observations, self._labels = [], []
        self._success, self._ended, self._last_ns = False, False, None

    def add(self, observation: RewardObservation, truth: Truth | None) -> None:
        """The next frame. Frames outside an episode are not kept, and no stamp is kept twice."""
        if self._provenance is None:
            return
        if self._observations and observation.stamp_ns <= self._observations[-1].stamp_ns:
            return
        self._observations.append(observation)
        if self._by_truth:
            self.rise_m = self._labels_of.rise_m(truth)
            self._labels.append(self._labels_of.label(truth))

    def end(self, episode: int, success: bool, last_ns: int | None) -> bool:
        """How it ended, `last_ns` being its last stamp where that is known; True once all frames are in.

        An ending of another episode is not this one's.
        """
        if self._provenance is None or self._provenance["episode"] != episode:
            return False
        self._success, self._ended, self._last_ns = success, True, last_ns
        return last_ns is None or self.ends_at(self._newest_ns)

    def ends_at(self, stamp_ns: int) -> bool:
        """Whether the episode was over with this stamp."""
        return self._ended and self._last_ns is not None and stamp_ns >= self._last_ns

    def finish(self, positive_s: float, **provenance: Any) -> LabelledEpisode | None:
        """The labelled episode; None where there are no frames, or nobody said how it ended."""
        known, self._provenance = self._provenance, None
        kept = [o for o in self._observations if self._last_ns is None or o.stamp_ns <= self._last_ns]
        if known is None or not kept or not (self._ended or self._by_truth):
            return None
        stamps_ns = np.array([observation.stamp_ns for observation in kept], np.int64)
        labels = by_ending(stamps_ns, self._success, positive_s)
        if self._by_truth:
            labels = np.array(self._labels[: len(kept)], bool)
        return LabelledEpisode(
            frames=np.stack([observation.frames for observation in kept]),
            labels=labels,
            stamps_ns=stamps_ns,
            arm=np.stack([observation.arm.row() for observation in kept]),
            provenance={**known, "labels": "truth" if self._by_truth else "ending", **provenance},
        )

    @property
    def _newest_ns(self) -> int:
        return self._observations[-1].stamp_ns if self._observations else -1
