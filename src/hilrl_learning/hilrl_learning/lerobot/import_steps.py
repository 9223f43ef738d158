"""From the episodes of a dataset to steps in the replay of a run that no learner holds.

Everything that can be wrong with a dataset is looked for before anything is written; what remains is a frame
that cannot be decoded. An episode is in the replay as a whole or not at all.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilrl_learning.data import Action, Gripper, Observation, ObservationSpec, Source, Step
from hilrl_learning.lerobot.features import ACTION, STATE
from hilrl_learning.lerobot.import_record import ImportedEpisode, ImportRecord
from hilrl_learning.lerobot.reader import LeRobotReader
from hilrl_learning.replay import Replay

ACTOR_ID = "import"
"""Stands for the actor of all imported steps."""


@dataclass(frozen=True)
class EpisodePlan:
    """An episode in the terms of a run, but for its frames."""

    rows: NDArray[np.int64]
    """Shape (n + 1,): the dataset's rows that are observations; the last is what the last action led to."""
    states: NDArray[np.float32]
    """Shape (n + 1, state)."""
    deltas: NDArray[np.float32]
    """Shape (n, 5), order `DELTA_AXES`."""
    grippers: NDArray[np.uint8]
    """Shape (n,), values of `Gripper`."""
    sources: NDArray[np.uint8]
    """Shape (n,), values of `Source`."""
    policy_versions: NDArray[np.uint64]
    """Shape (n,)."""
    rewards: NDArray[np.float32]
    """Shape (n,)."""
    trainable: NDArray[np.bool_]
    """Shape (n,)."""
    terminated: bool
    """The episode ended as such; otherwise it was cut off."""

    def __len__(self) -> int:
        """Steps."""
        return len(self.deltas)


@dataclass(frozen=True)
class Frames:
    """Where a camera's frames come from."""

    key: str
    """Feature of the dataset."""
    crop: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    """From a frame of any size to one of the run's; raises ValueError where it does not fit."""


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    episodes: int
    steps: int
    skipped: int
    """Episodes that the run had already."""


