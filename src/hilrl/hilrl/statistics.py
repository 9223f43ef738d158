"""Arithmetic of an evaluation: success with an interval, and cycle time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Z_95 = 1.959963984540054
"""Two-sided 95 % quantile of the normal distribution."""


class Trial(Protocol):
    """One episode, as far as the arithmetic goes."""

    success: bool
    steps: int
    duration_s: float
    """In the time of the arm."""


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


def summarise(trials: Sequence[Trial]) -> Summary:
    """Success over all episodes, cycle time over the successful ones."""
    won = [trial for trial in trials if trial.success]
    low, high = wilson_interval(len(won), len(trials))
    return Summary(
        episodes=len(trials),
        successes=len(won),
        success_rate=len(won) / len(trials) if trials else 0.0,
        success_low=low,
        success_high=high,
        cycle_steps=sum(trial.steps for trial in won) / len(won) if won else None,
        cycle_s=sum(trial.duration_s for trial in won) / len(won) if won else None,
    )
