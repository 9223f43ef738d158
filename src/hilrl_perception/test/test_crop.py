"""Cutting and resizing of frames."""

import numpy as np
import pytest

from hilrl_perception.crop import WHOLE_FRAME, Crop, crop_and_resize


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def test_nothing_to_do_is_no_copy(frame):
    assert crop_and_resize(frame, WHOLE_FRAME, 48, 64) is frame
    assert crop_and_resize(frame, Crop(0, 0, 48, 64), 48, 64) is frame


def test_a_crop_of_the_wanted_size_is_a_view(frame):
    cropped = crop_and_resize(frame, Crop(10, 20, 16, 24), 16, 24)
    assert np.shares_memory(cropped, frame)
    assert np.array_equal(cropped, frame[10:26, 20:44])


def test_shrinking_averages_what_becomes_one_pixel(frame):
    small = crop_and_resize(frame, Crop(8, 16, 32, 32), 16, 16)
    blocks = frame[8:40, 16:48].reshape(16, 2, 16, 2, 3).mean(axis=(1, 3))
    assert small.shape == (16, 16, 3) and small.dtype == np.uint8
    assert np.abs(small - blocks).max() <= 0.5


def test_a_crop_out_of_the_frame_says_what_was_expected(frame):
    with pytest.raises(
        ValueError, match="within 48 rows x 64 columns, got rows 20 to 52 and columns 0 to 64"
    ):
        crop_and_resize(frame, Crop(20, 0, 32, 64), 16, 16)


@pytest.mark.parametrize("values", [[-1, 0, 10, 10], [0, 0, 10, 0], [0, 5, 0, 0]])
def test_a_list_that_is_no_rectangle_is_refused(values):
    with pytest.raises(ValueError, match="expected .* got"):
        Crop.from_list(values)
