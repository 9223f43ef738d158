"""Frames to messages and back, through the bytes that DDS sends."""

from array import array
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from hilrl_ros import images

STAMP = Time(sec=12, nanosec=34)


def random_frame(height: int = 4, width: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def received(message: Image) -> Image:
    return deserialize_message(serialize_message(message), Image)


def image(**fields: Any) -> Image:
    """A well-formed 2x3 rgb8 image, but for `fields`."""
    well_formed = {"height": 2, "width": 3, "encoding": "rgb8", "step": 9, "data": array("B", range(18))}
    return Image(**{**well_formed, **fields})


def test_a_frame_survives_the_wire() -> None:
    frame = random_frame()
    message = received(images.to_message(frame, STAMP, "front_optical_frame"))
    np.testing.assert_array_equal(images.to_array(message), frame)
    assert images.to_array(message).dtype == np.uint8
    assert (message.header.stamp, message.header.frame_id) == (STAMP, "front_optical_frame")
    assert (message.height, message.width, message.step, message.encoding) == (4, 6, 18, "rgb8")


def test_a_frame_that_is_a_view_of_a_larger_one_is_sent_as_seen() -> None:
    crop = random_frame(20, 20)[3:9, 5:12][:, ::-1]
    np.testing.assert_array_equal(images.to_array(received(images.to_message(crop, STAMP, ""))), crop)


def test_a_received_frame_is_not_copied() -> None:
    message = image()
    frame = images.to_array(message)
    message.data[0] = 200
    assert frame[0, 0, 0] == 200


def test_bgr8_comes_out_as_rgb() -> None:
    rgb = images.to_array(image())
    np.testing.assert_array_equal(images.to_array(image(encoding="bgr8")), rgb[..., ::-1])


def test_mono8_comes_out_as_three_equal_channels() -> None:
    frame = images.to_array(image(encoding="mono8", step=3, data=array("B", range(6))))
    assert frame.shape == (2, 3, 3)
    np.testing.assert_array_equal(frame, np.arange(6).reshape(2, 3, 1).repeat(3, axis=2))


def test_padding_at_the_end_of_rows_is_left_out() -> None:
    padded = np.full((2, 12), 99, np.uint8)
    padded[:, :9] = np.arange(18).reshape(2, 9)
    message = received(image(step=12, data=array("B", padded.tobytes())))
    np.testing.assert_array_equal(images.to_array(message), np.arange(18).reshape(2, 3, 3))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"encoding": "yuv999"}, r"image encoding: expected one of \['bgr8', .*\], got 'yuv999'"),
        ({"encoding": ""}, "image encoding: .* got ''"),
        ({"step": 8}, "image step: expected at least 9 bytes for width 3, got 8"),
        ({"data": array("B", range(17))}, "image data: expected 18 bytes for 3x2, got 17"),
        ({"data": array("B", range(19))}, "image data: expected 18 bytes for 3x2, got 19"),
        ({"encoding": "yuv422", "data": array("B", range(17))}, "image data: expected 18 bytes for 3x2"),
        ({"height": 0, "data": array("B")}, "image data: .* 3x0"),
        ({"width": 0, "step": 0, "data": array("B")}, "image data: .* 0x2"),
    ],
)
def test_a_malformed_image_is_refused_with_the_field_and_both_values(
    fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        images.to_array(received(image(**fields)))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 6), np.uint8),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6, 3), np.float32),
    ],
)
def test_a_frame_of_another_shape_or_dtype_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"frame: expected uint8 of shape \(height, width, 3\), got"):
        images.to_message(frame, STAMP, "front_optical_frame")


@pytest.mark.skipif(find_spec("cv_bridge") is not None, reason="cv_bridge is installed here")
@pytest.mark.parametrize("encoding", ["bayer_rggb8", "yuv422", "16UC1", "bgra8"])
def test_without_cv_bridge_other_encodings_are_refused_with_what_to_install(encoding: str) -> None:
    with pytest.raises(ValueError, match=f"got '{encoding}'; others need cv_bridge, .* ros-jazzy-cv-bridge"):
        images.to_array(image(encoding=encoding, step=12, data=array("B", range(24))))


def test_with_cv_bridge_other_encodings_become_rgb() -> None:
    pytest.importorskip("cv_bridge", reason="needs the cv_bridge of an installed ROS")
    grey = image(encoding="bayer_rggb8", height=4, width=4, step=4, data=array("B", [77] * 16))
    np.testing.assert_array_equal(images.to_array(grey), np.full((4, 4, 3), 77))
    bgra = image(encoding="bgra8", width=2, height=1, step=8, data=array("B", [1, 2, 3, 255, 4, 5, 6, 255]))
    np.testing.assert_array_equal(images.to_array(bgra), [[[3, 2, 1], [6, 5, 4]]])
    yuv = image(encoding="yuv422", width=2, height=2, step=4, data=array("B", [128, 90] * 4))
    frame = images.to_array(yuv)
    assert frame.shape == (2, 2, 3) and np.ptp(frame.astype(int), axis=2).max() <= 2, "grey"


def test_a_depth_has_no_colours() -> None:
    pytest.importorskip("cv_bridge", reason="needs the cv_bridge of an installed ROS")
    with pytest.raises(ValueError, match="got '16UC1', of which cv_bridge makes no rgb8"):
        images.to_array(image(encoding="16UC1", width=2, step=4, data=array("B", range(8))))
