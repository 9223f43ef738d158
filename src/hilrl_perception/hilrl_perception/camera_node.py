"""The `camera_<name>` node: one camera of this machine -> `camera/<name>/image_raw`."""

import re
from functools import partial
from typing import Any

import cv2
from sensor_msgs.msg import Image

from hilrl_perception.camera_capture import Capture
from hilrl_perception.camera_source import Frame, open_source
from hilrl_ros import images, qos, stamps
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

PARAMETERS = (
    Parameter("camera", "front", "name of the camera: of its topic and of its frame", read_only=True),
    Parameter(
        "device",
        "/dev/video0",
        "path of a video device, better one of /dev/v4l/by-id/, which stays the same when it is plugged in "
        "again; its number; a video file, which is looped; or pattern",
        read_only=True,
    ),
    Parameter("width", 640, "of the frames; another one is refused [px]", 16, 4096, read_only=True),
    Parameter("height", 480, "of the frames; another one is refused [px]", 16, 4096, read_only=True),
    Parameter(
        "fps", 30.0, "frames per second; a camera takes the nearest it offers", 1.0, 120.0, read_only=True
    ),
)


class Camera(Node):
    """Publishes each frame with the time of its capture. No frame, no message: whoever sees nothing holds."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("camera", **kwargs)
        params = Parameters(self, PARAMETERS)
        name, device = params["camera"], params["device"]
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"camera: expected a name of lower-case letters, digits and _, got {name!r}")
        if not device:
            raise ValueError("device: expected the path of a video device or a video file, got ''")
        self._name, self._frame_id = name, f"{name}_optical_frame"
        self._publisher = self.create_publisher(Image, f"camera/{name}/image_raw", qos.IMAGES)
        self._capture = Capture(
            partial(open_source, device, params["width"], params["height"], params["fps"]),
            lambda: self.get_clock().now().nanoseconds,
            self._publish,
            self._complain,
            lambda: self.get_logger().info(f"camera {name}: frames come"),
        )
        self.diagnostics.ask(self._diagnose)
        self._capture.start()

    def _publish(self, frame: Frame, stamp_ns: int) -> None:
        """From the thread that captures, so that no frame waits for the executor."""
        message = images.to_message(frame, stamps.from_ns(stamp_ns), self._frame_id)
        try:
            self._publisher.publish(message)
        except Exception:  # rclpy has no public name for it
            # A signal ends ROS at once, this thread a moment later.
            if self.context.ok():
                raise

    def _complain(self, reason: str) -> None:
        self.get_logger().error(f"camera {self._name}: device: {reason}; nothing is published, trying again")

    def _diagnose(self, report: Report) -> None:
        if complaint := self._capture.complaint:
            report.error(f"device: {complaint}")

    def close(self) -> None:
        """Give the device back."""
        self._capture.close()


def main() -> None:
    """Entry point."""
    # Frames are converted faster than a second thread wakes up.
    cv2.setNumThreads(1)
    # What OpenCV says about devices that cannot be opened is said once, by this node.
    cv2.setLogLevel(0)
    run_node(Camera)
