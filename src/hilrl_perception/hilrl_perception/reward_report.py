"""What a reward classifier does on episodes: report.json, plots, and its worst mistakes as a picture."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hilrl_perception.reward_data import LabelledEpisode
from hilrl_perception.reward_guard import Guard
from hilrl_perception.reward_metrics import (
    Confusion,
    EpisodeOutcome,
    confusion,
    live_through,
    of_episodes,
    precision_recall,
)
from hilrl_perception.reward_model import RewardModel

WORST = 12
"""False positives in the picture."""

matplotlib.use("Agg")


@dataclass(frozen=True)
class Evaluation:
    """A classifier on episodes that it was not trained on."""

    episodes: Sequence[LabelledEpisode]
    labels: NDArray[np.bool_]
    """Of all frames, shape (frames,)."""
    probabilities: NDArray[np.float64]
    threshold: float
    k: int
    n: int
    outcomes: Sequence[EpisodeOutcome]

    @property
    def raw(self) -> Confusion:
        """Frames above the threshold, on their own."""
        return confusion(self.labels, self.probabilities >= self.threshold)

    @property
    def debounced(self) -> Confusion:
        """Frames that are claimed after debounce and guard, had no episode ended."""
        return confusion(self.labels, np.concatenate([outcome.claims for outcome in self.outcomes]))

    @property
    def per_episode(self) -> Confusion:
        """Episodes by their first claim."""
        return of_episodes(self.outcomes)

    @property
    def delay_frames(self) -> float | None:
        """Median, from the first frame that shows success to the claim."""
        delays = [o.delay_frames for o in self.outcomes if o.delay_frames is not None]
        return median(delays) if delays else None

    def figures(self) -> dict[str, Any]:
        """As JSON."""
        counts = {"frames": self.raw, "frames_debounced": self.debounced, "episodes": self.per_episode}
        return {
            "episodes": len(self.episodes),
            "frames": len(self.labels),
            "positive_frames": int(self.labels.sum()),
            "threshold": self.threshold,
            "k": self.k,
            "n": self.n,
            "delay_frames": self.delay_frames,
            "suppressed_by_guard": sum(outcome.suppressed for outcome in self.outcomes),
            "confusion": {
                name: {
                    **asdict(counted),
                    "precision": counted.precision,
                    "recall": counted.recall,
                    "false_positives_per_1000": counted.false_positives_per_1000,
                }
                for name, counted in counts.items()
            },
        }


def evaluate(
    model: RewardModel,
    episodes: Sequence[LabelledEpisode],
    guard: Guard = Guard(),  # noqa: B008 - frozen
) -> Evaluation:
    """Through the path that serves: one frame at a time, then debounce and guard."""
    spec = model.spec
    found = [model.probabilities(episode.frames) for episode in episodes]
    outcomes = [
        live_through(episode, probabilities, spec.threshold, spec.k, spec.n, guard)
        for episode, probabilities in zip(episodes, found, strict=True)
    ]
    labels = np.concatenate([episode.labels for episode in episodes])
    return Evaluation(episodes, labels, np.concatenate(found), spec.threshold, spec.k, spec.n, outcomes)


def write(folder: Path, evaluation: Evaluation, **more: Any) -> list[Path]:
    """The files of a report. `more` goes into report.json."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    aside = folder / ".report.json"
    aside.write_text(json.dumps({**evaluation.figures(), **more}, indent=1))
    aside.replace(report)
    files = [
        report,
        _save(_confusion_plot(evaluation), folder / "confusion.png"),
        _save(_precision_recall_plot(evaluation), folder / "precision_recall.png"),
    ]
    pictures = folder / "false_positives.png"
    pictures.unlink(missing_ok=True)
    if worst := worst_false_positives(evaluation):
        files.append(_save(_pictures(evaluation, worst), pictures))
    return files


def worst_false_positives(evaluation: Evaluation, count: int = WORST) -> list[int]:
    """Negative frames above the threshold, the most certain one first: numbers among all frames."""
    wrong = np.flatnonzero(~evaluation.labels & (evaluation.probabilities >= evaluation.threshold))
    order = np.argsort(-evaluation.probabilities[wrong], kind="stable")
    return wrong[order][:count].tolist()


def _confusion_plot(evaluation: Evaluation) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = (
        ("frames above the threshold", evaluation.raw),
        (f"frames claimed, {evaluation.k} of {evaluation.n}", evaluation.debounced),
        ("episodes", evaluation.per_episode),
    )
    for axis, (title, found) in zip(figure.subplots(1, 3), panels, strict=True):
        table = [
            [found.true_negatives, found.false_positives],
            [found.false_negatives, found.true_positives],
        ]
        axis.imshow(np.log1p(table), cmap="Blues")
        for row, column in np.ndindex(2, 2):
            axis.text(column, row, table[row][column], ha="center", va="center", color="black")
        axis.set(title=title, xticks=[0, 1], yticks=[0, 1], xlabel="claimed", ylabel="true")
        axis.set_xticklabels(["no", "yes"])
        axis.set_yticklabels(["no", "yes"])
    return figure


def _precision_recall_plot(evaluation: Evaluation) -> Figure:
    figure = Figure(figsize=(5.5, 3.8), layout="constrained")
    axis = figure.subplots()
    precision, recall = precision_recall(evaluation.labels, evaluation.probabilities)
    axis.plot(recall, precision)
    raw = evaluation.raw
    axis.plot(raw.recall, raw.precision, "o", label=f"threshold {evaluation.threshold:.3f}")
    axis.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axis.set_title("Frames, each on its own")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left")
    return figure


def _pictures(evaluation: Evaluation, worst: Sequence[int]) -> Figure:
    ends = np.cumsum([len(episode.labels) for episode in evaluation.episodes])
    columns = 4
    rows = -(-len(worst) // columns)
    cameras = evaluation.episodes[0].frames.shape[1]
    figure = Figure(figsize=(2.2 * cameras * columns, 2.4 * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.axis("off")
    for axis, number in zip(axes, worst, strict=False):
        which = int(np.searchsorted(ends, number, side="right"))
        episode = evaluation.episodes[which]
        index = number - (ends[which] - len(episode.labels))
        axis.imshow(np.concatenate(list(episode.frames[index]), axis=1))
        axis.set_title(
            f"{evaluation.probabilities[number]:.3f}  {episode.name[-12:]} frame {index}", fontsize=8
        )
    figure.suptitle("Shown as a success, and none")
    return figure


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
