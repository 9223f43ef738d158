"""`hilrl crop`: choose what the policy sees of each camera, on a running graph or on recorded images."""

import argparse
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from numpy.typing import NDArray
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from sensor_msgs.msg import Image

from hilrl import parameter_files
from hilrl.crop_page import CropPage, Crops
from hilrl.run_folder import write_atomically
from hilrl.session import attach
from hilrl_perception.crop import Crop
from hilrl_ros import images, qos

FILE = Path("config/crops.yaml")
ANSWER_S = 3.0
"""An answer that takes longer was lost; the question is asked again [s]."""
FIND_S = 15.0
"""How long a running graph is looked for [s]."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `hilrl crop`."""
    parser.description = (
        "Opens a page in the browser: drag a box over a camera's image and see what the policy would get. "
        "Works on the cameras of a running graph, where boxes are applied at once, or on images from files."
    )
    parser.add_argument("--robot", default="so101", help="its name; default: %(default)s")
    parser.add_argument(
        "--image",
        metavar="CAMERA=FILE",
        action="append",
        default=[],
        help="choose on this image instead of a running graph; may be repeated",
    )
    parser.add_argument(
        "--box",
        metavar="CAMERA=TOP,LEFT,HEIGHT,WIDTH",
        action="append",
        default=[],
        help="by numbers, in pixels, without the page: applied and saved; may be repeated",
    )
    parser.add_argument(
        "--size", type=int, default=128, help="of the crops of --image [px]; default: %(default)s"
    )
    parser.add_argument("--file", type=Path, default=FILE, help="where boxes are saved; default: %(default)s")
    parser.add_argument("--port", type=int, default=0, help="of the page; default: any free one")


def run(chosen: argparse.Namespace) -> int:
    """Run the command; its exit status. Raises ValueError for what does not fit."""
    boxes = {camera: _box(camera, text) for camera, text in map(_pair, chosen.box)}
    if chosen.image:
        frames = {camera: _read(Path(path)) for camera, path in map(_pair, chosen.image)}
        return _choose(RecordedCameras(frames, chosen.size, chosen.file), boxes, chosen.port)
    attach()
    cameras = LiveCameras(chosen.robot, chosen.file)
    try:
        cameras.wait()
        return _choose(cameras, boxes, chosen.port)
    finally:
        cameras.close()


def _choose(cameras: "RecordedCameras", boxes: Crops, port: int) -> int:
    if boxes:
        for camera, box in boxes.items():
            if camera not in cameras.frames():
                raise ValueError(f"--box: expected a camera of {sorted(cameras.frames())}, got {camera!r}")
            if reason := Crop.from_list(box).problem(*cameras.frames()[camera].shape[:2]):
                raise ValueError(f"--box {camera}: {reason}")
        if refusal := cameras.apply(boxes):
            raise ValueError(refusal)
        print(cameras.save(boxes))
        return 0
    page = CropPage(cameras, port)
    print(f"Open {page.url} in a browser on this machine; Ctrl+C ends it.", flush=True)
    page.server.serve_forever()
    return 0


class RecordedCameras:
    """Images from files: nothing to apply to, only to save."""

    def __init__(self, frames: Mapping[str, NDArray[np.uint8]], size: int, file: Path) -> None:
        self.size = (size, size)
        self._frames, self._file = frames, file

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """See `Cameras`."""
        return self._frames

    def crops(self) -> Crops:
        """Those in the file."""
        return saved_crops(self._file)

    def apply(self, crops: Crops) -> str:
        """There is nothing that runs."""
        return ""

    def save(self, crops: Crops) -> str:
        """Into the parameter file, beside what it holds already."""
        content = parameter_files.load(self._file) if self._file.exists() else {}
        content.setdefault("image_cropper", {}).update({f"crop.{name}": box for name, box in crops.items()})
        write_atomically(
            self._file, parameter_files.dump({f"/**/{node}": values for node, values in content.items()})
        )
        return f"saved; use it with --params-file {self._file}"


