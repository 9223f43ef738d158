"""The box that the TCP may be in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Workspace:
    """An axis-aligned box in the base frame; both corners shape (3,) [m]."""

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]

    @staticmethod
    def from_corners(minimum: ArrayLike, maximum: ArrayLike) -> "Workspace":
        """Raises ValueError, naming the axis, unless min < max on each."""
        if reason := Workspace.problem(minimum, maximum):
            raise ValueError(reason)
        return Workspace(np.array(minimum, float), np.array(maximum, float))

    @staticmethod
    def problem(minimum: ArrayLike, maximum: ArrayLike) -> str | None:
        """Why these corners make no box, or None."""
        for axis, low, high in zip("xyz", minimum, maximum, strict=True):
            if not low < high:
                return (
                    f"workspace_min {axis}: expected less than workspace_max {axis} = {high} m, got {low} m"
                )
        return None

    def clip(self, position: ArrayLike) -> tuple[NDArray[np.float64], bool]:
        """The nearest point in the box, shape (3,) [m], and whether that differs from `position`."""
        clipped = np.clip(position, self.minimum, self.maximum)
        return clipped, bool((clipped != position).any())

    def excess(self, position: ArrayLike) -> float:
        """How far outside the box a point is along its worst axis [m]; zero inside."""
        position = np.asarray(position, float)
        return max(0.0, float((self.minimum - position).max()), float((position - self.maximum).max()))
