"""Which frames of an episode show success: by how it ended, or by a simulator's ground truth. Plain numpy."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LIFT_M = 0.05
"""Task lift: the object is held this far above where it rested [m]."""


def by_ending(stamps_ns: NDArray[np.int64], success: bool, positive_s: float) -> NDArray[np.bool_]:
    """Shape (n,): all False without success; with it, the last frame and those within `positive_s` before."""
    labels = np.zeros(len(stamps_ns), bool)
    if success and len(stamps_ns):
        labels = stamps_ns >= stamps_ns[-1] - round(positive_s * 1e9)
    return labels


@dataclass(frozen=True)
class Truth:
    """What a simulator knows of one stamp."""

    task: str
    success: bool
    """Now or at any time before in the episode."""
    grasped: bool
    height_m: float
    """Of the first object."""


class TruthLabels:
    """Says of every stamp whether the task is done *in that frame*: a lifted object can be dropped again."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """An episode begins."""
        self._rest_height_m = math.inf

    def rise_m(self, truth: Truth) -> float:
        """Of the first object above where it rested."""
        self._rest_height_m = min(self._rest_height_m, truth.height_m)
        return truth.height_m - self._rest_height_m

    def label(self, truth: Truth) -> bool:
        """For other tasks than lift: done once, and the object not taken up again."""
        rise_m = self.rise_m(truth)
        if truth.task == "lift":
            return truth.grasped and rise_m >= LIFT_M
        return truth.success and not truth.grasped