class LiveCameras(RecordedCameras):
    """The cameras of a running graph, through its image_cropper."""

    def __init__(self, robot: str, file: Path) -> None:
        super().__init__({}, 1, file)
        self._robot = "/" + robot.strip("/")
        self._live: dict[str, NDArray[np.uint8]] = {}
        self._in_force: Crops = {}
        self._context = Context()
        rclpy.init(context=self._context, args=[])
        self._node = Node("crop", context=self._context, enable_rosout=False, start_parameter_services=False)
        self._get = self._client(GetParameters, "get_parameters")
        self._set = self._client(SetParametersAtomically, "set_parameters_atomically")
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def wait(self) -> None:
        """Until every camera has shown a frame. Raises ValueError where no graph is found."""
        names, size = self._ask(["cameras", "size"])
        self.size = tuple(size)
        boxes = self._ask([f"crop.{name}" for name in names])
        self._in_force = dict(zip(names, map(list, boxes), strict=True))
        for name in names:
            self._node.create_subscription(
                Image,
                f"{self._robot}/camera/{name}/image_raw",
                partial(self._on_image, name),
                qos.SENSOR_DATA,
            )
        missing = f"no image of {sorted(names)} within {FIND_S:.0f} s; do the cameras run?"
        _wait_until(lambda: set(self._live) == set(names), FIND_S, missing)

    def close(self) -> None:
        """Leave the graph."""
        self._context.try_shutdown()
        self._thread.join()

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """See `Cameras`."""
        return dict(self._live)

    def crops(self) -> Crops:
        """Those that the cropper works with."""
        return dict(self._in_force)

    def apply(self, crops: Crops) -> str:
        """All together or none; returns the cropper's reason for a refusal."""
        values = [Parameter(f"crop.{name}", value=box).to_parameter_msg() for name, box in crops.items()]
        answer = self._call(self._set, SetParametersAtomically.Request(parameters=values)).result
        if answer.successful:
            self._in_force.update(crops)
        return "" if answer.successful else f"image_cropper refused: {answer.reason}"

    def _on_image(self, name: str, message: Image) -> None:
        try:
            self._live[name] = images.to_array(message).copy()
        except ValueError as error:
            self._node.get_logger().error(f"camera {name}: {error}", throttle_duration_sec=5.0)

    def _client(self, kind: type, service: str) -> Any:
        return self._node.create_client(kind, f"{self._robot}/image_cropper/{service}")

    def _ask(self, names: Sequence[str]) -> list[Any]:
        answer = self._call(self._get, GetParameters.Request(names=names))
        return [parameter_value_to_python(value) for value in answer.values]

    def _call(self, client: Any, request: Any) -> Any:
        """The answer. Setting twice is setting once: what is not answered is asked again."""
        missing = (
            f"no answer of {client.srv_name} within {FIND_S:.0f} s; does a graph run in this ROS domain?"
        )
        deadline_s = time.monotonic() + FIND_S
        _wait_until(client.service_is_ready, FIND_S, missing)
        while time.monotonic() < deadline_s:
            future = client.call_async(request)
            try:
                _wait_until(future.done, ANSWER_S, missing)
                return future.result()
            except ValueError:
                client.remove_pending_request(future)
        raise ValueError(missing)

    def _spin(self) -> None:
        try:
            while self._context.ok():
                self._executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            pass


def saved_crops(file: Path) -> Crops:
    """By camera; none where there is no such file. Raises ValueError naming the file where it is damaged."""
    if not file.exists():
        return {}
    values = parameter_files.load(file).get("image_cropper", {})
    return {key.removeprefix("crop."): box for key, box in values.items() if key.startswith("crop.")}


def _pair(text: str) -> tuple[str, str]:
    camera, equals, value = text.partition("=")
    if not (camera and equals and value):
        raise ValueError(f"{text}: expected CAMERA=...")
    return camera, value


def _box(camera: str, text: str) -> list[int]:
    try:
        box = [int(number) for number in text.split(",")]
        if len(box) != 4:
            raise ValueError
    except ValueError:
        raise ValueError(f"--box {camera}: expected TOP,LEFT,HEIGHT,WIDTH, got {text!r}") from None
    try:
        Crop.from_list(box)
    except ValueError as error:
        raise ValueError(f"--box {camera}: {error}") from None
    return box


def _read(path: Path) -> NDArray[np.uint8]:
    frame = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError(f"--image {path}: expected an image file")
    return frame[..., ::-1]


def _wait_until(condition: Callable[[], bool], timeout_s: float, missing: str) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise ValueError(missing)
        time.sleep(0.02)