class Importer:
    """Checks the episodes of one dataset, then puts them into a replay."""

    def __init__(
        self,
        reader: LeRobotReader,
        plan: Callable[[int], EpisodePlan],
        cameras: Mapping[str, Frames],
        observation: ObservationSpec,
        period_s: float,
    ) -> None:
        """`plan` turns an episode, by number, into the run's terms; `period_s` is that of its rows.

        Raises ValueError naming the episode or the camera that does not fit the run.
        """
        self._reader = reader
        self._spec = observation
        self._period_ns = period_s * 1e9
        for camera in observation.cameras:
            if camera not in cameras:
                raise ValueError(f"camera {camera}: expected a feature of the dataset for it")
        self._cameras = [cameras[camera] for camera in observation.cameras]
        if reader.episode_count == 0:
            raise ValueError(f"{reader.path}: expected episodes, found none")
        self._plans = [plan(episode) for episode in range(reader.episode_count)]
        self._digests = [digest(reader, episode) for episode in range(reader.episode_count)]
        for episode in range(reader.episode_count):
            for frames in self._cameras:
                size = reader.check(episode, frames.key)
                try:
                    frames.crop(np.zeros((*size, 3), np.uint8))
                except ValueError as error:
                    raise ValueError(f"episode {episode}: {frames.key}: {error}") from None

    @property
    def successes(self) -> int:
        """Episodes that a learner counts as successful demonstrations."""
        return sum(
            bool(plan.terminated and plan.rewards[-1] > 0 and (plan.sources == Source.DEMONSTRATION).all())
            for plan in self._plans
        )

    def check(self, replay: Replay, record: ImportRecord) -> None:
        """Raises ValueError where the run has it all already, or no room for it."""
        chosen = self._chosen(replay, record)
        if not chosen:
            raise ValueError(
                f"{self._reader.path}: all {len(self._plans)} episodes are in this run already, "
                f"{record.of(self._digests)}"
            )
        needed = sum(len(self._plans[episode]) + 1 for episode in chosen)
        if needed > replay.room:
            raise ValueError(
                f"replay: expected room for {needed} observations, got {replay.room} of {replay.capacity}; "
                "begin a run with a larger learner.capacity"
            )

    def run(self, replay: Replay, record: ImportRecord, progress: Callable[[int, int], None]) -> Imported:
        """Put in what the replay does not have yet. `progress` is told episodes done and to do.

        Raises ValueError as `check` does, and for a frame that cannot be decoded; what was done by then
        stays, and the next import goes on there.
        """
        self.check(replay, record)
        chosen = self._chosen(replay, record)
        sequence = replay.received().get(ACTOR_ID, 0)
        number = _last_episode(replay)
        entries = []
        for episode in chosen:
            number, first = number + 1, sequence + 1
            sequence += len(self._plans[episode])
            entries.append(
                ImportedEpisode(
                    self._digests[episode], str(self._reader.path), episode, number, first, sequence
                )
            )
        record.begin(entries)
        for done, (episode, entry) in enumerate(zip(chosen, entries, strict=True), 1):
            replay.add_episode(self._steps(episode, entry))
            progress(done, len(chosen))
        replay.flush()
        steps = sum(len(self._plans[episode]) for episode in chosen)
        return Imported(len(chosen), steps, len(self._plans) - len(chosen))

    def _chosen(self, replay: Replay, record: ImportRecord) -> list[int]:
        """Episodes of which the run knows nothing; of twins in the dataset the first."""
        known = record.stored(replay.received().get(ACTOR_ID, 0))
        chosen = []
        for episode, name in enumerate(self._digests):
            if name not in known:
                known.add(name)
                chosen.append(episode)
        return chosen

    def _steps(self, episode: int, entry: ImportedEpisode) -> list[Step]:
        plan = self._plans[episode]
        observations = list(self._observations(episode))
        last = len(plan) - 1
        return [
            Step(
                actor_id=ACTOR_ID,
                sequence=entry.first_sequence + index,
                episode=entry.number,
                index=index,
                observation=observations[index],
                action=Action(
                    delta=plan.deltas[index],
                    gripper=Gripper(int(plan.grippers[index])),
                    source=Source(int(plan.sources[index])),
                    device=ACTOR_ID,
                    policy_version=int(plan.policy_versions[index]),
                ),
                reward=float(plan.rewards[index]),
                terminated=index == last and plan.terminated,
                truncated=index == last and not plan.terminated,
                trainable=bool(plan.trainable[index]),
                final_observation=observations[-1] if index == last else None,
            )
            for index in range(len(plan))
        ]

    def _observations(self, episode: int) -> Iterator[Observation]:
        plan = self._plans[episode]
        images = np.empty((len(plan.rows), len(self._cameras), *self._spec.image_size, 3), np.uint8)
        for camera, frames in enumerate(self._cameras):
            wanted = _where(plan.rows)
            for row, frame in enumerate(self._reader.frames(episode, frames.key)):
                if row in wanted:
                    images[wanted[row], camera] = frames.crop(frame)
        for row, state, image in zip(plan.rows, plan.states, images, strict=True):
            yield Observation(int(row * self._period_ns), state, image)


def digest(reader: LeRobotReader, episode: int) -> str:
    """A name for what an episode holds, wherever its files lie."""
    columns = reader.episode(episode)
    content = hashlib.sha256()
    for name in (STATE, ACTION):
        content.update(np.ascontiguousarray(columns[name], np.float64).tobytes())
    return content.hexdigest()[:32]


def _where(rows: NDArray[np.int64]) -> dict[int, list[int]]:
    """Places in `rows` of each row; the last two may be the same."""
    places: dict[int, list[int]] = {}
    for place, row in enumerate(rows.tolist()):
        places.setdefault(row, []).append(place)
    return places


def _last_episode(replay: Replay) -> int:
    """Number of the newest imported episode that is held, 0: none."""
    if ACTOR_ID not in replay.actors:
        return 0
    slots = replay.slots()
    slots = slots[replay.actor[slots] == replay.actors.index(ACTOR_ID)]
    return int(replay.episode[slots].max()) if len(slots) else 0
