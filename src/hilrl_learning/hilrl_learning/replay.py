"""Every step of a run in memory-mapped files: frames once, as uint8, the next observation by index."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hilrl_learning.data import Observation, ObservationSpec, Source, Step, StepLabel
from hilrl_learning.replay_files import ReplayFiles, give_back_memory
from hilrl_learning.replay_index import SamplingIndex

NONE = -1


@dataclass(frozen=True)
class Windows:
    """Sampled windows of up to `length` consecutive steps. Slots index the replay's arrays."""

    slots: NDArray[np.int64]
    """(batch, length): of the steps; where a window ends early its last step is repeated."""
    valid: NDArray[np.bool_]
    """(batch, length): False for those repetitions. The first step is always valid."""
    whole: NDArray[np.bool_]
    """(batch,): all steps are there, or the last one terminated the episode."""
    next_slot: NDArray[np.int64]
    """(batch,): where the observation is from which the return bootstraps."""
    reward: NDArray[np.float32]
    """(batch,): discounted sum of the valid steps' rewards."""
    discount: NDArray[np.float32]
    """(batch,): factor of the bootstrap value, 0 where the episode terminated."""


class Replay:
    """A ring of observation slots. A step lies in its observation's slot; `next` names the slot after it.

    Arrays are memory-mapped, so a killed process loses nothing that `add` returned from, and RAM stays flat.
    Slots of people's steps are never overwritten. A step can be sampled once its outcome is known and an
    encoder's output is cached for both ends, where one is wanted at all.

    Any thread may call any method; hold `lock` from sampling slots until their contents are read.
    """

    def __init__(
        self,
        folder: Path,
        observation: ObservationSpec,
        cached_shape: tuple[int, ...] | None,
        capacity: int,
    ) -> None:
        """Open or create; `cached_shape` is of what is cached per observation, None: nothing.

        Raises ValueError when the folder holds a replay of another layout.
        """
        self.capacity = capacity
        self.lock = threading.RLock()
        layout = {
            "images": ((len(observation.cameras), *observation.image_size, 3), "uint8"),
            "state": ((len(observation.state_names),), "float32"),
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
        if cached_shape is not None:
            layout |= {
                "cached": (cached_shape, "float16"),
                "cached_by": ((), "uint32"),  # version of the encoder; 0: not yet
            }
        self._files = ReplayFiles(folder, capacity, layout, observation.state_names)
        # Each array is an attribute: `images`, `state`, `delta` ...
        vars(self).update(self._files.arrays)
        self.actors = self._files.actors
        self.caches = cached_shape is not None
        self._encoder_version = 0
        self._recover()
        give_back_memory()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> NDArray: ...

    def __len__(self) -> int:
        """Steps held."""
        return self._steps

    @property
    def human_transitions(self) -> int:
        """People's steps that can be sampled."""
        return len(self._index.human)

    def add(self, step: Step) -> None:
        """Append a step. Steps of one actor come in the order of their sequence numbers.

        One that says that its episode was discarded keeps the whole of it from being trained on.

        Raises ValueError when every slot holds a person's step.
        """
        with self.lock:
            actor = self._files.actor_index(step.actor_id)
            slot = self._claim()
            self._write(slot, actor, step, step.observation, is_step=True)
            if step.label is StepLabel.DISCARD:
                self._drop(self._open.get(actor, NONE))
            if step.final_observation is not None:
                final = self._claim(beside=slot)
                self._write(final, actor, step, step.final_observation, is_step=False)
                self._commit(final)
                self.next[slot] = final
            self._commit(slot)
            before = self._open.pop(actor, NONE)
            if before != NONE and self._follows(slot, before):
                self._link(before, slot)
            if step.final_observation is not None:
                self._link(slot, int(self.next[slot]))
            else:
                self._open[actor] = slot
            self._steps += 1
            self._files.received[actor] = step.sequence

    def add_episode(self, steps: Sequence[Step]) -> None:
        """Append a whole episode of one actor: all of it or, should the process be killed meanwhile, nothing.

        Raises ValueError when the slots that hold no person's step are fewer than it takes.
        """
        with self.lock:
            actor = self._files.actor_index(steps[0].actor_id)
            if len(steps) + 1 > self.room:
                raise ValueError(
                    f"replay: an episode of {len(steps)} steps takes {len(steps) + 1} slots, of "
                    f"{self.capacity} only {self.room} do not hold people's steps"
                )
            slots = [self._claim() for _ in range(len(steps) + 1)]
            for slot, step in zip(slots, steps, strict=False):
                self._write(slot, actor, step, step.observation, is_step=True)
            self._write(slots[-1], actor, steps[-1], steps[-1].final_observation, is_step=False)
            self._files.begin(slots)
            for slot in slots:
                self._commit(slot)
            self.next[slots[-2]] = slots[-1]  # by sequence numbers alone it cannot be found again
            self._files.end()
            for slot, following in pairwise(slots):
                self._link(slot, following)
            self._steps += len(steps)
            self._files.received[actor] = steps[-1].sequence

    @property
    def room(self) -> int:
        """Slots that hold no person's step."""
        return self.capacity - int(self._kept.sum())

    def received(self) -> dict[str, int]:
        """Highest sequence number held, per actor id."""
        with self.lock:
            newest = zip(self.actors, self._files.received.tolist(), strict=False)
            return {actor: sequence for actor, sequence in newest if sequence}

    def encode_with(self, version: int) -> None:
        """From now on only what encoder `version` (from 1) cached counts; the rest is to be encoded."""
        with self.lock:
            self._encoder_version = version
            self._renew()
        give_back_memory()

    def take_uncached(self, limit: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Up to `limit` slots, oldest first, whose observation is to be encoded, and their serials."""
        with self.lock:
            count = min(limit, len(self._uncached))
            slots = np.array([self._uncached.popleft() for _ in range(count)], np.int64)
            return slots, self.serial[slots]

    def cache(self, slots: NDArray[np.int64], serials: NDArray[np.uint64], outputs: NDArray) -> None:
        """Store the encoder's output for slots that still hold what they held when they were taken."""
        with self.lock:
            same = self.serial[slots] == serials
            slots = slots[same]
            self.cached[slots] = outputs[same]
            self.cached_by[slots] = self._encoder_version
            self._admit(slots)

    @property
    def uncached(self) -> int:
        """Observations that wait for the encoder."""
        return len(self._uncached)

    def sample(
        self, rng: np.random.Generator, human: int, everything: int, length: int, discount: float
    ) -> Windows:
        """`human` windows that begin with a person's step, followed by `everything` of anyone.

        Raises ValueError when there is nothing to sample.
        """
        with self.lock:
            return self.windows(self._index.draw(rng, human, everything, self._used), length, discount)

    def windows(self, slots: NDArray[np.int64], length: int, discount: float) -> Windows:
        """The windows that start at `slots`, each of which can be sampled.

        An n-step return (Sutton 1988) ends early where the episode does, and before a step that is not to be
        trained on; it then bootstraps from there.
        """
        with self.lock:
            steps = np.empty((len(slots), length), np.int64)
            valid = np.empty((len(slots), length), bool)
            reward = np.zeros(len(slots), np.float32)
            factor = np.ones(len(slots), np.float32)
            last, at = slots, self.next[slots]
            going = np.ones(len(slots), bool)
            for i in range(length):
                if i > 0:
                    going = going & self._index.member[at]
                    last = np.where(going, at, last)
                    at = np.where(going, self.next[last], at)
                steps[:, i], valid[:, i] = last, going
                reward += going * factor * self.reward[last]
                factor = np.where(going, factor * discount, factor)
            terminated = self.terminated[last]
            return Windows(
                slots=steps,
                valid=valid,
                whole=valid[:, -1] | terminated,
                next_slot=at,
                reward=reward,
                discount=np.where(terminated, 0.0, factor).astype(np.float32),
            )

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
        self._files.flush()

    def _write(self, slot: int, actor: int, step: Step, observation: Observation, is_step: bool) -> None:
        self.images[slot] = observation.images
        self.state[slot] = observation.state
        self.is_step[slot] = is_step
        self.actor[slot] = actor
        self.sequence[slot] = step.sequence
        self.episode[slot] = step.episode
        self.index[slot] = step.index
        self.next[slot] = NONE
        self.delta[slot] = step.action.delta
        self.gripper[slot] = step.action.gripper
        self.source[slot] = step.action.source
        self.policy_version[slot] = step.action.policy_version
        self.reward[slot] = step.reward
        self.terminated[slot] = step.terminated
        self.truncated[slot] = step.truncated
        self.trainable[slot] = step.trainable and step.label is not StepLabel.DISCARD

    def _drop(self, last: int) -> None:
        """Train on none of the steps of an episode up to the one at `last`."""
        slots = []
        while last != NONE:
            slots.append(last)
            last = int(self._before[last]) - 1
        self.trainable[slots] = False
        self._index.forget(np.array(slots, np.int64))

    def _commit(self, slot: int) -> None:
        self._serial += 1
        self.serial[slot] = self._serial
        if self._encoder_version > 0:
            self._uncached.append(slot)

    def _claim(self, beside: int = NONE) -> int:
        """Free the next slot that is not kept for people's steps."""
        for _ in range(self.capacity):
            slot = self._cursor
            self._cursor = (self._cursor + 1) % self.capacity
            if slot != beside and not self._kept[slot]:
                break
        else:
            raise ValueError(f"replay: all {self.capacity} slots hold people's steps")
        self._used = max(self._used, slot + 1)
        if self.serial[slot] > 0:
            self._steps -= int(self.is_step[slot])
            self.serial[slot] = 0
            if self.caches:
                self.cached_by[slot] = 0
            before = int(self._before[slot]) - 1
            if before != NONE:  # its next observation is gone, so it is no transition any more
                self.next[before] = NONE
                self._index.discard(before)
            if self.next[slot] != NONE:
                self._before[self.next[slot]] = 0
            self._index.discard(slot)
        self._before[slot] = 0
        return slot

    def _follows(self, slot: int, before: int) -> bool:
        return (
            self.episode[slot] == self.episode[before]
            and self.index[slot] == self.index[before] + 1
            and self.sequence[slot] == self.sequence[before] + 1
        )

    def _link(self, slot: int, following: int) -> None:
        """The outcome of the step at `slot` is the observation at `following`."""
        self.next[slot] = following
        self._before[following] = slot + 1
        if self.source[slot] != Source.POLICY:
            self._kept[[slot, following]] = True
        if not self.caches:
            self._admit(np.array([slot]))

    def _admit(self, slots: NDArray[np.int64]) -> None:
        """Let steps be sampled for which that has become possible with these slots."""
        if self.caches:
            slots = np.concatenate((slots, self._before[slots].astype(np.int64) - 1))
            slots = np.unique(slots[slots != NONE])
        slots = slots[self.is_step[slots] & self.trainable[slots] & (self.next[slots] != NONE)]
        if self.caches:
            version = self._encoder_version
            slots = slots[self.cached_by[slots] == version]
            slots = slots[self.cached_by[self.next[slots]] == version]
        self._index.add(slots, self.source[slots] != Source.POLICY)

    def _recover(self) -> None:
        """Rebuild what is held in RAM from the files, and mend what a kill left half linked."""
        used = self.slots()
        self._serial = int(self.serial[used[-1]]) if used.size else 0
        self._cursor = (int(used[-1]) + 1) % self.capacity if used.size else 0
        self._used = int(used.max()) + 1 if used.size else 0
        self._kept = np.zeros(self.capacity, bool)
        self._before = np.zeros(self.capacity, np.int32)
        """Slot + 1 of the step whose outcome a slot holds; 0: none. Zeros cost no RAM until written."""
        steps = used[self.is_step[used]]
        self._steps = len(steps)
        order = np.lexsort((self.sequence[steps], self.actor[steps]))
        steps = steps[order]
        following = np.append(steps[1:], NONE)
        ended = self.terminated[steps] | self.truncated[steps]
        final = self.next[steps]
        good_final = ended & (final != NONE)
        good_final[good_final] &= (
            ~self.is_step[final[good_final]]
            & (self.serial[final[good_final]] > 0)
            & (self.sequence[final[good_final]] == self.sequence[steps[good_final]])
        )
        linked = np.zeros(len(steps), bool)
        linked[:-1] = (
            ~ended[:-1]
            & (self.actor[steps[1:]] == self.actor[steps[:-1]])
            & (self.episode[steps[1:]] == self.episode[steps[:-1]])
            & (self.index[steps[1:]] == self.index[steps[:-1]] + 1)
            & (self.sequence[steps[1:]] == self.sequence[steps[:-1]] + 1)
        )
        self.next[steps] = np.where(linked, following, np.where(good_final, final, NONE))
        known = steps[linked | good_final]
        self._before[self.next[known]] = known + 1
        human = known[self.source[known] != Source.POLICY]
        self._kept[human] = self._kept[self.next[human]] = True
        last = np.append(self.actor[steps[1:]] != self.actor[steps[:-1]], True) if len(steps) else ended
        newest = steps[last]
        stored = self._files.received
        stored[self.actor[newest]] = np.maximum(stored[self.actor[newest]], self.sequence[newest])
        self._open = {int(self.actor[slot]): int(slot) for slot in steps[last & ~ended]}
        self._renew()

    def _renew(self) -> None:
        """Find anew what can be sampled and what is to be encoded."""
        self._index = SamplingIndex(self.capacity)
        self._uncached: deque[int] = deque()
        used = self.slots()
        if self._encoder_version > 0:
            self._uncached.extend(used[self.cached_by[used] != self._encoder_version].tolist())
        if self._encoder_version > 0 or not self.caches:
            self._admit(used)
