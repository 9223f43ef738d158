"""Puts the steps of every actor back in order, each exactly once."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from hilrl_learning.data import Step

AHEAD_KEPT = 256
"""Steps kept per actor that came before one that is missing; further ones are sent again later."""


@dataclass
class ReceiverCounts:
    """What came in since the start."""

    accepted: int = 0
    duplicates: int = 0
    ahead: int = 0
    """Came before one that was missing, and were kept."""
    refused: int = 0
    """Came too far ahead, and were dropped to be sent again."""


class StepReceiver:
    """De-duplicates and orders. The actor's re-sending fills the gaps."""

    def __init__(self, received: Mapping[str, int]) -> None:
        """`received`: highest sequence per actor that is stored already."""
        self._released: dict[str, int] = dict(received)
        self._ahead: defaultdict[str, dict[int, Step]] = defaultdict(dict)
        self.counts = ReceiverCounts()

    @property
    def actors(self) -> list[str]:
        """Heard of, in this life or before."""
        return list(self._released)

    def add(self, step: Step) -> list[Step]:
        """The steps, in sequence, that can go on to the trainer now that this one is here; often just it."""
        released = self._released.setdefault(step.actor_id, 0)
        ahead = self._ahead[step.actor_id]
        if step.sequence <= released or step.sequence in ahead:
            self.counts.duplicates += 1
            return []
        if step.sequence > released + 1:
            if len(ahead) >= AHEAD_KEPT:
                self.counts.refused += 1
            else:
                self.counts.ahead += 1
                ahead[step.sequence] = step
            return []
        ready = [step]
        while (following := ahead.pop(ready[-1].sequence + 1, None)) is not None:
            ready.append(following)
        self._released[step.actor_id] = ready[-1].sequence
        self.counts.accepted += len(ready)
        return ready
