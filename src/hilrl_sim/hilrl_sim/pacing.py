"""Keeping simulated time at the pace of the wall clock."""

CATCH_UP_CHUNKS = 5
"""A delay of up to this many chunks is made good at once; a longer one is given up as lost."""


class WallPace:
    """How many chunks of simulated time are due now.

    Counts from the first call, so that errors of single timer ticks do not add up.
    """

    def __init__(self, chunk_s: float) -> None:
        self._chunk_s = chunk_s
        self._next_s: float | None = None
        self.lost_s = 0.0
        """Wall time that the simulation could not follow, since the start [s]."""

    def due(self, now_s: float) -> int:
        """Chunks to simulate at wall time `now_s` [s] of a steady clock; at most `CATCH_UP_CHUNKS`."""
        if self._next_s is None:
            self._next_s = now_s
        # A timer may fire a hair early; half a chunk keeps one chunk per tick.
        behind = int((now_s - self._next_s) / self._chunk_s + 0.5) + 1
        chunks = min(max(behind, 0), CATCH_UP_CHUNKS)
        self.lost_s += max(behind - chunks, 0) * self._chunk_s
        self._next_s += max(behind, 0) * self._chunk_s
        return chunks
