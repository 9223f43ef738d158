"""Frames of a video file, exactly by number or time, decoded by the ffmpeg that imageio brings."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

_TIME_BASE = re.compile(r"#tb 0: (\d+)/(\d+)")
_DIMENSIONS = re.compile(r"#dimensions 0: (\d+)x(\d+)")


@dataclass(frozen=True)
class VideoIndex:
    """What a file contains, without decoding it."""

    times_s: NDArray[np.float64]
    """When each frame is shown, in order."""
    height: int
    width: int

    def nearest(self, times_s: NDArray[np.float64]) -> NDArray[np.int64]:
        """Numbers of the frames that are shown nearest to these times."""
        after = np.clip(np.searchsorted(self.times_s, times_s), 1, max(1, len(self.times_s) - 1))
        if len(self.times_s) == 1:
            return np.zeros(len(times_s), np.int64)
        before = after - 1
        nearer = np.abs(times_s - self.times_s[before]) <= np.abs(self.times_s[after] - times_s)
        return np.where(nearer, before, after)


def index_video(path: Path) -> VideoIndex:
    """List the frames of a file. Raises ValueError naming the file where it is no readable video."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    # Lists the packets, each with its time, and copies none.
    arguments = ("-i", str(path), "-map", "0:v:0", "-c", "copy", "-f", "framecrc", "-")
    result = subprocess.run(
        (*_ffmpeg(), *arguments), capture_output=True, text=True, errors="replace", check=False
    )
    base, size = _TIME_BASE.search(result.stdout), _DIMENSIONS.search(result.stdout)
    ticks = [
        int(line.split(",")[2]) for line in result.stdout.splitlines() if line and not line.startswith("#")
    ]
    if base is None or size is None or not ticks:
        raise ValueError(f"{path}: expected a readable video: {_complaint(result.stderr)}")
    times_s = np.sort(np.array(ticks, float)) * int(base[1]) / int(base[2])
    return VideoIndex(times_s[times_s > -1e-6], int(size[2]), int(size[1]))


def decode(path: Path, index: VideoIndex, first: int, count: int) -> Iterator[NDArray[np.uint8]]:
    """`count` frames from number `first` on, each shape (height, width, 3), rgb.

    Raises ValueError naming the file where one of them cannot be decoded.
    """
    seek: tuple[str, ...] = ()
    if first > 0:
        # Between two frames: rounding cannot shift the count by one.
        seek = ("-ss", f"{(index.times_s[first - 1] + index.times_s[first]) / 2:.6f}")
    arguments = (
        # Rather none than a frame that ffmpeg has patched up.
        "-xerror", "-err_detect", "explode", *seek, "-noautorotate", "-i", str(path),
        "-map", "0:v:0", "-frames:v", str(count), "-fps_mode", "passthrough",
        "-sws_flags", "bilinear+accurate_rnd+full_chroma_int",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
    )  # fmt: skip
    frame_bytes = index.height * index.width * 3
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            (*_ffmpeg(), *arguments), stdout=subprocess.PIPE, stderr=complaints, bufsize=frame_bytes
        )
        try:
            for number in range(first, first + count):
                data = process.stdout.read(frame_bytes)
                if len(data) < frame_bytes:
                    process.wait()
                    complaints.seek(0)
                    reason = _complaint(complaints.read().decode(errors="replace"))
                    raise ValueError(f"{path}: frame {number} cannot be decoded: {reason}")
                yield np.frombuffer(data, np.uint8).reshape(index.height, index.width, 3)
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _ffmpeg() -> tuple[str, ...]:
    return (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "error")


def _complaint(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "ffmpeg found no frames in it"
