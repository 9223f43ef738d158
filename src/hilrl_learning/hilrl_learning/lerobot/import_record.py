"""What was imported into a run: `imports.json` in its folder."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hilrl_learning.lerobot.reader_files import one_line, read_text


@dataclass(frozen=True)
class ImportedEpisode:
    """One episode, and where in the replay it is."""

    digest: str
    """Of its content."""
    dataset: str
    episode: int
    """Its number in the dataset."""
    number: int
    """Its number in the replay."""
    first_sequence: int
    last_sequence: int


class ImportRecord:
    """Written before the replay is, so that an episode in the replay is never unknown.

    An entry counts once the replay has the last of its sequence numbers: an import may have been killed.
    """

    def __init__(self, run_dir: Path) -> None:
        """Raises ValueError naming the file where it cannot be read."""
        self._path = run_dir / "imports.json"
        self._episodes: list[ImportedEpisode] = []
        if self._path.exists():
            try:
                entries = json.loads(read_text(self._path))
                self._episodes = [ImportedEpisode(**entry) for entry in entries]
            except (TypeError, json.JSONDecodeError) as error:
                raise ValueError(
                    f"{self._path}: expected what an import has written: {one_line(error)}"
                ) from None

    def stored(self, received: int) -> set[str]:
        """Digests of the episodes that are in a replay that holds sequence numbers up to `received`."""
        self._episodes = [entry for entry in self._episodes if entry.last_sequence <= received]
        return {entry.digest for entry in self._episodes}

    def of(self, digests: Sequence[str]) -> str:
        """From where these came, for a person to read."""
        datasets = dict.fromkeys(entry.dataset for entry in self._episodes if entry.digest in digests)
        return f"imported from {', '.join(datasets)}" if datasets else "imported before"

    def begin(self, episodes: Sequence[ImportedEpisode]) -> None:
        """These are about to be put into the replay."""
        self._episodes += episodes
        aside = self._path.with_suffix(".tmp")
        with aside.open("w") as file:
            json.dump([asdict(entry) for entry in self._episodes], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)
