"""Every step of a run in memory-mapped files: frames once, as uint8, the next observation by index."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilrl_learning.data import ObservationSpec, Source, Step

NONE = -1


@dataclass(frozen=True)
class Transitions:
    """Sampled transitions, up to `n_step` control steps long. Slots index the replay's arrays."""

    slot: NDArray[np.int64]
    """(batch,): where the observation is."""
    next_slot: NDArray[np.int64]
    """(batch,): where the observation is from which the return bootstraps."""
    reward: NDArray[np.float32]
    """(batch,): discounted sum of rewards on the way."""
    discount: NDArray[np.float32]
    """(batch,): factor of the bootstrap value, 0 where the episode terminated."""


class Replay:
    """A ring of observation slots. A step lies in its observation's slot; `next` names the slot after it.

    Arrays are memory-mapped, so a killed process loses nothing that `add` returned from, and RAM stays flat.
    Slots of people's steps are never overwritten. One writer; readers in the same process.
    """

    def __init__(
        self,
        folder: Path,
        observation: ObservationSpec,
        embedding_shape: tuple[int, int],
        capacity: int,
    ) -> None:
        """Open or create; `embedding_shape` is (crops, embedding).

        Raises ValueError when the folder holds a replay of another layout.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.capacity = capacity
        self._names = observation.state_names
        state_size = len(observation.state_names)
        layout = {
            # name: shape of one slot, dtype
            "images": ((len(observation.cameras), *observation.image_size, 3), "uint8"),
            "embedding": (embedding_shape, "float16"),
            "state": ((state_size,), "float32"),
            "delta": ((5,), "float32"),
            "gripper": ((), "uint8"),
            "source": ((), "uint8"),
            "reward": ((), "float32"),
            "terminated": ((), "bool"),
            "truncated": ((), "bool"),
            "trainable": ((), "bool"),
            "is_step": ((), "bool"),
            "policy_version": ((), "uint64"),
            "actor": ((), "int64"),
            "sequence": ((), "uint64"),
            "episode": ((), "uint64"),
            "index": ((), "uint32"),
            "next": ((), "int64"),
            # Order of insertion from 1; 0 is an empty slot. Written last: a slot with a serial is complete.
            "serial": ((), "uint64"),
        }
        self._check_layout(folder / "layout.json", capacity, layout)
        self._maps = {
            name: _open_array(folder / f"{name}.bin", (capacity, *shape), dtype)
            for name, (shape, dtype) in layout.items()
        }
        # Plain views: indexing a memmap object itself costs several times as much.
        self._arrays = {name: np.asarray(array) for name, array in self._maps.items()}
        self._actors_file = folder / "actors.json"
        self.actors: list[str] = (
            json.loads(self._actors_file.read_text()) if self._actors_file.exists() else []
        )
        self._recover()

    def __getattr__(self, name: str) -> NDArray:
        try:
            return self.__dict__["_arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __len__(self) -> int:
        """Steps held."""
        return int(self._steps)

    def add(self, step: Step, embedding: NDArray[np.float16], final: NDArray[np.float16] | None) -> None:
        """Append a step; embeddings of shape (crops, embedding) of its observation and final observation.

        Steps of one actor come in the order of their sequence numbers.
        """
        actor = self._actor_index(step.actor_id)
        slot = self._claim()
        self._write_observation(slot, step.observation.images, step.observation.state, embedding)
        self.delta[slot] = step.action.delta
        self.gripper[slot] = step.action.gripper
        self.source[slot] = step.action.source
        self.policy_version[slot] = step.action.policy_version
        self.reward[slot] = step.reward
        self.terminated[slot] = step.terminated
        self.truncated[slot] = step.truncated
        self.trainable[slot] = step.trainable
        self.is_step[slot] = True
        self._write_name(slot, actor, step)
        if step.final_observation is not None:
            final_slot = self._claim(beside=slot)
            self._write_observation(
                final_slot, step.final_observation.images, step.final_observation.state, final
            )
            self.is_step[final_slot] = False
            self._write_name(final_slot, actor, step)
            self._commit(final_slot)
            self.next[slot] = final_slot
        self._commit(slot)
        before = self._open.pop(actor, NONE)
        if before != NONE and self._follows(slot, before):
            self.next[before] = slot
            self._admit(before)
        if step.final_observation is not None:
            self._admit(slot)
        else:
            self._open[actor] = slot
        self._steps += 1
        self._sequences[actor] = step.sequence

    def received(self) -> dict[str, int]:
        """Highest sequence number held, per actor id."""
        return {self.actors[actor]: sequence for actor, sequence in self._sequences.items()}

    def sample(
        self, rng: np.random.Generator, human: int, everything: int, n_step: int, discount: float
    ) -> Transitions:
        """`human` transitions of people followed by `everything` of anyone.

        An n-step return (Sutton 1988) ends early where the episode does. Raises ValueError when there is
        nothing to sample.
        """
        if self._all.size == 0 or (human > 0 and self._human.size == 0):
            raise ValueError("replay: nothing to sample yet")
        slots = np.concatenate((self._human.draw(rng, human), self._all.draw(rng, everything)))
        return self.returns(slots, n_step, discount)

    def returns(self, slots: NDArray[np.int64], n_step: int, discount: float) -> Transitions:
        """The n-step transitions that start at `slots`."""
        reward = np.zeros(len(slots), np.float32)
        factor = np.ones(len(slots), np.float32)
        at = slots.copy()
        going = np.ones(len(slots), bool)
        for i in range(n_step):
            if i > 0:  # a step whose outcome is not known yet, or not to be trained on, ends the sum
                going = going & self.is_step[at] & self.trainable[at] & (self.next[at] != NONE)
            reward += going * factor * self.reward[at]
            factor = np.where(going, factor * discount * ~self.terminated[at], factor)
            at = np.where(going, self.next[at], at)
        return Transitions(slots, at, reward, factor.astype(np.float32))

    def episodes(self, sources: tuple[Source, ...]) -> Iterator[NDArray[np.int64]]:
        """Slots of every complete episode whose steps are all of `sources`, its final observation last."""
        starts = np.flatnonzero((self.serial > 0) & self.is_step & (self.index == 0))
        for start in starts[np.argsort(self.serial[starts])]:
            slots = [int(start)]
            while self.is_step[slots[-1]] and self.next[slots[-1]] != NONE:
                slots.append(int(self.next[slots[-1]]))
            complete = not self.is_step[slots[-1]]
            if complete and np.isin(self.source[slots[:-1]], sources).all():
                yield np.array(slots)

    def slots(self) -> NDArray[np.int64]:
        """Every slot in use, in order of insertion."""
        used = np.flatnonzero(self.serial > 0)
        return used[np.argsort(self.serial[used])]

    def flush(self) -> None:
        """Wait until everything is on disk: what survives even a power cut."""
        for array in self._maps.values():
            array.flush()

    def _check_layout(self, path: Path, capacity: int, layout: dict) -> None:
        wanted = json.dumps({"capacity": capacity, "layout": layout, "state": self._names}, default=list)
        if not path.exists():
            temporary = path.with_suffix(".tmp")
            temporary.write_text(wanted)
            os.replace(temporary, path)
        elif json.loads(path.read_text()) != json.loads(wanted):
            raise ValueError(
                f"replay: {path.parent} holds another layout; start a new run or restore its settings"
            )

    def _actor_index(self, actor_id: str) -> int:
        if actor_id not in self.actors:
            self.actors.append(actor_id)
            temporary = self._actors_file.with_suffix(".tmp")
            temporary.write_text(json.dumps(self.actors))
            os.replace(temporary, self._actors_file)
        return self.actors.index(actor_id)

    def _write_observation(self, slot: int, images: NDArray, state: NDArray, embedding: NDArray) -> None:
        self.images[slot] = images
        self.state[slot] = state
        self.embedding[slot] = embedding

    def _write_name(self, slot: int, actor: int, step: Step) -> None:
        self.actor[slot] = actor
        self.sequence[slot] = step.sequence
        self.episode[slot] = step.episode
        self.index[slot] = step.index
        self.next[slot] = NONE

    def _commit(self, slot: int) -> None:
        self._serial += 1
        self.serial[slot] = self._serial

    def _claim(self, beside: int = NONE) -> int:
        """Free the next slot that is not kept for people's steps."""
        for _ in range(self.capacity):
            slot = self._cursor
            self._cursor = (self._cursor + 1) % self.capacity
            if slot != beside and not self._kept[slot]:
                break
        else:
            raise ValueError(f"replay: all {self.capacity} slots hold people's steps")
        if self.serial[slot] > 0:
            self._steps -= int(self.is_step[slot])
            self.serial[slot] = 0
            self._all.discard(slot)
            before = self._previous[slot]
            if before != NONE:  # its next observation is gone, so it is no transition any more
                self.next[before] = NONE
                self._all.discard(before)
        self._previous[slot] = NONE
        return slot

    def _follows(self, slot: int, before: int) -> bool:
        return (
            self.episode[slot] == self.episode[before]
            and self.index[slot] == self.index[before] + 1
            and self.sequence[slot] == self.sequence[before] + 1
        )

    def _admit(self, slot: int) -> None:
        """The transition at `slot` is complete."""
        self._previous[self.next[slot]] = slot
        human = self.source[slot] != Source.POLICY
        if human:
            self._kept[slot] = self._kept[self.next[slot]] = True
        if self.trainable[slot]:
            self._all.add(slot)
            if human:
                self._human.add(slot)

    def _recover(self) -> None:
        """Rebuild what is held in RAM from the files."""
        self._all, self._human = _SlotSet(self.capacity), _SlotSet(self.capacity)
        self._kept = np.zeros(self.capacity, bool)
        self._previous = np.full(self.capacity, NONE, np.int64)
        self._open: dict[int, int] = {}
        self._sequences: dict[int, int] = {}
        used = self.slots()
        self._serial = int(self.serial[used[-1]]) if used.size else 0
        self._cursor = (int(used[-1]) + 1) % self.capacity if used.size else 0
        steps = used[self.is_step[used]]
        self._steps = len(steps)
        for slot in steps:
            actor = int(self.actor[slot])
            self._sequences[actor] = max(self._sequences.get(actor, 0), int(self.sequence[slot]))
            before = self._open.pop(actor, NONE)
            if before != NONE and self._follows(slot, before):
                self.next[before] = slot
                self._admit(before)
            if self.terminated[slot] or self.truncated[slot]:
                if self.next[slot] != NONE:
                    self._admit(slot)
            else:
                self._open[actor] = int(slot)


class _SlotSet:
    """A set of slots with O(1) add, discard and uniform draw."""

    def __init__(self, capacity: int) -> None:
        self._slots = np.empty(capacity, np.int64)
        self._position = np.full(capacity, NONE, np.int64)
        self.size = 0

    def add(self, slot: int) -> None:
        if self._position[slot] == NONE:
            self._slots[self.size] = slot
            self._position[slot] = self.size
            self.size += 1

    def discard(self, slot: int) -> None:
        position = self._position[slot]
        if position != NONE:
            self.size -= 1
            last = self._slots[self.size]
            self._slots[position] = last
            self._position[last] = position
            self._position[slot] = NONE

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        return self._slots[rng.integers(0, self.size, count)] if count else np.empty(0, np.int64)


def _open_array(path: Path, shape: tuple[int, ...], dtype: str) -> np.memmap:
    """A memory-mapped array; a new file is sparse, so capacity costs nothing until used."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not path.exists():
        with path.open("wb") as file:
            file.truncate(size)
    return np.memmap(path, dtype=dtype, mode="r+", shape=shape)
