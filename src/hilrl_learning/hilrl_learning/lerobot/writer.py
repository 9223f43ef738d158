"""Writes a LeRobotDataset v3 folder that can be opened at every moment, whatever happens to the writer.

An episode has files of its own: a video per camera, its rows, its entry. They are written aside, renamed into
place, and then info.json, which says how many episodes there are, is replaced: that is the moment at which
the episode is in the dataset. Files beyond what info.json says are strays of a writer that was killed;
LeRobot does not reach them, and the next start removes them.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from hilrl_learning.data import Step
from hilrl_learning.lerobot import statistics, video
from hilrl_learning.lerobot.dataset_files import (
    CHUNK_FILES,
    DATA_PATH,
    INFO,
    RECORDING,
    STATISTICS,
    TASKS,
    VIDEO_PATH,
    DatasetFiles,
    place_of,
)
from hilrl_learning.lerobot.features import (
    CODEBASE_VERSION,
    DTYPES,
    EPISODE_INDEX,
    INDEX,
    ROBOT_TYPE,
    SUCCESS,
    TASK_INDEX,
    Schema,
    columns,
    image_key,
)
from hilrl_learning.lerobot.going_on import check_schema, read_info
from hilrl_learning.lerobot.statistics import Statistics

_ARROW = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_()}
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200
"""LeRobot's own limits; files of one episode are far below."""


