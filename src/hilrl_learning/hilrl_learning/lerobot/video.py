"""Frames of one episode as an mp4: constant frame rate, a key frame every other frame, high quality."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

CRF = 10
"""Constant rate factor of x264: about 40 dB on what the simulated cameras see, which half the colour
resolution of yuv420p allows at best; every player and browser shows that format."""
KEY_FRAME_EVERY = 2
"""A reader that wants one frame decodes two at most; LeRobot's own recordings have the same."""
PRESET = "veryfast"

INFO: Mapping[str, Any] = {
    "video.codec": "h264",
    "video.pix_fmt": "yuv420p",
    "video.channels": 3,
    "has_audio": False,
    "is_depth_map": False,
    "video.g": KEY_FRAME_EVERY,
    "video.crf": CRF,
    "video.preset": PRESET,
}
"""Of every camera, in the names of LeRobot's info.json."""


def encode(path: Path, frames: NDArray[np.uint8], fps: int) -> None:
    """Write `frames`, shape (n, height, width, 3), rgb. Raises OSError when that fails."""
    _, height, width, _ = frames.shape
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-",
        "-an", "-c:v", "libx264", "-preset", PRESET, "-crf", str(CRF),
        # Without B-frames the order of the frames is that of their time stamps, from 0 on.
        "-g", str(KEY_FRAME_EVERY), "-bf", "0", "-pix_fmt", "yuv420p",
        "-sws_flags", "bicubic+accurate_rnd+full_chroma_int",
        # One after the other: the arm wants its cores.
        "-threads", "1", "-f", "mp4", str(path),
    ]  # fmt: skip
    ended = subprocess.run(command, input=np.ascontiguousarray(frames).data, capture_output=True, check=False)
    if ended.returncode:
        reason = ended.stderr.decode(errors="replace").strip() or f"ffmpeg ended with {ended.returncode}"
        raise OSError(f"{path}: not encoded: {reason}")
