"""Where frames come from: a camera of this machine, a video file, or a pattern. No ROS.

A source is asked twice per frame: `wait` returns at the moment of capture, `frame` may take its time.
"""

import math
import os
import time
from pathlib import Path
from typing import Protocol

# Seconds until a camera that sends nothing counts as lost. OpenCV reads it once and would wait for ten.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""rgb, shape (height, width, 3)."""

PATTERN = "pattern"
BLOCK_SHARE = 0.125
"""Side of the block that moves through the pattern, of the height."""
BLOCK_FRAMES = 64
"""Frames until the block is back."""


class NoFrames(Exception):
    """Why a source gives no frames, for a person to read."""


class Source(Protocol):
    """Frames one after the other."""

    def wait(self) -> None:
        """Until the next frame has been captured. Raises NoFrames where none will come."""

    def frame(self) -> Frame | None:
        """The frame that was waited for, or None where it came damaged. Raises NoFrames for a wrong size."""

    def close(self) -> None:
        """Give the device back."""


def open_source(device: str, width: int, height: int, fps: float) -> Source:
    """A source of frames of `width` x `height` [px] at `fps` [Hz].

    `device`: the path of a video device or its number, the path of a video file, or "pattern". Raises
    NoFrames where there is none or it cannot be opened.
    """
    if device == PATTERN:
        return Pattern(width, height, fps)
    path = Path(f"/dev/video{device}" if device.isdecimal() else device)
    if path.is_file():
        return VideoFile(path, (width, height), fps)
    return VideoDevice(path, (width, height), fps)


class Pace:
    """Beats at a fixed rate; what was missed is left out."""

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._next_s = time.monotonic()

    def wait(self) -> None:
        """Until the next beat."""
        now_s = time.monotonic()
        self._next_s += self._period_s * max(1, math.ceil((now_s - self._next_s) / self._period_s))
        time.sleep(self._next_s - now_s)


class Pattern:
    """Colours that differ everywhere, and a white block that wanders through them frame by frame."""

    def __init__(self, width: int, height: int, fps: float) -> None:
        """`width`, `height`: of the frames [px]."""
        across = np.linspace(0, 255, width).astype(np.uint8)
        down = np.linspace(0, 255, height).astype(np.uint8)
        self._still = np.empty((height, width, 3), np.uint8)
        self._still[..., 0], self._still[..., 1], self._still[..., 2] = across, down[:, None], 96
        self._side = max(1, round(BLOCK_SHARE * height))
        self._count = 0
        self._pace = Pace(fps)

    def wait(self) -> None:
        """See `Source.wait`."""
        self._pace.wait()
        self._count += 1

    def frame(self) -> Frame:
        """See `Source.frame`."""
        height, width, _ = self._still.shape
        share = (self._count % BLOCK_FRAMES) / BLOCK_FRAMES
        left, top = round(share * (width - self._side)), (height - self._side) // 2
        frame = self._still.copy()
        frame[top : top + self._side, left : left + self._side] = 255
        return frame

    def close(self) -> None:
        """Nothing to give back."""


class VideoFile:
    """A recorded video, again and again, at a rate of its own. Opened anew at its end."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        """`size`: width and height [px]. Raises NoFrames where this is no video."""
        self._path, self._size = path, size
        self._capture = _opened(path, cv2.CAP_FFMPEG)
        self._pace = Pace(fps)

    def wait(self) -> None:
        """See `Source.wait`."""
        self._pace.wait()
        if self._capture.grab():
            return
        self.close()
        self._capture = _opened(self._path, cv2.CAP_FFMPEG)
        if not self._capture.grab():
            raise NoFrames(f"expected a video, {self._path} holds no frame")

    def frame(self) -> Frame | None:
        """See `Source.frame`."""
        return _retrieved(self._capture, self._path, self._size)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class VideoDevice:
    """A USB camera through V4L2, as MJPG: raw frames of several cameras do not fit through one USB hub."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        """Asks for that size, width and height [px], and rate; the camera takes what is nearest.

        Raises NoFrames where it cannot be opened.
        """
        self._path, self._size = path, size
        self._capture = _opened(path, cv2.CAP_V4L2)
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, fps)
        # One frame in flight: with more, what is read is older than the newest.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)

    def wait(self) -> None:
        """See `Source.wait`."""
        if not self._capture.grab():
            raise NoFrames(f"expected a frame, {self._path} gives none; was it unplugged?")

    def frame(self) -> Frame | None:
        """See `Source.frame`."""
        return _retrieved(self._capture, self._path, self._size)

    def close(self) -> None:
        """Give the device back."""
        self._capture.release()


def _opened(path: Path, backend: int) -> cv2.VideoCapture:
    _check_exists(path)
    # Looked for again after a failure: it may have been unplugged meanwhile.
    if not os.access(path, os.R_OK):
        _check_exists(path)
        raise NoFrames(f"expected to be allowed to read {path}; is this user in the group `video`?")
    capture = cv2.VideoCapture(str(path), backend)
    if capture.isOpened():
        return capture
    capture.release()
    _check_exists(path)
    reason = "does another program use it?" if backend == cv2.CAP_V4L2 else "is it a video?"
    raise NoFrames(f"expected a video device or a video file, {path} cannot be opened; {reason}")


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise NoFrames(
            f"expected a video device or a video file, {path} does not exist; "
            "`ls /dev/v4l/by-id/` lists the cameras that are plugged in"
        )


def _retrieved(capture: cv2.VideoCapture, path: Path, size: tuple[int, int]) -> Frame | None:
    try:
        is_whole, frame = capture.retrieve()
        frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if is_whole else None
    except cv2.error as error:
        raise NoFrames(f"expected frames with colours, {path} gives others: {error}") from error
    if frame is None:
        return None
    height, width = frame.shape[:2]
    if (width, height) != size:
        raise NoFrames(
            f"expected frames of {size[0]}x{size[1]}, {path} gives {width}x{height}; "
            "set width and height to a size that it offers"
        )
    return frame
