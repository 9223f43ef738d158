"""Where things lie in a LeRobotDataset v3 folder, and how a file gets there whole or not at all."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

CHUNK_FILES = 1000
"""Files in a folder."""

INFO = "meta/info.json"
STATISTICS = "meta/stats.json"
TASKS = "meta/tasks.parquet"

_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"data/{_FILE}.parquet"
EPISODES_PATH = f"meta/episodes/{_FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{_FILE}.mp4"
_EPISODE_FILES = ("data/chunk-*/file-*.parquet", "meta/episodes/chunk-*/file-*.parquet",
                  "videos/*/chunk-*/file-*.mp4")  # fmt: skip

RECORDING = ".recording"
"""Folder of the recorder's own within a dataset; LeRobot does not look into it."""


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one dataset: one of each kind per episode, so that no file is ever added to."""

    root: Path
    video_keys: tuple[str, ...]

    @property
    def aside(self) -> Path:
        """Where files are written before they are renamed into place."""
        return self.root / RECORDING / "aside"

    def of_episode(self, index: int) -> dict[str, str]:
        """Paths below the root, in the order in which they may appear: `data`, `episodes`, video keys."""
        place = dict(zip(("chunk_index", "file_index"), place_of(index), strict=True))
        videos = {key: VIDEO_PATH.format(video_key=key, **place) for key in self.video_keys}
        return {**videos, "data": DATA_PATH.format(**place), "episodes": EPISODES_PATH.format(**place)}

    def strays(self, episodes: int) -> Iterator[Path]:
        """Files of episodes that were never committed, or are dropped."""
        wanted = {path for index in range(episodes) for path in self.of_episode(index).values()}
        for pattern in _EPISODE_FILES:
            for path in sorted(self.root.glob(pattern)):
                if str(path.relative_to(self.root)) not in wanted:
                    yield path

    def missing(self, episodes: int) -> Iterator[Path]:
        """Files of committed episodes that are not there."""
        for index in range(episodes):
            for path in self.of_episode(index).values():
                if not (self.root / path).exists():
                    yield self.root / path

    def new(self, path: str) -> Path:
        """Where to write what `put` will rename to `path`."""
        self.aside.mkdir(parents=True, exist_ok=True)
        return self.aside / path.replace("/", "_")

    def put(self, paths: Iterable[str]) -> None:
        """Rename what was written at `new`, in this order; each is on the disk before the next."""
        for path in paths:
            final = self.root / path
            final.parent.mkdir(parents=True, exist_ok=True)
            _sync(self.new(path))
            os.replace(self.new(path), final)
            _sync(final.parent)

    def put_json(self, path: str, document: Any) -> None:
        """Write it aside and rename it."""
        self.new(path).write_text(json.dumps(document, indent=4))
        self.put([path])

    def put_tasks(self, tasks: list[str]) -> None:
        """Task `i` of the list has the index `i`."""
        # pandas, with which LeRobot reads this, finds in the metadata that the texts are the index.
        index = {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"}
        number = {
            "name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"
        }  # fmt: skip
        columns = [{**number, "metadata": None}, {**index, "metadata": None}]
        pandas = {"index_columns": ["task"], "column_indexes": [], "columns": columns, "pandas_version": "2"}
        table = pa.table(
            {"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())},
            metadata={"pandas": json.dumps(pandas)},
        )
        parquet.write_table(table, self.new(TASKS))
        self.put([TASKS])


def place_of(index: int) -> tuple[int, int]:
    """(chunk, file) of the files of an episode."""
    return divmod(index, CHUNK_FILES)


def _sync(path: Path) -> None:
    """Have a file or the entries of a folder survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
