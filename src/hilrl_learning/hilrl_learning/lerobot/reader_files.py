"""Files of a dataset: parquet and text, with one error that names the file where it is damaged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MAX_ROWS = 10_000_000
"""Of a parquet file: 55 h at 50 Hz. A small file may claim any number, compressed."""
MAX_TEXT_BYTES = 64 << 20


def read_table(path: Path) -> pa.Table:
    """All of a parquet file. Raises ValueError naming the file."""
    with _opened(path) as file:
        return file.read()


class DataFile:
    """A parquet file with the rows of one or several episodes."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError naming the file where it cannot be read."""
        self._path = path
        with _opened(path) as file:
            if "episode_index" not in file.schema_arrow.names:
                raise ValueError(f"{path}: episode_index: no such column")
            self._episodes = file.read(columns=["episode_index"]).column(0).to_numpy()
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._group_ends = np.cumsum(groups)

    def rows(self, episode: int, names: Sequence[str]) -> pa.Table:
        """Columns of an episode. Raises ValueError naming the file and the column that is not there."""
        at = np.flatnonzero(self._episodes == episode)
        with _opened(self._path) as file:
            for name in names:
                if name not in file.schema_arrow.names:
                    raise ValueError(f"{self._path}: {name}: no such column, which info.json declares")
            if not len(at):
                return file.schema_arrow.empty_table().select(list(names))
            groups = np.unique(np.searchsorted(self._group_ends, at, side="right"))
            table = file.read_row_groups(groups.tolist(), columns=list(names))
        inside = np.concatenate([np.split(self._episodes, self._group_ends)[group] for group in groups])
        return table.filter(inside == episode).select(list(names))


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        # A handle of its own: pyarrow might read a folder, or look for a file system in the name.
        with path.open("rb") as file:
            opened = pq.ParquetFile(file)
            if opened.metadata.num_rows > MAX_ROWS:
                raise ValueError(f"{path}: expected at most {MAX_ROWS} rows, got {opened.metadata.num_rows}")
            yield opened
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: expected a readable parquet file: {one_line(error)}") from error


def read_text(path: Path) -> str:
    """A text file. Raises ValueError naming it."""
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise ValueError(f"{path}: expected at most {MAX_TEXT_BYTES} bytes, got {size}")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected readable text: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The first line of an error, which may span many."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
