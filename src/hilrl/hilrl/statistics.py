"""Arithmetic of an evaluation: success with an interval, and cycle time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hilrl.episodes import EpisodeRecord

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Summary:
    """What a set of episodes says."""

    episodes: int
    successes: int
    success_rate: float
    success_low: float
    """Lower end of the 95 % Wilson interval."""
    success_high: float
    cycle_steps: float | None
    """Mean control steps of the successful episodes; None without any."""
    cycle_s: float | None
    """The same in the time of the arm [s]."""


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a success probability; (0, 1) without trials.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"successes: expected between 0 and {trials} trials, got {successes}")
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    scale = 1 + Z_95**2 / trials
    centre = (rate + Z_95**2 / (2 * trials)) / scale
    spread = Z_95 / scale * math.sqrt(rate * (1 - rate) / trials + Z_95**2 / (4 * trials**2))
    return max(0.0, centre - spread), min(1.0, centre + spread)


def summarise(records: Sequence[EpisodeRecord]) -> Summary:
    """Success over all episodes, cycle time over the successful ones."""
    won = [record for record in records if record.success]
    low, high = wilson_interval(len(won), len(records))
    return Summary(
        episodes=len(records),
        successes=len(won),
        success_rate=len(won) / len(records) if records else 0.0,
        success_low=low,
        success_high=high,
        cycle_steps=sum(r.steps for r in won) / len(won) if won else None,
        cycle_s=sum(r.duration_s for r in won) / len(won) if won else None,
    )
