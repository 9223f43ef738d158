"""Where a LeRobotDataset keeps what: its description and the place of each episode, for versions 2 and 3.

Version 2 has one parquet file and one video per episode, version 3 several episodes to a file. Everything
here is read from `meta/`; nothing is fetched from anywhere.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from hilrl_learning.lerobot.reader_files import one_line, read_table, read_text

VERSION_2, VERSION_3 = ("v2.0", "v2.1"), ("v3.0",)


@dataclass(frozen=True)
class Feature:
    """One column or camera, as `meta/info.json` declares it."""

    dtype: str
    """A numpy name, or string, image, video."""
    shape: tuple[int, ...]
    names: tuple[str, ...]
    """Of the elements of a vector, where given; empty otherwise."""

    @property
    def is_camera(self) -> bool:
        """Its frames are read by `LeRobotReader.frames`."""
        return self.dtype in ("image", "video")


@dataclass(frozen=True)
class VideoPart:
    """The piece of a video file that belongs to an episode."""

    file: Path
    from_s: float
    """Time in the file of the episode's timestamp 0 [s]."""


@dataclass(frozen=True)
class EpisodePlace:
    """Where an episode is."""

    length: int
    """Frames."""
    tasks: tuple[str, ...]
    data_file: Path
    videos: Mapping[str, VideoPart]
    """By feature."""


@dataclass(frozen=True)
class Layout:
    """What `meta/` says."""

    version: str
    fps: float
    features: Mapping[str, Feature]
    tasks: Mapping[int, str]
    """By task index."""
    episodes: Sequence[EpisodePlace]
    info: Mapping[str, Any]
    """All of info.json."""


def load_layout(root: Path) -> Layout:
    """Read `meta/`. Raises ValueError naming the file and the field at fault."""
    path = root / "meta" / "info.json"
    info = _json(path, read_text(path))
    if not isinstance(info, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(info).__name__}")
    version = _field(path, info, "codebase_version", str)
    if version not in (*VERSION_2, *VERSION_3):
        known = ", ".join((*VERSION_2, *VERSION_3))
        raise ValueError(f"{path}: codebase_version: expected one of {known}, got {version!r}")
    fps = float(_field(path, info, "fps", (int, float)))
    if not 0 < fps < 1e6:
        raise ValueError(f"{path}: fps: expected more than 0, got {fps}")
    features = _features(path, _field(path, info, "features", dict))
    load = _load_version_3 if version in VERSION_3 else _load_version_2
    tasks, episodes = load(root, path, info, [key for key, f in features.items() if f.dtype == "video"])
    total = _field(path, info, "total_episodes", int)
    if total > len(episodes):
        raise ValueError(
            f"{path}: total_episodes: expected {len(episodes)}, as many as meta/ describes, got {total}"
        )
    # A writer that was killed may leave the files of an episode that is not in the dataset yet.
    return Layout(version, fps, features, tasks, episodes[: max(0, total)], info)


def _json(path: Path, text: str, where: str = "") -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: {where}expected JSON: {one_line(error)}") from None


def _field(path: Path, values: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    value = values.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        expected = " or ".join(k.__name__ for k in kinds)
        raise ValueError(f"{path}: {name}: expected {expected}, got {value!r}")
    return value


def _features(path: Path, declared: Mapping[str, Any]) -> dict[str, Feature]:
    features = {}
    for key, value in declared.items():
        shape = value.get("shape") if isinstance(value, dict) else None
        if (
            not isinstance(shape, list)
            or not all(type(n) is int and n > 0 for n in shape)
            or not isinstance(value.get("dtype"), str)
        ):
            raise ValueError(f"{path}: features.{key}: expected dtype and shape, got {value!r}")
        names = value.get("names")
        if isinstance(names, dict):  # {"motors": [...]} in older files
            names = next(iter(names.values()), None) if len(names) == 1 else list(names)
        names = tuple(map(str, names)) if isinstance(names, list) else ()
        features[key] = Feature(value["dtype"], tuple(shape), names)
    return features


def _place(info_path: Path, info: Mapping[str, Any], field: str, root: Path, **numbers: Any) -> Path:
    """The path that a template of info.json stands for, below `root`."""
    template = _field(info_path, info, field, str)
    try:
        relative = PurePosixPath(template.format(**numbers))
    except (LookupError, ValueError, AttributeError, TypeError):
        raise ValueError(
            f"{info_path}: {field}: expected a template of {', '.join(numbers)}, got {template!r}"
        ) from None
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"{info_path}: {field}: expected a path inside the folder, got {template!r}")
    return root / relative


