"""The episode log, `episodes.jsonl`: one line per finished episode."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hilrl_interfaces.msg import Episode

KINDS = {
    Episode.KIND_TRAINING: "training",
    Episode.KIND_DEMONSTRATION: "demonstration",
    Episode.KIND_EVALUATION: "evaluation",
}


@dataclass(frozen=True)
class EpisodeRecord:
    """One finished episode."""

    actor: str
    episode: int
    kind: str
    """"training", "demonstration" or "evaluation"."""
    success: bool
    truncated: bool
    episode_return: float
    steps: int
    intervention_steps: int
    duration_s: float
    """In the time of the arm."""
    policy_version: int
    seed: int
    """Of the scene, -1: none."""
    time: float
    """Wall clock at the end [s since 1970]."""
    elapsed_s: float
    """Wall time that the run had been going for, pauses between its starts left out [s]."""
    env_steps: int
    """Steps of the whole run up to the end of this episode."""


class EpisodeLog:
    """Appends to `episodes.jsonl`, going on where an earlier start of the run left off."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a line that is not an episode."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.records: list[EpisodeRecord] = read(path) if path.exists() else []
        _drop_torn_line(path)
        self._file = path.open("a")
        self._begun = time.monotonic() - (self.records[-1].elapsed_s if self.records else 0.0)

    @property
    def elapsed_s(self) -> float:
        """Wall time that the run has been going for [s]."""
        return time.monotonic() - self._begun

    def add(self, message: Episode) -> EpisodeRecord:
        """Store the end of an episode."""
        before = self.records[-1].env_steps if self.records else 0
        record = from_message(message, self.elapsed_s, before + message.steps)
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()
        self.records.append(record)
        return record

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def from_message(message: Episode, elapsed_s: float, env_steps: int) -> EpisodeRecord:
    """The record of a finished episode."""
    return EpisodeRecord(
        actor=message.actor_id,
        episode=message.episode,
        kind=KINDS.get(message.kind, f"kind {message.kind}"),
        success=message.success,
        truncated=message.truncated,
        episode_return=message.episode_return,
        steps=message.steps,
        intervention_steps=message.intervention_steps,
        duration_s=message.duration_s,
        policy_version=message.policy_version,
        seed=message.seed,
        time=time.time(),
        elapsed_s=elapsed_s,
        env_steps=env_steps,
    )


def read(path: Path) -> list[EpisodeRecord]:
    """All episodes of a log. A last line cut short by a crash is left out.

    Raises ValueError naming the line that is not an episode.
    """
    records = []
    for number, line in enumerate(_whole_lines(path), 1):
        try:
            records.append(EpisodeRecord(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{path}: line {number}: expected an episode, got {line[:80]!r}: {error}"
            ) from error
    return records


def of_kind(records: Sequence[EpisodeRecord], kind: str) -> list[EpisodeRecord]:
    """Those of one kind, in order."""
    return [record for record in records if record.kind == kind]


def _whole_lines(path: Path) -> list[str]:
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def _drop_torn_line(path: Path) -> None:
    """What is appended next must begin a line of its own."""
    if path.exists():
        with open(path, "rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
