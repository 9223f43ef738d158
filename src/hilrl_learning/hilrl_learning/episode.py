"""What an episode is for, how it can end, and its numbers."""

from dataclasses import dataclass
from enum import IntEnum

from hilrl_learning.data import StepLabel


class Kind(IntEnum):
    """What an episode is for; the values of `Episode.kind`."""

    TRAINING = 0
    DEMONSTRATION = 1
    EVALUATION = 2


class Label(IntEnum):
    """How an operator says an episode ends; the values of `LabelEpisode.label`."""

    SUCCESS = 0
    FAILURE = 1
    DISCARD = 2
    RESET = 3
    """Cut off; the scene is set up anew."""
    RERECORD = 4
    """As DISCARD, and the same scene once more."""


ON_THE_STEP = {
    Label.SUCCESS: StepLabel.SUCCESS,
    Label.FAILURE: StepLabel.FAILURE,
    Label.DISCARD: StepLabel.DISCARD,
    Label.RESET: StepLabel.NONE,
    Label.RERECORD: StepLabel.DISCARD,
}


@dataclass
class EpisodeSummary:
    """Numbers of one episode, growing while it runs."""

    episode: int
    kind: Kind
    seed: int
    """Of the scene, -1: none."""
    start_ns: int = 0
    end_ns: int = 0
    steps: int = 0
    intervention_steps: int = 0
    """Steps whose action an operator chose."""
    episode_return: float = 0.0
    success: bool = False
    truncated: bool = False
    interrupted: bool = False
    """Truncated for another reason than its length."""
    label: Label | None = None
    """How the operator ended it."""
    policy_version: int = 0

    @property
    def duration_s(self) -> float:
        """In the time of the arm."""
        return (self.end_ns - self.start_ns) * 1e-9
