"""The camera node as its own process, over real DDS, with a pattern and with videos made here."""

import re
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

from hilrl_ros import images, qos, stamps

NODE = "hilrl_perception.camera_node"
SIZE = (64, 48)
GREYS = (40, 90, 140, 190, 240)
"""One per frame of the video; the codec moves a colour by a few."""


def video(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """Frames whose left half says by its grey which they are, and whose right half is red."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, size)
    for grey in GREYS:
        frame = np.full((size[1], size[0], 3), grey, np.uint8)
        frame[:, size[0] // 2 :] = (0, 0, 255)
        writer.write(frame)
    writer.release()
    return path


def put(path: Path, size: tuple[int, int] = SIZE) -> None:
    """The whole video at once, as a device is there at once."""
    video(path.with_name("new.avi"), size).rename(path)


def settings(device: object, **others: object) -> list[str]:
    width, height = SIZE
    values = {"camera": "wrist", "device": str(device), "width": width, "height": height, "fps": 50.0}
    return [f"{name}:={value!r}" for name, value in {**values, **others}.items()]


class Viewer:
    """Sees what a policy would see."""

    def __init__(self, probe):
        self.probe, self.messages = probe, []
        probe.node.create_subscription(Image, "camera/wrist/image_raw", self.messages.append, qos.SENSOR_DATA)

    def now_ns(self):
        return self.probe.node.get_clock().now().nanoseconds

    def see(self, count):
        """That many further frames."""
        seen = len(self.messages)
        self.probe.spin_until(lambda: len(self.messages) >= seen + count, 60.0)
        return self.messages[seen:]


@pytest.fixture
def viewer(probe):
    return Viewer(probe)


def grey_of(message):
    return GREYS[int(np.abs(np.array(GREYS) - images.to_array(message)[24, 8, 0].astype(int)).argmin())]


def test_a_pattern_moves_and_is_stamped_when_it_was_captured(viewer, start_node):
    before_ns = viewer.now_ns()
    start_node(NODE, *settings("pattern"))
    seen = viewer.see(10)
    for message in seen:
        assert (message.width, message.height, message.encoding) == (*SIZE, "rgb8")
        assert message.header.frame_id == "wrist_optical_frame"
    at_ns = [stamps.to_ns(message.header.stamp) for message in seen]
    assert at_ns == sorted(set(at_ns)) and before_ns < at_ns[0] and at_ns[-1] < viewer.now_ns()
    frames = [images.to_array(message) for message in seen]
    assert any(not np.array_equal(frames[0], frame) for frame in frames[1:])


def test_a_video_is_shown_in_its_colours_and_again_from_its_beginning(viewer, start_node, tmp_path):
    start_node(NODE, *settings(video(tmp_path / "take.avi")))
    seen = viewer.see(3 * len(GREYS))
    shown = [grey_of(message) for message in seen]
    assert set(shown) == set(GREYS) and any(b < a for a, b in pairwise(shown))
    red = images.to_array(seen[0])[24, 56].astype(int)
    assert red[0] > 200 and red[1:].max() < 60


def test_a_lost_camera_is_reported_once_shows_nothing_old_and_comes_back(viewer, start_node, tmp_path):
    device = tmp_path / "device.avi"
    put(device)
    process = start_node(NODE, *settings(device))
    viewer.see(5)
    device.unlink()
    viewer.probe.spin_until(lambda: "device.avi" in process.log, 60.0)
    viewer.probe.spin_for(0.5)
    shown = len(viewer.messages)
    viewer.probe.spin_for(3.0)
    assert len(viewer.messages) == shown
    back_ns = viewer.now_ns()
    put(device)
    assert all(stamps.to_ns(message.header.stamp) > back_ns for message in viewer.see(5))
    assert len(re.findall(r"\[ERROR\].*camera wrist: device: .*nothing is published", process.log)) == 1
    assert len(re.findall("camera wrist: frames come", process.log)) == 2


def test_a_camera_may_be_plugged_in_after_the_start(viewer, start_node, tmp_path):
    device = tmp_path / "late.avi"
    process = start_node(NODE, *settings(device))
    viewer.probe.spin_until(lambda: f"{device} does not exist" in process.log, 60.0)
    assert viewer.messages == []
    # And whoever looks at the diagnostics sees it for as long as it lasts.
    said = []
    viewer.probe.node.create_subscription(DiagnosticArray, "/diagnostics", said.append, qos.EVENTS)

    def is_reported():
        return any(f"{device} does not exist" in s.message for array in said for s in array.status)

    viewer.probe.spin_until(is_reported, 60.0)
    put(device)
    viewer.see(2)


def test_frames_of_another_size_are_refused_until_the_right_ones_come(viewer, start_node, tmp_path):
    device = tmp_path / "wide.avi"
    put(device, (96, 48))
    process = start_node(NODE, *settings(device))
    reason = f"device: expected frames of 64x48, {device} gives 96x48; set width and height"
    viewer.probe.spin_until(lambda: reason in process.log, 60.0)
    viewer.probe.spin_for(2.5)
    assert viewer.messages == [] and process.log.count(reason) == 1
    put(device)
    viewer.see(2)


def test_what_is_no_video_is_refused_by_its_name(viewer, start_node, tmp_path):
    device = tmp_path / "notes.txt"
    device.write_text("no video")
    process = start_node(NODE, *settings(device))
    viewer.probe.spin_until(lambda: f"{device} cannot be opened; is it a video?" in process.log, 60.0)


@pytest.mark.parametrize(
    ("device", "others", "reason"),
    [
        ("", {}, "device: expected the path of a video device or a video file, got ''"),
        ("pattern", {"camera": "Front/Left"}, "camera: expected a name of lower-case letters, digits and _"),
        ("pattern", {"width": 4}, "width"),
        ("pattern", {"fps": 0.0}, "fps"),
    ],
)
def test_a_bad_parameter_stops_the_start_with_one_line(start_node, device, others, reason):
    process = start_node(NODE, *settings(device, **others))
    assert process.wait() == 2 and reason in process.log and "Traceback" not in process.log


def test_a_signal_ends_it_at_once_while_it_waits_for_a_camera(viewer, start_node, tmp_path):
    process = start_node(NODE, *settings(tmp_path / "none.avi"))
    viewer.probe.spin_until(lambda: "does not exist" in process.log, 60.0)
    assert process.stop() == 0


def test_a_signal_ends_it_quietly_while_frames_come(viewer, start_node):
    process = start_node(NODE, *settings("pattern", fps=120.0))
    viewer.see(10)
    assert process.stop() == 0 and "Traceback" not in process.log


def test_large_frames_arrive_one_after_the_other_though_nobody_asks_again_for_a_lost_one(viewer, start_node):
    """Subscribers of cameras are best effort; a frame that does not fit into shared memory goes in pieces."""
    start_node(NODE, *settings("pattern", width=640, height=480, fps=10.0))
    viewer.see(5)
    blocks = [int((images.to_array(m)[240] == 255).all(axis=1).argmax()) for m in viewer.see(60)]
    steps = [(b - a) % 580 for a, b in pairwise(blocks)]
    assert sum(step in (9, 10) for step in steps) > 0.75 * len(steps)
