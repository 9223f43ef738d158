"""Labelled frames on disk, by episode: memory-mapped uint8 and JSON, whole or not at all.

<folder>/layout.json              cameras, image size, format
<folder>/<episode>/frames.npy     uint8 (frames, cameras, height, width, 3), rgb
<folder>/<episode>/episode.json   labels, stamps, the arm, and where it all comes from
"""

import itertools
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from hilrl_perception.reward_guard import COLUMNS

FORMAT = 1
VETO = "veto"
"""`provenance["source"]` of frames that a person took a success back from."""


@dataclass(frozen=True)
class Layout:
    """What all frames of a folder share."""

    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    """Height, width [px]."""

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Of one observation: (cameras, height, width, 3)."""
        return (len(self.cameras), *self.image_size, 3)


@dataclass(frozen=True)
class LabelledEpisode:
    """Frames of one episode and what they show."""

    frames: NDArray[np.uint8]
    """Shape (n, cameras, height, width, 3), rgb; read from disk it is memory-mapped."""
    labels: NDArray[np.bool_]
    """Whether the task is done in the frame, shape (n,)."""
    stamps_ns: NDArray[np.int64]
    """Shape (n,)."""
    arm: NDArray[np.float64]
    """Shape (n, 5), columns as in `reward_guard.COLUMNS`."""
    provenance: Mapping[str, Any]
    """Where it comes from: "source" and whatever else is known."""
    name: str = ""
    """Of its folder, once it is stored."""

    @property
    def is_veto(self) -> bool:
        """Frames of a success that a person took back."""
        return self.provenance.get("source") == VETO


class RewardData:
    """A folder of labelled episodes."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        """Make the folder, or go on with one of the same layout; raises ValueError for another layout."""
        self.folder, self.layout = folder, layout
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "layout.json").exists():
            _write_text(folder / "layout.json", json.dumps(_layout_fields(layout), indent=1))
        elif (found := read_layout(folder)) != layout:
            raise ValueError(f"{folder}: expected frames of {layout}, it holds {found}")
        self._numbers = itertools.count()

    def add(self, episode: LabelledEpisode) -> Path:
        """Store an episode; its folder. Raises ValueError where its parts do not fit each other."""
        if reason := _problem(episode, self.layout):
            raise ValueError(f"episode: {reason}")
        source = episode.provenance["source"]
        # Several processes may write to one folder: drawn, not counted.
        name = f"{time.strftime('%Y%m%dT%H%M%S')}-{next(self._numbers):05d}-{source}-{secrets.token_hex(3)}"
        aside = self.folder / f".{name}.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        with open(aside / "frames.npy", "wb") as file:
            np.save(file, episode.frames, allow_pickle=False)
            _sync(file)
        fields = {
            "labels": episode.labels.astype(int).tolist(),
            "stamps_ns": episode.stamps_ns.tolist(),
            "arm": {column: episode.arm[:, i].tolist() for i, column in enumerate(COLUMNS)},
            "provenance": dict(episode.provenance),
        }
        with open(aside / "episode.json", "w") as file:
            json.dump(fields, file)
            _sync(file)
        aside.rename(self.folder / name)
        return self.folder / name

    @property
    def count(self) -> int:
        """Episodes stored."""
        return len(_episode_folders(self.folder))


def read_layout(folder: Path) -> Layout:
    """Raises ValueError naming the file where there is none."""
    path = folder / "layout.json"
    fields = _read_json(path)
    try:
        if fields["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT}, got {fields['format']!r}")
        height, width = map(int, fields["image_size"])
        return Layout(tuple(map(str, fields["cameras"])), (height, width))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the layout of labelled frames: {error!r}") from error


def read(folders: Sequence[Path]) -> tuple[Layout, list[LabelledEpisode]]:
    """All episodes of all folders, in the order of their names.

    Raises ValueError naming the file that is damaged, folders of unlike layouts, or that there is nothing.
    """
    layouts = {folder: read_layout(folder) for folder in folders}
    if len(set(layouts.values())) != 1:
        raise ValueError(f"folders: expected one layout of frames, got {list(layouts.items())}")
    layout = next(iter(layouts.values()))
    episodes = [_read(path, layout) for folder in folders for path in _episode_folders(folder)]
    if not episodes:
        raise ValueError(f"{', '.join(map(str, folders))}: expected labelled episodes, found none")
    return layout, episodes


def _episode_folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob("[!.]*/episode.json"))


def _read(path: Path, layout: Layout) -> LabelledEpisode:
    fields = _read_json(path / "episode.json")
    try:
        frames = open_memmap(path / "frames.npy", mode="r")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path / 'frames.npy'}: expected an array of frames: {error}") from error
    try:
        episode = LabelledEpisode(
            frames,
            np.array(fields["labels"], np.int64).astype(bool),
            np.array(fields["stamps_ns"], np.int64),
            np.stack([np.array(fields["arm"][column], np.float64) for column in COLUMNS], axis=1),
            dict(fields["provenance"]),
            path.name,
        )
        known = set(fields["labels"]) <= {0, 1}
        reason = _problem(episode, layout) if known else "labels: expected 0 and 1 alone"
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path / 'episode.json'}: expected a labelled episode: {error!r}") from error
    if reason:
        raise ValueError(f"{path}: {reason}")
    return episode


def _problem(episode: LabelledEpisode, layout: Layout) -> str:
    count = len(episode.labels)
    shapes = {
        "frames": (episode.frames.shape, (count, *layout.frame_shape)),
        "stamps_ns": (episode.stamps_ns.shape, (count,)),
        "arm": (episode.arm.shape, (count, len(COLUMNS))),
    }
    if count == 0:
        return "labels: expected at least one frame, got none"
    for name, (found, expected) in shapes.items():
        if found != expected:
            return f"{name}: expected shape {expected}, got {found}"
    if episode.frames.dtype != np.uint8:
        return f"frames: expected uint8, got {episode.frames.dtype}"
    if not isinstance(episode.provenance.get("source"), str):
        return f"provenance: expected a source, got {dict(episode.provenance)}"
    return ""


def _layout_fields(layout: Layout) -> dict[str, Any]:
    return {"format": FORMAT, "cameras": list(layout.cameras), "image_size": list(layout.image_size)}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: expected readable JSON: {error}") from error


def _write_text(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text)
    aside.replace(path)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
