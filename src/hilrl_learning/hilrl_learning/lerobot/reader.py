"""Reads a LeRobotDataset folder, version 2.1 or 3.0: columns as arrays, frames exactly by their number."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hilrl_learning.lerobot.reader_files import DataFile, one_line
from hilrl_learning.lerobot.reader_layout import Feature, load_layout
from hilrl_learning.lerobot.video_frames import VideoIndex, decode, index_video

TOLERANCE = 0.25
"""A frame may be shown so far from its row's timestamp, in frame periods."""


class LeRobotReader:
    """One dataset on disk. Every error is a ValueError that names the file and what is wrong with it.

    Example:
        reader = LeRobotReader(Path("recordings/lift"))
        states = reader.episode(0)["observation.state"]  # (n, 19)
        for frame in reader.frames(0, "observation.images.front"): ...
    """

    def __init__(self, path: Path | str) -> None:
        """Reads the description, no data yet."""
        self.path = Path(path)
        if not self.path.is_dir():
            raise ValueError(f"{self.path}: expected the folder of a LeRobotDataset, found none")
        self._layout = load_layout(self.path)
        self.version = self._layout.version
        self.fps = self._layout.fps
        """Frames per second."""
        self.features: Mapping[str, Feature] = self._layout.features
        """By name."""
        self.info: Mapping[str, Any] = self._layout.info
        """All of `meta/info.json`."""
        self._data: dict[Path, DataFile] = {}
        self._videos: dict[Path, VideoIndex] = {}

    @property
    def episode_count(self) -> int:
        """Episodes are numbered from 0."""
        return len(self._layout.episodes)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Features that are frames."""
        return tuple(key for key, feature in self.features.items() if feature.is_camera)

    @property
    def tasks(self) -> tuple[str, ...]:
        """What was to be done, in the order of their index."""
        return tuple(self._layout.tasks[index] for index in sorted(self._layout.tasks))

    def tasks_of(self, episode: int) -> tuple[str, ...]:
        """What was to be done in an episode."""
        return self._layout.episodes[episode].tasks

    def length(self, episode: int) -> int:
        """Frames of an episode."""
        return self._layout.episodes[episode].length

    def episode(self, episode: int) -> dict[str, NDArray]:
        """Every column but the cameras' by name, each shape (n, *shape); (n,) where the shape is (1,)."""
        place = self._layout.episodes[episode]
        names = [name for name, feature in self.features.items() if not feature.is_camera]
        table = self._rows(episode, names)
        return {
            name: _array(f"{place.data_file}: {name}", table.column(name), self.features[name])
            for name in names
        }

    def frames(self, episode: int, key: str) -> Iterator[NDArray[np.uint8]]:
        """An episode's frames in order, each shape (height, width, 3), rgb."""
        if self._camera(key).dtype == "image":
            yield from self._stored_images(episode, key)
            return
        file, numbers = self._frame_numbers(episode, key)
        first, wanted = int(numbers[0]), np.bincount(numbers - numbers[0])
        decoded = decode(file, self._index(file), first, len(wanted))
        for times, frame in zip(wanted, decoded, strict=True):
            for _ in range(times):  # once each, as a rule
                yield frame

    def check(self, episode: int, key: str) -> tuple[int, int]:
        """Height and width [px] of a camera's frames; raises ValueError where a frame is missing.

        Decodes nothing of a video.
        """
        feature = self._camera(key)
        if feature.dtype == "image":
            first = next(self._stored_images(episode, key))
            return first.shape[:2]
        file, _ = self._frame_numbers(episode, key)
        index = self._index(file)
        return index.height, index.width

    def _camera(self, key: str) -> Feature:
        feature = self.features.get(key)
        if feature is None or not feature.is_camera:
            raise ValueError(
                f"{self.path}: camera {key!r}: expected one of {', '.join(self.cameras) or 'none'}"
            )
        return feature

    def _index(self, file: Path) -> VideoIndex:
        if file not in self._videos:
            self._videos[file] = index_video(file)
        return self._videos[file]

    def _frame_numbers(self, episode: int, key: str) -> tuple[Path, NDArray[np.int64]]:
        """The video of a camera, and the number in it of each frame of an episode."""
        part = self._layout.episodes[episode].videos[key]
        index = self._index(part.file)
        table = self._rows(episode, ["timestamp"])
        wanted_s = part.from_s + _array("timestamp", table.column("timestamp"), self.features["timestamp"])
        numbers = index.nearest(wanted_s.astype(float))
        away = np.abs(index.times_s[numbers] - wanted_s) > TOLERANCE / self.fps
        if away.any():
            frame = int(away.argmax())
            raise ValueError(
                f"{part.file}: episode {episode}: expected frame {frame} of {len(wanted_s)} at "
                f"{wanted_s[frame]:.3f} s; the video has {len(index.times_s)} frames from "
                f"{index.times_s[0]:.3f} to {index.times_s[-1]:.3f} s, none there"
            )
        if (np.diff(numbers) < 0).any():
            raise ValueError(f"{part.file}: episode {episode}: timestamp: expected to rise from row to row")
        return part.file, numbers

    def _rows(self, episode: int, names: list[str]) -> pa.Table:
        """The rows of one episode, in order."""
        place = self._layout.episodes[episode]
        for name in ("episode_index", "timestamp"):
            if name not in self.features:
                raise ValueError(f"{self.path / 'meta/info.json'}: features.{name}: missing")
        if place.data_file not in self._data:
            self._data[place.data_file] = DataFile(place.data_file)
        table = self._data[place.data_file].rows(episode, names)
        if table.num_rows != place.length:
            raise ValueError(
                f"{place.data_file}: episode {episode}: expected {place.length} rows, got {table.num_rows}"
            )
        return table

    def _stored_images(self, episode: int, key: str) -> Iterator[NDArray[np.uint8]]:
        """Frames of an image column: encoded bytes, or the name of a file in the folder."""
        place = self._layout.episodes[episode]
        table = self._rows(episode, [key])
        for row, cell in enumerate(table.column(key)):
            where = f"{place.data_file}: {key}: episode {episode}, row {row}"
            value = cell.as_py()
            data = value.get("bytes") if isinstance(value, dict) else value
            if data is None and isinstance(value, dict) and value.get("path"):
                file = self.path / str(value["path"])
                if ".." in file.parts or not file.is_file():
                    raise ValueError(f"{where}: {value['path']}: no such file in {self.path}")
                data = file.read_bytes()
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
            if frame is None:
                raise ValueError(f"{where}: expected an encoded image, got {str(value)[:40]}")
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _array(where: str, column: pa.ChunkedArray, feature: Feature) -> NDArray:
    """A column as an array of the shape and type that the feature declares."""
    rows = len(column)
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):  # of no rows at all
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    while (
        pa.types.is_list(values.type)
        or pa.types.is_large_list(values.type)
        or pa.types.is_fixed_size_list(values.type)
    ):
        if values.null_count:
            raise ValueError(f"{where}: expected a value in each row, {values.null_count} are missing")
        values = values.flatten()
    if values.null_count:
        raise ValueError(f"{where}: expected a value in each row, {values.null_count} are missing")
    shape = (rows,) if feature.shape == (1,) else (rows, *feature.shape)
    if len(values) != int(np.prod(shape)):
        raise ValueError(f"{where}: expected shape {list(shape)}, got {len(values)} values in {rows} rows")
    array = values.to_numpy(zero_copy_only=False)
    if feature.dtype == "string":
        return array.reshape(shape)
    try:
        return array.astype(np.dtype(feature.dtype), casting="same_kind").reshape(shape)
    except TypeError as error:
        raise ValueError(f"{where}: expected {feature.dtype}: {one_line(error)}") from None
