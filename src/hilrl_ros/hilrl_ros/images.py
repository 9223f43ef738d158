"""The one conversion between `sensor_msgs/Image` and numpy.

rgb8, bgr8 and mono8 are read here. Every other encoding is left to cv_bridge, where an installed ROS has it.
"""

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}


def to_message(frame: NDArray[np.uint8], stamp: Time, frame_id: str) -> Image:
    """Wrap an rgb8 frame of shape (height, width, 3), dtype uint8.

    Raises ValueError for any other shape or dtype.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(
            f"frame: expected uint8 of shape (height, width, 3), got {frame.dtype} {frame.shape}"
        )
    height, width, _ = frame.shape
    # rclpy checks every element of any other container: 100x slower.
    data = array("B")
    data.frombytes(memoryview(np.ascontiguousarray(frame)).cast("B"))
    return Image(
        header=Header(stamp=stamp, frame_id=frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        step=width * 3,
        data=data,
    )


def to_array(message: Image) -> NDArray[np.uint8]:
    """The frame as rgb, shape (height, width, 3), dtype uint8; a view of the message where possible.

    Raises ValueError naming the field when the message is not well-formed or its encoding cannot be read.
    """
    channels = CHANNELS.get(message.encoding)
    row_bytes = message.width * (channels or 1)
    if message.step < row_bytes:
        raise ValueError(
            f"image step: expected at least {row_bytes} bytes for width {message.width}, got {message.step}"
        )
    expected = message.height * message.step
    if message.height == 0 or message.width == 0 or len(message.data) != expected:
        raise ValueError(
            f"image data: expected {expected} bytes for {message.width}x{message.height}, "
            f"got {len(message.data)}"
        )
    if channels is None:
        return _by_cv_bridge(message)
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    frame = rows[:, :row_bytes].reshape(message.height, message.width, channels)
    if message.encoding == "bgr8":
        return frame[..., ::-1]
    if message.encoding == "mono8":
        return np.repeat(frame, 3, axis=2)
    return frame


def _by_cv_bridge(message: Image) -> NDArray[np.uint8]:
    """Bayer patterns, yuv422, bgra8, mono16 and the like; a depth has no colours and is refused."""
    plain = f"image encoding: expected one of {sorted(CHANNELS)}, got {message.encoding!r}"
    try:
        # Inside it are modules for one version of numpy; with another one they fail when first used.
        from cv_bridge import CvBridge, CvBridgeError

        try:
            return CvBridge().imgmsg_to_cv2(message, "rgb8")
        except (CvBridgeError, TypeError) as error:
            raise ValueError(f"{plain}, of which cv_bridge makes no rgb8: {error}") from error
    except ImportError as error:
        raise ValueError(
            f"{plain}; others need cv_bridge, as of sudo apt install ros-jazzy-cv-bridge ({error})"
        ) from error
