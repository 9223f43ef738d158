"""Draws a run from its files: success, interventions, episodes, losses."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hilrl import episodes
from hilrl.episodes import EpisodeRecord, of_kind
from hilrl.run_folder import RunFolder

WINDOW = 20
"""Episodes that a rolling mean is taken over."""

matplotlib.use("Agg")


def draw(run: RunFolder, operator: str) -> list[Path]:
    """Draw what there is data for; the files drawn. `operator`: who intervened, as the option says.

    Raises ValueError for a damaged episode log.
    """
    run.plots.mkdir(parents=True, exist_ok=True)
    records = episodes.read(run.episodes) if run.episodes.exists() else []
    drawn = []
    if practised := of_kind(records, "training"):
        drawn += [
            _save(_success(practised), run.plots / "success.png"),
            _save(_interventions(practised, operator), run.plots / "interventions.png"),
            _save(_episodes(practised), run.plots / "episodes.png"),
        ]
    metrics = read_metrics(run.metrics)
    if any(name.endswith("loss") for name in metrics):
        drawn.append(_save(_losses(metrics), run.plots / "losses.png"))
    return drawn


def read_metrics(path: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of a metrics file by name, float64 of shape (lines,), nan where a line has no value.

    Lines cut short by the death of their writer are left out.
    """
    lines = []
    for text in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    names = {name for line in lines for name in line}
    columns = {name: [math.nan if line.get(name) is None else line[name] for line in lines] for name in names}
    return {name: np.array(values, np.float64) for name, values in columns.items()}


def rolling_mean(values: Sequence[float], window: int = WINDOW) -> NDArray[np.float64]:
    """Mean of each value and up to `window - 1` before it; float64, shape (values,)."""
    sums = np.cumsum(np.concatenate([[0.0], np.asarray(values, np.float64)]))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    return (sums[ends] - sums[begins]) / (ends - begins)


def _success(records: Sequence[EpisodeRecord]) -> Figure:
    rate = 100 * rolling_mean([record.success for record in records])
    unaided = 100 * rolling_mean([r.success and r.intervention_steps == 0 for r in records])
    figure, axes = _figure(2, f"Success of the last {WINDOW} episodes of practice")
    for axis, x, label in (
        (axes[0], [record.elapsed_s / 60 for record in records], "time [min]"),
        (axes[1], [record.env_steps for record in records], "environment steps"),
    ):
        axis.plot(x, rate, label="with the operator's help")
        axis.plot(x, unaided, label="without any intervention")
        axis.set(xlabel=label, ylabel="success [%]", ylim=(-3, 103))
    axes[0].legend(loc="upper left")
    return figure


def _interventions(records: Sequence[EpisodeRecord], operator: str) -> Figure:
    steps = rolling_mean([record.steps for record in records])
    helped = rolling_mean([record.intervention_steps for record in records])
    figure, axes = _figure(1, f"Interventions in the last {WINDOW} episodes of practice")
    axes[0].plot([r.elapsed_s / 60 for r in records], 100 * helped / np.maximum(steps, 1))
    axes[0].set(xlabel="time [min]", ylabel=f"steps by the {operator} operator [%]", ylim=(-3, 103))
    return figure


def _episodes(records: Sequence[EpisodeRecord]) -> Figure:
    minutes = [record.elapsed_s / 60 for record in records]
    figure, axes = _figure(2, "Episodes of practice")
    for axis, values, label in (
        (axes[0], [record.episode_return for record in records], "return"),
        (axes[1], [record.steps for record in records], "length [steps]"),
    ):
        axis.plot(minutes, values, ".", alpha=0.3, label="episode")
        axis.plot(minutes, rolling_mean(values), label=f"mean of {WINDOW}")
        axis.set(xlabel="time [min]", ylabel=label)
    axes[1].legend(loc="upper right")
    return figure


def _losses(metrics: dict[str, NDArray[np.float64]]) -> Figure:
    names = sorted(name for name in metrics if name.endswith("loss"))
    figure, axes = _figure(len(names), "Losses", columns=2)
    for axis, name in zip(axes, names, strict=False):
        known = np.isfinite(metrics[name])
        axis.plot(metrics["critic_updates"][known], metrics[name][known])
        axis.set(xlabel="critic updates", title=name)
    return figure


def _figure(panels: int, title: str, columns: int = 2) -> tuple[Figure, list[Axes]]:
    columns = min(columns, panels)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(5.5 * columns, 3.4 * rows), layout="constrained")
    figure.suptitle(title)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[panels:]:
        axis.set_visible(False)
    for axis in axes[:panels]:
        axis.grid(alpha=0.3)
    return figure, axes[:panels]


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
