"""Taking frames from sources that fail as cameras do: no ROS, no video."""

import threading
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

from hilrl_perception import camera_capture
from hilrl_perception.camera_capture import Capture
from hilrl_perception.camera_source import NoFrames, Pattern, open_source

FRAME = np.zeros((4, 4, 3), np.uint8)


class Script:
    """A camera that gives these frames, None for a damaged one, and is unplugged then."""

    def __init__(self, frames):
        self.frames, self.closed = list(frames), False

    def wait(self):
        if not self.frames:
            raise NoFrames("unplugged")

    def frame(self):
        return self.frames.pop(0)

    def close(self):
        self.closed = True


def run(monkeypatch, *cameras):
    """Plug in one after the other until there is none; what was shown and said."""
    monkeypatch.setattr(camera_capture, "REOPEN_S", 0.01)
    left, shown, said, done = list(cameras), [], [], threading.Event()

    def open_next():
        if not left:
            done.set()
            raise NoFrames("none is left")
        return left.pop(0)

    capture = Capture(
        open_next,
        iter(range(1000)).__next__,
        lambda frame, stamp_ns: shown.append(stamp_ns),
        said.append,
        lambda: said.append("frames"),
    )
    capture.start()
    assert done.wait(60.0)
    capture.close()
    return shown, said


def test_a_damaged_frame_is_left_out_and_the_camera_stays_open(monkeypatch):
    camera = Script([FRAME, None, FRAME])
    shown, said = run(monkeypatch, camera)
    assert shown == [0, 2] and said == ["frames", "unplugged", "none is left"] and camera.closed


def test_a_camera_that_sends_nothing_but_damaged_frames_is_opened_again(monkeypatch):
    shown, said = run(monkeypatch, Script([None] * 50), Script([FRAME]))
    assert len(shown) == 1
    assert said == ["expected a frame, the last 21 came damaged", "frames", "unplugged", "none is left"]


def test_the_same_trouble_is_said_once_until_frames_came_again(monkeypatch):
    _, said = run(monkeypatch, Script([]), Script([]), Script([FRAME]), Script([]))
    assert said == ["unplugged", "frames", "unplugged", "none is left"]


def test_no_frame_comes_after_closing():
    shown = []
    first = threading.Event()
    capture = Capture(
        lambda: Pattern(16, 16, 120.0),
        lambda: 0,
        lambda *frame: (shown.append(frame), first.set()),
        lambda reason: None,
        lambda: None,
    )
    capture.start()
    assert first.wait(60.0)
    capture.close()
    count = len(shown)
    time.sleep(0.1)
    assert len(shown) == count


def test_a_camera_that_is_unplugged_while_it_is_opened_does_not_exist(monkeypatch, tmp_path):
    device, opened = tmp_path / "device.avi", cv2.VideoCapture

    def unplugged(*arguments):
        device.unlink()
        return opened(*arguments)

    device.touch()
    monkeypatch.setattr(cv2, "VideoCapture", unplugged)
    with pytest.raises(NoFrames, match="does not exist"):
        open_source(str(device), 64, 48, 50.0)


def test_the_pattern_differs_from_frame_to_frame_and_comes_back():
    pattern = open_source("pattern", 320, 240, 120.0)
    frames = []
    for _ in range(65):
        pattern.wait()
        frames.append(pattern.frame())
    assert all(not np.array_equal(a, b) for a, b in pairwise(frames))
    assert np.array_equal(frames[0], frames[64])
