"""Which slots of a replay can be sampled, and how."""

import numpy as np
from numpy.typing import NDArray


class SamplingIndex:
    """A set of slots, and the people's among them. Draws depend on the contents, not on how they came."""

    def __init__(self, capacity: int) -> None:
        self.member = np.zeros(capacity, bool)
        self.size = 0
        self.human = np.empty(0, np.int64)
        """Sorted; none of them is ever overwritten."""

    def add(self, slots: NDArray[np.int64], human: NDArray[np.bool_]) -> None:
        """`human`: which of them are people's."""
        new = ~self.member[slots]
        self.member[slots] = True
        self.size += int(new.sum())
        people = slots[new & human]
        if len(people):
            self.human = np.insert(self.human, np.searchsorted(self.human, people), people)

    def discard(self, slot: int) -> None:
        """Does nothing where it is no member."""
        self.size -= int(self.member[slot])
        self.member[slot] = False

    def forget(self, slots: NDArray[np.int64]) -> None:
        """As `discard`, of people's slots too."""
        self.size -= int(self.member[slots].sum())
        self.member[slots] = False
        self.human = np.setdiff1d(self.human, slots)

    def draw(self, rng: np.random.Generator, human: int, everything: int, below: int) -> NDArray[np.int64]:
        """`human` slots of people, then `everything` of all members, which are below slot `below`.

        Raises ValueError when there is nothing to draw from.
        """
        if self.size == 0 or (human > 0 and not len(self.human)):
            raise ValueError("replay: nothing to sample yet")
        people = self.human[rng.integers(0, max(1, len(self.human)), human)]
        # By rejection: nearly every slot in use is a member, and nothing has to be kept in order.
        drawn = np.empty(0, np.int64)
        while len(drawn) < everything:
            slots = rng.integers(0, below, everything + everything // 4 + 4)
            drawn = np.concatenate((drawn, slots[self.member[slots]]))
        return np.concatenate((people, drawn[:everything]))
