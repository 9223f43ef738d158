"""What the recorder has received and not yet put into the dataset: a spool per actor."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message

from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.data import ObservationSpec, Step
from hilrl_learning.messages import step_from_message, step_to_message
from hilrl_learning.spool import Spool

SEEDS_KEPT = 100
"""Episodes whose seed is known: an episode's steps may come long after its announcement."""


class Journal:
    """Survives the recorder, killed at whatever moment. A step that is in here may be acknowledged."""

    def __init__(self, folder: Path, spec: ObservationSpec) -> None:
        """Raises ValueError where it is damaged or in use."""
        self._folder, self._spec = folder, spec
        folder.mkdir(parents=True, exist_ok=True)
        name = folder / "id"
        if not name.exists():
            aside = name.with_suffix(".new")
            aside.write_text(uuid.uuid4().hex)
            os.replace(aside, name)
        self.id = name.read_text()
        """Tells this journal from one that was deleted and begun anew."""
        self._spools: dict[str, Spool] = {}
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                self._spools[path.name] = Spool(path)

    @property
    def received(self) -> dict[str, int]:
        """Sequence of the newest step per actor."""
        return {actor_id: spool.last_sequence for actor_id, spool in self._spools.items()}

    def append(self, step: Step) -> None:
        """Raises OSError when the disk fails, ValueError when the step is not the actor's next."""
        payload = serialize_message(step_to_message(step, self._spec, ""))
        self._spool(step.actor_id).append(step.sequence, step.episode, payload)

    def note_seed(self, actor_id: str, episode: int, seed: int) -> None:
        """Remember of which scene an actor's episode is. Raises as `append` does."""
        self._spool(actor_id)
        seeds = {**self.seeds(actor_id), episode: seed}
        name = self._folder / actor_id / "seeds.json"
        aside = name.with_suffix(".new")
        aside.write_text(json.dumps(dict(sorted(seeds.items())[-SEEDS_KEPT:])))
        os.replace(aside, name)

    def seeds(self, actor_id: str) -> dict[int, int]:
        """Of an actor's newest episodes, by episode."""
        try:
            notes = json.loads((self._folder / actor_id / "seeds.json").read_text())
        except FileNotFoundError:
            return {}
        return {int(episode): seed for episode, seed in notes.items()}

    def _spool(self, actor_id: str) -> Spool:
        if actor_id not in self._spools:
            if not actor_id or "/" in actor_id or actor_id.startswith("."):
                raise ValueError(f"actor_id: expected the name of a folder, got {actor_id!r}")
            self._spools[actor_id] = Spool(self._folder / actor_id)
        return self._spools[actor_id]

    def steps(self, done: Mapping[str, int]) -> Iterator[Step]:
        """All behind `done`, a sequence per actor. Raises ValueError for one that does not fit the spec."""
        for actor_id, spool in self._spools.items():
            first = max(spool.first_sequence, done.get(actor_id, 0) + 1)
            for sequence in range(first, spool.last_sequence + 1):
                message = deserialize_message(spool.read(sequence), StepMessage)
                try:
                    yield step_from_message(message, self._spec)
                except ValueError as error:
                    raise ValueError(f"{self._folder}: step {sequence} of {actor_id}: {error}") from None

    def catch_up(self, done: Mapping[str, int]) -> None:
        """Count on from `done` where less is here: a loss of power takes what was not synced yet."""
        for actor_id, sequence in done.items():
            spool = self._spool(actor_id)
            if spool.last_sequence < sequence:
                spool.continue_from(sequence, spool.last_episode)

    def release(self, actor_id: str, sequence: int) -> None:
        """All steps up to `sequence` are in the dataset, or belong to no episode of it."""
        spool = self._spools[actor_id]
        if spool.last_sequence == sequence:
            spool.continue_from(sequence, spool.last_episode)
        else:
            spool.acknowledge(sequence)

    def stamp(self, done: Mapping[str, int]) -> dict[str, Any]:
        """What a dataset says about this journal: up to where it has taken it in, per actor."""
        return {"id": self.id, "done": dict(done)}

    def done(self, stamp: Mapping[str, Any]) -> dict[str, int]:
        """Inverse of `stamp`; empty where the dataset knows another journal."""
        return dict(stamp["done"]) if stamp.get("id") == self.id else {}

    def close(self) -> None:
        """Let go of the files."""
        for spool in self._spools.values():
            spool.close()
