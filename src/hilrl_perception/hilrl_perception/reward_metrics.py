"""How good a reward is: per frame, and per episode after debounce and guard. Plain numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilrl_perception.reward_data import LabelledEpisode
from hilrl_perception.reward_guard import ArmState, Guard
from hilrl_perception.reward_judge import RewardJudge

LEAST_THRESHOLD = 0.5


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold, and what it does to the frames it was chosen on."""

    threshold: float
    precision: float
    recall: float
    reached: bool
    """Whether the wanted precision was."""


@dataclass(frozen=True)
class Confusion:
    """Frames, or anything else that is counted, by truth and claim."""

    true_positives: int = 0
    false_positives: int = 0
    true_negatives: int = 0
    false_negatives: int = 0

    @property
    def precision(self) -> float:
        """1 where nothing was claimed."""
        claimed = self.true_positives + self.false_positives
        return self.true_positives / claimed if claimed else 1.0

    @property
    def recall(self) -> float:
        """1 where there was nothing to find."""
        there = self.true_positives + self.false_negatives
        return self.true_positives / there if there else 1.0

    @property
    def false_positives_per_1000(self) -> float:
        """Of the negatives."""
        negatives = self.false_positives + self.true_negatives
        return 1000.0 * self.false_positives / negatives if negatives else 0.0


def confusion(labels: NDArray[np.bool_], claims: NDArray[np.bool_]) -> Confusion:
    """Of frames, both of shape (n,)."""
    return Confusion(
        int((labels & claims).sum()),
        int((~labels & claims).sum()),
        int((~labels & ~claims).sum()),
        int((labels & ~claims).sum()),
    )


def given_up(labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames in which a success has just ceased, of one episode, both of shape (n,).

    Jaws that have opened by a hair look as they did before. No robot gets there: its episode ends with the
    success. So nothing is learned from these frames, and no threshold is chosen by them.
    """
    return np.concatenate(([False], labels[:-1] & ~labels[1:]))


def choose_threshold(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64], wanted_precision: float
) -> ThresholdChoice:
    """The threshold of most recall among those of at least the wanted precision; of equals, the highest.

    None is below `LEAST_THRESHOLD`. Where the precision is out of reach, the most precise one, `reached`
    being false. Raises ValueError where there is no positive frame.
    """
    if not labels.any():
        raise ValueError("labels: expected at least one positive frame to choose a threshold by, got none")
    order = np.argsort(-probabilities, kind="stable")
    ranked, truth = probabilities[order], labels[order]
    claimed = np.arange(1, len(ranked) + 1)
    hits = np.cumsum(truth)
    # A threshold claims all frames of its probability: only the last of equals is one.
    is_threshold = np.append(ranked[1:] != ranked[:-1], True) & (ranked >= LEAST_THRESHOLD)
    if not is_threshold.any():
        return ThresholdChoice(LEAST_THRESHOLD, 0.0, 0.0, False)  # it never says yes
    precision, recall = (hits / claimed)[is_threshold], (hits / labels.sum())[is_threshold]
    thresholds = ranked[is_threshold]
    good = precision >= wanted_precision
    key = recall if good.any() else precision
    candidates = np.flatnonzero(good) if good.any() else np.arange(len(thresholds))
    best = candidates[np.lexsort((thresholds[candidates], recall[candidates], key[candidates]))[-1]]
    return ThresholdChoice(
        float(thresholds[best]), float(precision[best]), float(recall[best]), bool(good.any())
    )


def precision_recall(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall at falling thresholds, both of shape (n,)."""
    truth = labels[np.argsort(-probabilities, kind="stable")]
    hits = np.cumsum(truth)
    return hits / np.arange(1, len(truth) + 1), hits / max(1, int(labels.sum()))


@dataclass(frozen=True)
class EpisodeOutcome:
    """One episode as a robot would have lived it: it ends at the first success that is claimed."""

    labels: NDArray[np.bool_]
    claims: NDArray[np.bool_]
    """After debounce and guard, had the episode gone on; shape (n,)."""
    suppressed: int

    @property
    def first_claim(self) -> int | None:
        """Frame of the first claim."""
        return int(np.argmax(self.claims)) if self.claims.any() else None

    @property
    def claimed_rightly(self) -> bool:
        """The first claim is at a frame that shows success."""
        return self.first_claim is not None and bool(self.labels[self.first_claim])

    @property
    def claimed_wrongly(self) -> bool:
        """The first claim is at a frame that shows none."""
        return self.first_claim is not None and not self.labels[self.first_claim]

    @property
    def delay_frames(self) -> int | None:
        """From the first frame that shows success to the first claim, where that one is right."""
        return self.first_claim - int(np.argmax(self.labels)) if self.claimed_rightly else None


def live_through(
    episode: LabelledEpisode,
    probabilities: NDArray[np.float64],
    threshold: float,
    k: int,
    n: int,
    guard: Guard,
) -> EpisodeOutcome:
    """The episode's frames, in their order, through the same judge as in the node."""
    judge = RewardJudge(k, n, guard)
    judge.begin()
    answers = [
        judge.judge(int(stamp_ns), float(p), bool(p >= threshold), ArmState.from_row(arm))
        for stamp_ns, p, arm in zip(episode.stamps_ns, probabilities, episode.arm, strict=True)
    ]
    claims = np.array([answer.success for answer in answers])
    return EpisodeOutcome(episode.labels, claims, judge.suppressed)


def of_episodes(outcomes: Sequence[EpisodeOutcome]) -> Confusion:
    """Episodes by what their first claim was worth.

    An episode that shows success and is claimed too early is a false positive and nothing else.
    """
    right = sum(outcome.claimed_rightly for outcome in outcomes)
    wrong = sum(outcome.claimed_wrongly for outcome in outcomes)
    missed = sum(outcome.first_claim is None and bool(outcome.labels.any()) for outcome in outcomes)
    return Confusion(right, wrong, len(outcomes) - right - wrong - missed, missed)
