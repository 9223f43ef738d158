"""The memory-mapped arrays of a replay."""

import ctypes
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Layout = Mapping[str, tuple[tuple[int, ...], str]]
"""Per array: shape of one slot, dtype."""

MAX_ACTORS = 1024


class ReplayFiles:
    """One file per array and a description of them. What was written survives the death of the process."""

    def __init__(self, folder: Path, capacity: int, layout: Layout, meaning: object) -> None:
        """Open or create. `meaning` is anything JSON that must be as it was.

        Raises ValueError when the folder holds arrays of another layout or meaning.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._check(folder / "layout.json", {"capacity": capacity, "layout": layout, "meaning": meaning})
        self._maps = {
            name: _open_array(folder / f"{name}.bin", (capacity, *shape), dtype)
            for name, (shape, dtype) in layout.items()
        }
        # Plain views: indexing a memmap object itself costs several times as much.
        self.arrays: dict[str, NDArray] = {name: np.asarray(array) for name, array in self._maps.items()}
        self._actors_file = folder / "actors.json"
        self.actors: list[str] = (
            json.loads(self._actors_file.read_text()) if self._actors_file.exists() else []
        )
        self._index = {actor: index for index, actor in enumerate(self.actors)}
        self.received = _open_array(folder / "received.bin", (MAX_ACTORS,), "uint64")
        """Highest sequence ever stored, per actor; its step may have been overwritten since."""
        self._unfinished = folder / "unfinished.json"
        if self._unfinished.exists():
            self.arrays["serial"][json.loads(self._unfinished.read_text())] = 0
            self.end()

    def actor_index(self, actor_id: str) -> int:
        """The number that stands for an actor in the arrays. Raises ValueError when there are too many."""
        index = self._index.get(actor_id)
        if index is None:
            if len(self.actors) == MAX_ACTORS:
                raise ValueError(
                    f"actor_id: expected at most {MAX_ACTORS} actors in a run, {actor_id!r} is one more"
                )
            index = self._index[actor_id] = len(self.actors)
            self.actors.append(actor_id)
            write_aside(self._actors_file, json.dumps(self.actors))
        return index

    def begin(self, slots: Sequence[int]) -> None:
        """From here to `end` these slots belong together: a process that is killed leaves them all empty."""
        write_aside(self._unfinished, json.dumps(slots))

    def end(self) -> None:
        """What was begun is whole."""
        self._unfinished.unlink(missing_ok=True)

    def flush(self) -> None:
        """Wait until everything is on disk: what survives even a power cut."""
        for array in (*self._maps.values(), self.received):
            array.flush()

    def _check(self, path: Path, wanted: object) -> None:
        text = json.dumps(wanted, default=list)
        if not path.exists():
            write_aside(path, text)
        elif json.loads(path.read_text()) != json.loads(text):
            raise ValueError(
                f"replay: {path.parent} holds another layout; start a new run or restore its settings"
            )


def write_aside(path: Path, text: str) -> None:
    """Replace a small file as a whole."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def _open_array(path: Path, shape: tuple[int, ...], dtype: str) -> np.memmap:
    """A memory-mapped array; a new file is sparse, so capacity costs nothing until used."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.exists():
        with path.open("wb") as file:
            file.truncate(size)
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)


def give_back_memory() -> None:
    """Return freed memory to the system. The C library keeps what the recovery of a long run has needed."""
    with suppress(AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