class DatasetWriter:
    """One dataset, held by this process alone. Opening it goes on with what is there."""

    def __init__(self, root: Path, schema: Schema, task: str) -> None:
        """`task` is the sentence that describes what new episodes show.

        Raises ValueError where the folder is no dataset, has another schema, or is in use.
        """
        if not task.strip():
            raise ValueError("task_text: expected a sentence that says what is shown, got ''")
        self.root = root
        self._schema, self._task = schema, task
        self._files = DatasetFiles(root, tuple(image_key(camera) for camera in schema.spec.cameras))
        read_info(root)
        self._lock = _lock(root)
        try:
            self._info = read_info(root)
            if self._info is not None:
                check_schema(root, self._info, schema)
            self._frames: list[int] = []
            """Rows before the end of each episode."""
            self._statistics: list[Statistics] = []
            self._tasks: list[str] = []
            self._clean_up()
        except BaseException:
            self.close()
            raise

    @property
    def episodes(self) -> int:
        """Committed episodes."""
        return len(self._frames)

    @property
    def journal(self) -> dict[str, Any]:
        """What `add` was last given as `journal`; empty: nothing yet."""
        return self._info["hilrl"]["journal"] if self._info else {}

    def add(self, steps: Sequence[Step], journal: Mapping[str, Any], seed: int = -1) -> None:
        """Commit one episode, and with it `journal`, what the recorder wants to find again with it.

        `seed` is that of the scene, -1: there is none, or it is not known.

        Raises OSError where the disk refuses; the dataset is then as before.
        """
        index, before = self.episodes, self._frames[-1] if self._frames else 0
        paths = self._files.of_episode(index)
        found = columns(steps, self._schema.fps)
        frames = {
            image_key(camera): np.stack([step.observation.images[number] for step in steps])
            for number, camera in enumerate(self._schema.spec.cameras)
        }
        for key, images in frames.items():
            video.encode(self._files.new(paths[key]), images, self._schema.fps)
        tasks = self._tasks if self._task in self._tasks else [*self._tasks, self._task]
        found[EPISODE_INDEX] = np.full(len(steps), index)
        found[INDEX] = before + np.arange(len(steps))
        found[TASK_INDEX] = np.full(len(steps), tasks.index(self._task))
        measured = {name: statistics.of_column(found[name]) for name in DTYPES}
        measured |= {key: statistics.of_frames(images) for key, images in frames.items()}
        parquet.write_table(_rows(found), self._files.new(paths["data"]), compression="snappy")
        own = {"success": bool(found[SUCCESS][-1]), "seed": seed}
        entry = self._entry(index, len(steps), before, own, measured)
        parquet.write_table(entry, self._files.new(paths["episodes"]), compression="snappy")

        together = statistics.together([*self._statistics, measured])
        self._files.put(paths.values())
        if tasks != self._tasks:
            self._files.put_tasks(tasks)
        self._files.put_json(STATISTICS, _as_json(together))
        self._put_info(index + 1, before + len(steps), tasks, journal)
        self._frames.append(before + len(steps))
        self._statistics.append(measured)
        self._tasks = tasks

    def drop_last(self) -> int:
        """Take the newest episode out of the dataset again; the index it had.

        Raises ValueError where there is none, OSError where the disk refuses.
        """
        if not self._frames:
            raise ValueError(f"{self.root}: expected an episode to drop, there is none")
        left = self.episodes - 1
        frames = self._frames[-2] if left else 0
        self._put_info(left, frames, self._tasks, self.journal)
        del self._frames[left:], self._statistics[left:]
        # It is dropped; what the disk refuses now is done at the next start.
        with contextlib.suppress(OSError):
            self._clean_up()
        return left

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._lock)

    def _clean_up(self) -> None:
        """Bring the folder to what info.json says, and know it."""
        count = self._info["total_episodes"] if self._info else 0
        if lacking := list(self._files.missing(count)):
            raise ValueError(
                f"dataset {self.root}: expected {lacking[0]}, which belongs to one of its {count} episodes, "
                "it is not there"
            )
        for path in self._files.strays(count):
            path.unlink()
        for path in self._files.aside.glob("*"):
            path.unlink()
        if len(self._frames) != count:
            entries = [
                parquet.read_table(self.root / self._files.of_episode(i)["episodes"]) for i in range(count)
            ]
            self._frames = [entry["dataset_to_index"][0].as_py() for entry in entries]
            self._statistics = [_statistics_of(entry) for entry in entries]
        if count:
            stored = parquet.read_table(self.root / TASKS).sort_by("task_index")["task"].to_pylist()
            self._tasks = stored[: self._info["total_tasks"]]
            expected = _as_json(statistics.together(self._statistics))
            path = self.root / STATISTICS
            if not path.exists() or json.loads(path.read_text()) != expected:
                self._files.put_json(STATISTICS, expected)
        else:
            (self.root / STATISTICS).unlink(missing_ok=True)

    def _put_info(self, episodes: int, frames: int, tasks: list[str], journal: Mapping[str, Any]) -> None:
        info = {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": ROBOT_TYPE,
            "total_episodes": episodes,
            "total_frames": frames,
            "total_tasks": len(tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": DATA_FILE_MB,
            "video_files_size_in_mb": VIDEO_FILE_MB,
            "fps": self._schema.fps,
            "splits": {"train": f"0:{episodes}"} if episodes else {},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH,
            "features": self._schema.features(video.INFO),
            "hilrl": {**self._schema.motion, "journal": dict(journal)},
        }
        self._files.put_json(INFO, info)
        self._info = info

    def _entry(
        self, index: int, length: int, before: int, own: Mapping[str, Any], measured: Statistics
    ) -> pa.Table:
        """The episode's row of meta/episodes."""
        chunk, file = place_of(index)
        row: dict[str, Any] = {
            "episode_index": index,
            "tasks": [self._task],
            "length": length,
            **own,
            "data/chunk_index": chunk,
            "data/file_index": file,
            "dataset_from_index": before,
            "dataset_to_index": before + length,
        }
        for key in self._files.video_keys:
            row |= {
                f"videos/{key}/chunk_index": chunk,
                f"videos/{key}/file_index": file,
                f"videos/{key}/from_timestamp": 0.0,
                f"videos/{key}/to_timestamp": length / self._schema.fps,
            }
        for feature, numbers in _as_json(measured).items():
            row |= {f"stats/{feature}/{name}": values for name, values in numbers.items()}
        row |= {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        return pa.Table.from_pylist([row])


def _rows(found: Mapping[str, NDArray[Any]]) -> pa.Table:
    arrays = {}
    for name, dtype in DTYPES.items():
        values = np.ascontiguousarray(found[name], dtype)
        flat = pa.array(values.ravel(), _ARROW[dtype])
        arrays[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1]) if values.ndim == 2 else flat
    return pa.table(arrays)


def _as_json(measured: Statistics) -> dict[str, dict[str, Any]]:
    return {
        feature: {name: values.tolist() for name, values in numbers.items()}
        for feature, numbers in measured.items()
    }


def _statistics_of(entry: pa.Table) -> Statistics:
    found: Statistics = {}
    for column in entry.column_names:
        if column.startswith("stats/"):
            feature, _, name = column.removeprefix("stats/").rpartition("/")
            found.setdefault(feature, {})[name] = np.array(entry[column][0].as_py())
    return found


def _lock(root: Path) -> int:
    """Keep other recorders out for as long as this process lives. Raises ValueError when one is there."""
    folder = root / RECORDING
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ValueError(f"dataset {root}: expected to be able to write there: {error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(
            f"dataset {root}: expected to be the only recorder that writes here, another one does"
        ) from None
    return descriptor
