"""Puts the steps of every actor back in order and stores each exactly once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hilrl_learning.data import Step
from hilrl_learning.replay_files import MAX_ACTORS

AHEAD_KEPT = 256
"""Steps kept per actor that came before one that is missing; further ones are sent again later."""
AHEAD_KEPT_IN_ALL = 1024
"""The same of all actors together: 100 MB of two-camera steps."""


@dataclass
class ReceiverCounts:
    """What came in since the start."""

    accepted: int = 0
    duplicates: int = 0
    ahead: int = 0
    """Came before one that was missing, and were kept."""
    refused: int = 0
    """Came too far ahead, and were dropped to be sent again."""


@dataclass
class _Stream:
    """The steps of one actor."""

    stored: int = 0
    """Highest sequence that is stored; all before it are too."""
    newest: int = 0
    """Highest sequence that ever came."""
    ahead: dict[int, Step] = field(default_factory=dict)

    @property
    def lacking(self) -> int:
        return max(0, min(self.ahead, default=self.newest + 1) - self.stored - 1)


class StepReceiver:
    """De-duplicates, orders and stores. The actor's re-sending fills the gaps."""

    def __init__(self, received: Mapping[str, int], store: Callable[[Step], None]) -> None:
        """`received`: highest sequence per actor that is stored already; `store` takes each further step."""
        self._streams = {
            actor_id: _Stream(stored=sequence, newest=sequence) for actor_id, sequence in received.items()
        }
        self._store = store
        self.counts = ReceiverCounts()

    @property
    def received(self) -> dict[str, int]:
        """Highest sequence per actor up to which every step is stored."""
        return {actor_id: stream.stored for actor_id, stream in self._streams.items()}

    @property
    def lacking(self) -> dict[str, int]:
        """How many steps right behind `received` did not come, or could not be stored, per actor."""
        return {actor_id: stream.lacking for actor_id, stream in self._streams.items()}

    def add(self, step: Step) -> None:
        """Store the step if it is its turn, and those that waited for it.

        Passes on what `store` raises; a step for which it did counts as one that did not come. Raises
        ValueError where there are too many actors.
        """
        if step.actor_id not in self._streams and len(self._streams) >= MAX_ACTORS:
            raise ValueError(f"actor_id: expected at most {MAX_ACTORS} actors, {step.actor_id!r} is one more")
        stream = self._streams.setdefault(step.actor_id, _Stream())
        ahead = stream.ahead
        if step.sequence <= stream.stored or step.sequence in ahead:
            self.counts.duplicates += 1
            return
        stream.newest = max(stream.newest, step.sequence)
        if step.sequence > stream.stored + 1:
            if len(ahead) >= AHEAD_KEPT or self._ahead_in_all() >= AHEAD_KEPT_IN_ALL:
                self.counts.refused += 1
            else:
                self.counts.ahead += 1
                ahead[step.sequence] = step
            return
        following: Step | None = step
        while following is not None:
            self._store(following)
            stream.stored = following.sequence
            self.counts.accepted += 1
            following = ahead.pop(following.sequence + 1, None)

    def _ahead_in_all(self) -> int:
        return sum(len(stream.ahead) for stream in self._streams.values())