# Version 2


def _load_version_2(
    root: Path, info_path: Path, info: Mapping[str, Any], video_keys: Sequence[str]
) -> tuple[dict[int, str], list[EpisodePlace]]:
    tasks_path = root / "meta" / "tasks.jsonl"
    tasks = {
        _field(tasks_path, line, "task_index", int): _field(tasks_path, line, "task", str)
        for line in _json_lines(tasks_path)
    }
    chunk_size = _field(info_path, info, "chunks_size", int)
    path = root / "meta" / "episodes.jsonl"
    lines = {_field(path, line, "episode_index", int): line for line in _json_lines(path)}
    _check_indices(path, list(lines))
    episodes = []
    for index, line in sorted(lines.items()):
        numbers = {"episode_chunk": index // max(1, chunk_size), "episode_index": index}
        videos = {
            key: VideoPart(_place(info_path, info, "video_path", root, video_key=key, **numbers), 0.0)
            for key in video_keys
        }
        data_file = _place(info_path, info, "data_path", root, **numbers)
        length = _field(path, line, "length", int)
        names = tuple(map(str, _field(path, line, "tasks", list)))
        episodes.append(EpisodePlace(_positive(path, index, length), names, data_file, videos))
    return tasks, episodes


def _json_lines(path: Path) -> list[dict[str, Any]]:
    lines = [
        _json(path, text, f"line {number}: ")
        for number, text in enumerate(read_text(path).splitlines(), 1)
        if text.strip()
    ]
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            raise ValueError(f"{path}: line {number}: expected a JSON object, got {line!r}")
    return lines


# Version 3


def _load_version_3(
    root: Path, info_path: Path, info: Mapping[str, Any], video_keys: Sequence[str]
) -> tuple[dict[int, str], list[EpisodePlace]]:
    tasks_path = root / "meta" / "tasks.parquet"
    tasks_table = read_table(tasks_path)
    # pandas writes its index under the name it has, or this one.
    text = "task" if "task" in tasks_table.column_names else "__index_level_0__"
    tasks = dict(
        zip(
            _column(tasks_path, tasks_table, "task_index"),
            _column(tasks_path, tasks_table, text),
            strict=True,
        )
    )
    numbers = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    for key in video_keys:
        numbers += [f"videos/{key}/{name}" for name in ("chunk_index", "file_index", "from_timestamp")]
    rows = []
    paths = sorted((root / "meta" / "episodes").glob("*/*.parquet"))
    if not paths:
        raise ValueError(f"{root / 'meta' / 'episodes'}: expected parquet files, found none")
    for path in paths:
        table = read_table(path)
        columns = {name: _column(path, table, name) for name in (*numbers, "tasks")}
        rows += [
            (path, dict(zip(columns, values, strict=True))) for values in zip(*columns.values(), strict=True)
        ]
    rows.sort(key=lambda row: row[1]["episode_index"])
    _check_indices(root / "meta" / "episodes", [row["episode_index"] for _, row in rows])
    episodes = []
    for path, row in rows:
        index = row["episode_index"]
        videos = {}
        for key in video_keys:
            chunk, file, from_s = (
                row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index", "from_timestamp")
            )
            place = _place(
                info_path, info, "video_path", root, video_key=key, chunk_index=chunk, file_index=file
            )
            videos[key] = VideoPart(place, float(from_s))
        chunk, file = row["data/chunk_index"], row["data/file_index"]
        data_file = _place(info_path, info, "data_path", root, chunk_index=chunk, file_index=file)
        length = _positive(path, index, row["length"])
        episodes.append(EpisodePlace(length, tuple(map(str, row["tasks"])), data_file, videos))
    return tasks, episodes


def _column(path: Path, table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        raise ValueError(f"{path}: {name}: no such column")
    column = table.column(name)
    if column.null_count:
        raise ValueError(f"{path}: {name}: expected a value in each row, {column.null_count} are missing")
    return column.to_pylist()


def _check_indices(path: Path, indices: Sequence[int]) -> None:
    if sorted(indices) != list(range(len(indices))):
        raise ValueError(
            f"{path}: episode_index: expected 0 to {len(indices) - 1}, got {sorted(indices)[:8]}"
        )


def _positive(path: Path, index: int, length: Any) -> int:
    if type(length) is not int or length < 1:
        raise ValueError(f"{path}: episode {index}: length: expected at least 1, got {length!r}")
    return length
