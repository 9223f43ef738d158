"""All cameras of one arm: `camera/<name>/image_raw` -> `camera/<name>/image_crop`."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import cv2
from sensor_msgs.msg import Image

from hilrl_perception.crop import Crop, crop_and_resize
from hilrl_ros import images, qos
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

COMPLAIN_EVERY_S = 5.0

PARAMETERS = (
    Parameter("cameras", ["front", "wrist"], "names of the cameras", read_only=True),
    Parameter("size", [128, 128], "height and width of the crops [px]", 1, 4096, length=2, read_only=True),
    Parameter(
        "reliable",
        False,
        "subscribe reliably: for a simulator in lockstep; a real camera drops frames rather than delay them",
        read_only=True,
    ),
)


def crop_parameter(camera: str) -> Parameter:
    """The live-tunable crop of one camera."""
    return Parameter(
        f"crop.{camera}",
        [0, 0, 0, 0],
        "top, left, height, width [px] of what is cropped; four zeros: the whole frame",
        0,
        16384,
        length=4,
    )


class Camera:
    """One stream: its crop, and what it complained about last."""

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        publish: Callable[[Image], None],
        refused: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        """`size`: height and width of the output [px]. `refused` hears of each refusal, `complain` of few."""
        self.name = name
        self.crop = Crop()
        self.frame_size: tuple[int, int] | None = None
        """Height and width of the last well-formed frame [px]."""
        self._size = size
        self._publish = publish
        self._refused = refused
        self._complain = complain
        self._complaint = ""
        self._complained_s = float("-inf")

    def on_image(self, message: Image) -> None:
        """Crop and publish, or complain once."""
        try:
            cropped = self._cropped(message)
        except ValueError as error:
            self._refuse(str(error))
            return
        self._complaint = ""
        self._publish(cropped)

    def _cropped(self, message: Image) -> Image:
        frame = images.to_array(message)
        self.frame_size = (message.height, message.width)
        cropped = crop_and_resize(frame, self.crop, *self._size)
        packed = message.step == message.width * 3
        if cropped is frame and message.encoding == "rgb8" and packed:
            return message
        return images.to_message(cropped, message.header.stamp, message.header.frame_id)

    def _refuse(self, reason: str) -> None:
        self._refused(f"camera {self.name}: {reason}")
        now_s = time.monotonic()
        if reason != self._complaint or now_s - self._complained_s > COMPLAIN_EVERY_S:
            self._complaint, self._complained_s = reason, now_s
            self._complain(f"camera {self.name}: {reason}; nothing is published")


class ImageCropper(Node):
    """Crops keep stamp and frame_id of their frame. What needs no work is passed on as it came."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("image_cropper", **kwargs)
        # A frame of this size is done before a second thread has woken up.
        cv2.setNumThreads(1)
        self._cameras: dict[str, Camera] = {}
        fixed = Parameters(self, PARAMETERS)
        names = fixed["cameras"]
        for name in names:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or names.count(name) > 1:
                raise ValueError(
                    f"cameras: expected distinct names of lower-case letters, digits and _, got {names}"
                )
        crops = Parameters(self, [crop_parameter(name) for name in names], self._check, self._apply)
        profile = qos.IMAGES if fixed["reliable"] else qos.SENSOR_DATA
        for name in names:
            publisher = self.create_publisher(Image, f"camera/{name}/image_crop", qos.IMAGES)
            camera = Camera(
                name,
                tuple(fixed["size"]),
                publisher.publish,
                self.diagnostics.refused,
                self.get_logger().error,
            )
            self._cameras[name] = camera
            self.create_subscription(Image, f"camera/{name}/image_raw", camera.on_image, profile)
            self.diagnostics.expect(f"camera/{name}/image_raw", "is the camera on, and its node running?")
        self._apply(crops.values)

    def _check(self, values: Mapping[str, Any]) -> str | None:
        for parameter, value in values.items():
            camera = self._cameras.get(parameter.removeprefix("crop."))
            try:
                crop = Crop.from_list(value)
            except ValueError as error:
                return f"{parameter}: {error}"
            if camera is not None and camera.frame_size and (reason := crop.problem(*camera.frame_size)):
                return f"{parameter}: {reason}"
        return None

    def _apply(self, values: Mapping[str, Any]) -> None:
        for name, camera in self._cameras.items():
            camera.crop = Crop.from_list(values[f"crop.{name}"])


def main() -> None:
    """Entry point."""
    run_node(ImageCropper)
