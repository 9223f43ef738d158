"""Statistics of an episode and of a dataset, as LeRobot's training normalises with.

Per feature: min, max, mean, std, count, and quantiles. Quantiles of a dataset are the means of those of its
episodes, weighted by count, as there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Statistics = dict[str, dict[str, NDArray[Any]]]
"""By feature, then by name of the statistic."""

QUANTILES: Mapping[str, float] = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

SAMPLED_FRAMES = 100
"""Frames of a video that are looked at: at least so many, where there are."""
MOST_SAMPLED_FRAMES = 10_000
LARGE_PX, SMALL_PX = 300, 150
"""Frames with a side of `LARGE_PX` or more are thinned out to sides of about `SMALL_PX`."""


def of_column(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Of a column, shape (n,) or (n, d); each statistic has shape (1,) or (d,), `count` (1,)."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    return {
        "min": rows.min(axis=0),
        "max": rows.max(axis=0),
        "mean": rows.mean(axis=0),
        "std": rows.std(axis=0),
        "count": np.array([len(rows)]),
        **{
            name: np.quantile(rows, quantile, axis=0, method="inverted_cdf")
            for name, quantile in QUANTILES.items()
        },
    }


def of_frames(frames: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Of the channels of frames, shape (n, height, width, 3), as numbers in [0, 1].

    Each statistic has shape (3, 1, 1), `count`, of the frames that were looked at, (1,).
    """
    frames = frames[_sampled(len(frames))]
    step = _thinned(*frames.shape[1:3])
    pixels = frames[:, ::step, ::step].reshape(-1, 3)
    # All that is wanted of millions of pixels is in how often each of 256 values occurs.
    counts = np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)])
    share = counts / len(pixels)
    value = np.arange(256) / 255.0
    mean = share @ value
    seen = counts > 0
    below = counts.cumsum(axis=1)
    found = {
        "min": value[seen.argmax(axis=1)],
        "max": value[255 - seen[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(np.maximum(share @ value**2 - mean**2, 0.0)),
        **{
            name: value[(below >= quantile * len(pixels)).argmax(axis=1)]
            for name, quantile in QUANTILES.items()
        },
    }
    shaped = {name: numbers.reshape(3, 1, 1) for name, numbers in found.items()}
    return {**shaped, "count": np.array([len(frames)])}


def together(episodes: Sequence[Statistics]) -> Statistics:
    """Of a dataset, from those of its episodes."""
    return {
        feature: _of_one_feature([statistics[feature] for statistics in episodes]) for feature in episodes[0]
    }


def _of_one_feature(parts: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    mean = np.stack([part["mean"] for part in parts])
    count = np.array([part["count"][0] for part in parts]).reshape(-1, *[1] * (mean.ndim - 1))
    share = count / count.sum()
    overall = (mean * share).sum(axis=0)
    variance = np.stack([part["std"] ** 2 for part in parts]) + (mean - overall) ** 2
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": overall,
        "std": np.sqrt((variance * share).sum(axis=0)),
        "count": np.array([count.sum()]),
        **{name: (np.stack([part[name] for part in parts]) * share).sum(axis=0) for name in QUANTILES},
    }


def _sampled(count: int) -> NDArray[np.int64]:
    """Which of `count` frames are looked at: evenly spread, ever fewer of them as there are more."""
    wanted = max(min(count, SAMPLED_FRAMES), min(int(count**0.75), MOST_SAMPLED_FRAMES))
    return np.round(np.linspace(0, count - 1, wanted)).astype(np.int64)


def _thinned(height: int, width: int) -> int:
    """Every how many-th pixel of a row and a column is looked at."""
    if max(height, width) < LARGE_PX:
        return 1
    return int((width if width > height else height) / SMALL_PX)
