"""A small writer of LeRobotDatasets of its own, for the tests of what reads and imports them."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import imageio_ffmpeg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CODECS = {
    # With frames that are shown in another order than they are stored in.
    "h264": ("-c:v", "libx264", "-crf", "12", "-bf", "3", "-g", "12"),
    "av1": ("-c:v", "libsvtav1", "-crf", "12", "-preset", "10", "-g", "8", "-svtav1-params", "lp=1"),
}
SIZE = (64, 96)
"""Height and width of numbered frames [px]."""


@dataclass
class Episode:
    """What one episode holds."""

    columns: Mapping[str, np.ndarray]
    """By feature, shape (n, ...)."""
    frames: Mapping[str, np.ndarray]
    """By feature, shape (n, height, width, 3)."""
    task: str = "lift the cube"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def numbered(number: int) -> np.ndarray:
    """A frame that shows its number, in blocks that survive any codec."""
    frame = np.full((*SIZE, 3), 60, np.uint8)
    for bit in range(6):
        row, column = 32 * (bit // 3), 32 * (bit % 3)
        if number >> bit & 1:
            frame[row : row + 32, column : column + 32] = (220, 200, 180)
    return frame


def number_of(frame: np.ndarray) -> int:
    return sum(
        int(frame[32 * (bit // 3) + 8 :, 32 * (bit % 3) + 8 :][:16, :16].mean() > 130) << bit
        for bit in range(6)
    )


def write(
    root: Path,
    episodes: Sequence[Episode],
    *,
    version: str = "v3.0",
    fps: int = 30,
    names: Mapping[str, Sequence[str]] | None = None,
    codec: str = "h264",
    images: bool = False,
    per_file: int = 2,
    info: Mapping[str, Any] | None = None,
) -> Path:
    """A dataset. `images`: frames as png in the rows. `per_file`: episodes in each file of version 3."""
    tasks = list(dict.fromkeys(episode.task for episode in episodes))
    features: dict[str, Any] = {
        name: {
            "dtype": str(values.dtype),
            "shape": list(values.shape[1:]) or [1],
            "names": list((names or {}).get(name, ())) or None,
        }
        for name, values in _rows(episodes[0], 0, 0, 0, fps).items()
    }
    for key, frames in episodes[0].frames.items():
        features[key] = {
            "dtype": "image" if images else "video",
            "shape": list(frames.shape[1:]),
            "names": ["height", "width", "channels"],
        }
    write_files = _write_3 if version == "v3.0" else _write_2
    templates = write_files(root, episodes, tasks, fps, codec, images, per_file)
    document = {
        "codebase_version": version,
        "robot_type": "so101_follower",
        "total_episodes": len(episodes),
        "total_frames": sum(map(len, episodes)),
        "total_tasks": len(tasks),
        "chunks_size": 1000,
        "fps": fps,
        **templates,
        "features": features,
        **(info or {}),
    }
    (root / "meta" / "info.json").write_text(json.dumps(document))
    return root


def change_info(root: Path, **changes: Any) -> None:
    """Change fields of info.json; None takes one out."""
    path = root / "meta" / "info.json"
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


def _write_2(
    root: Path,
    episodes: Sequence[Episode],
    tasks: list[str],
    fps: int,
    codec: str,
    images: bool,
    per_file: int,
) -> dict[str, str]:
    (root / "meta").mkdir(parents=True)
    lines = [json.dumps({"task_index": i, "task": task}) for i, task in enumerate(tasks)]
    (root / "meta/tasks.jsonl").write_text("\n".join(lines) + "\n")
    entries, start = [], 0
    for number, episode in enumerate(episodes):
        rows = _rows(episode, number, start, tasks.index(episode.task), fps)
        _write_rows(root / f"data/chunk-000/episode_{number:06d}.parquet", [rows], [episode], images)
        for key, frames in {} if images else episode.frames.items():
            encode(root / f"videos/chunk-000/{key}/episode_{number:06d}.mp4", frames, fps, codec)
        entries.append(json.dumps({"episode_index": number, "tasks": [episode.task], "length": len(episode)}))
        start += len(episode)
    (root / "meta/episodes.jsonl").write_text("\n".join(entries) + "\n")
    return {
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }


def _write_3(
    root: Path,
    episodes: Sequence[Episode],
    tasks: list[str],
    fps: int,
    codec: str,
    images: bool,
    per_file: int,
) -> dict[str, str]:
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    table = pa.table({"task_index": list(range(len(tasks))), "__index_level_0__": tasks})
    pq.write_table(table, root / "meta/tasks.parquet")
    entries, start = [], 0
    for file in range(0, len(episodes), per_file):
        together = episodes[file : file + per_file]
        rows, seconds = [], 0.0
        for number, episode in enumerate(together, file):
            rows.append(_rows(episode, number, start, tasks.index(episode.task), fps))
            entry = {
                "episode_index": number,
                "tasks": [episode.task],
                "length": len(episode),
                "data/chunk_index": 0,
                "data/file_index": file // per_file,
                "dataset_from_index": start,
                "dataset_to_index": start + len(episode),
            }
            for key in {} if images else episode.frames:
                entry |= {
                    f"videos/{key}/chunk_index": 0,
                    f"videos/{key}/file_index": file // per_file,
                    f"videos/{key}/from_timestamp": seconds,
                    f"videos/{key}/to_timestamp": seconds + len(episode) / fps,
                }
            entries.append(entry)
            seconds += len(episode) / fps
            start += len(episode)
        _write_rows(root / f"data/chunk-000/file-{file // per_file:03d}.parquet", rows, together, images)
        for key in {} if images else together[0].frames:
            frames = np.concatenate([episode.frames[key] for episode in together])
            encode(root / f"videos/{key}/chunk-000/file-{file // per_file:03d}.mp4", frames, fps, codec)
    pq.write_table(pa.Table.from_pylist(entries), root / "meta/episodes/chunk-000/file-000.parquet")
    return {
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }


def _rows(episode: Episode, number: int, start: int, task: int, fps: int) -> dict[str, np.ndarray]:
    count = len(episode)
    return {
        **episode.columns,
        "timestamp": (np.arange(count) / fps).astype(np.float32),
        "frame_index": np.arange(count),
        "episode_index": np.full(count, number),
        "index": np.arange(start, start + count),
        "task_index": np.full(count, task),
    }


def _write_rows(
    path: Path, rows: Sequence[dict[str, np.ndarray]], episodes: Sequence[Episode], images: bool
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = np.concatenate([part[name] for part in rows])
        kind = pa.from_numpy_dtype(values.dtype)
        columns[name] = pa.array(values) if values.ndim == 1 else pa.array(values.tolist(), pa.list_(kind))
    for key in episodes[0].frames if images else ():
        columns[key] = [
            {"bytes": cv2.imencode(".png", frame[..., ::-1])[1].tobytes(), "path": f"frame-{i:06d}.png"}
            for episode in episodes
            for i, frame in enumerate(episode.frames[key])
        ]
    pq.write_table(pa.table(columns), path)


def encode(path: Path, frames: np.ndarray, fps: int, codec: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, height, width, _ = frames.shape
    subprocess.run(
        [
            imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
            "-s", f"{width}x{height}", "-r", str(fps), "-i", "-", *CODECS[codec],
            "-pix_fmt", "yuv420p", "-threads", "1", str(path),
        ],
        input=np.ascontiguousarray(frames).tobytes(),
        check=True,
        capture_output=True,
    )  # fmt: skip
