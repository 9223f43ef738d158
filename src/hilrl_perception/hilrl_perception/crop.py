"""Cut a rectangle out of a frame and resize it. Plain numpy, no ROS."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crop:
    """A rectangle in pixels of the frame; all zeros stands for the whole frame."""

    top: int = 0
    left: int = 0
    height: int = 0
    width: int = 0

    @staticmethod
    def from_list(values: Sequence[int]) -> "Crop":
        """From [top, left, height, width]. Raises ValueError where that is no rectangle."""
        crop = Crop(*values)
        if min(values) < 0:
            raise ValueError(f"expected [top, left, height, width] in pixels >= 0, got {list(values)}")
        if (crop.height == 0 or crop.width == 0) and crop != WHOLE_FRAME:
            raise ValueError(
                f"expected a height and a width of at least 1, or four zeros for the whole frame, "
                f"got {list(values)}"
            )
        return crop

    def problem(self, height: int, width: int) -> str | None:
        """Why this does not fit into a frame of that size, or None."""
        if self.top + self.height <= height and self.left + self.width <= width:
            return None
        return (
            f"expected a crop within {height} rows x {width} columns, got rows {self.top} to "
            f"{self.top + self.height} and columns {self.left} to {self.left + self.width}"
        )

    def is_whole(self, height: int, width: int) -> bool:
        """Whether this takes all of a frame of that size."""
        return self in (WHOLE_FRAME, Crop(0, 0, height, width))


WHOLE_FRAME = Crop()


def crop_and_resize(frame: NDArray[np.uint8], crop: Crop, height: int, width: int) -> NDArray[np.uint8]:
    """The part of `frame` in `crop`, resized by area to (height, width, channels), dtype uint8.

    The frame itself, not a copy, where there is nothing to do; a view of it where there is nothing to
    resize. Raises ValueError where the crop reaches out of the frame.
    """
    rows, columns = frame.shape[:2]
    if reason := crop.problem(rows, columns):
        raise ValueError(reason)
    if not crop.is_whole(rows, columns):
        bottom, right = crop.top + crop.height, crop.left + crop.width
        frame = frame[crop.top : bottom, crop.left : right]
    if frame.shape[:2] == (height, width):
        return frame
    # INTER_AREA averages what becomes one pixel: no aliasing when shrinking by any factor.
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
