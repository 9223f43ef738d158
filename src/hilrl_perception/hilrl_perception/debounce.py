"""A claim is believed when enough of the last frames agree. Plain, no ROS."""

from collections import deque


class Debounce:
    """True when this frame is and at least `k` of the last `n` are, counted since the last reset."""

    def __init__(self, k: int, n: int) -> None:
        """Raises ValueError unless 1 <= k <= n."""
        self._frames: deque[bool] = deque(maxlen=n if n > 0 else None)
        self.tune(k, n)

    @staticmethod
    def problem(k: int, n: int) -> str | None:
        """Why these do not go together, or None."""
        return None if 1 <= k <= n else f"k, n: expected 1 <= k <= n, got k={k} and n={n}"

    def tune(self, k: int, n: int) -> None:
        """Ask for `k` of `n` from the next frame on; what was seen stays. Raises ValueError as `__init__`."""
        if reason := self.problem(k, n):
            raise ValueError(reason)
        self.k = k
        if n != self._frames.maxlen:
            self._frames = deque(self._frames, maxlen=n)

    @property
    def n(self) -> int:
        """Frames that are looked at."""
        assert self._frames.maxlen is not None
        return self._frames.maxlen

    def add(self, above: bool) -> bool:
        """Take the next frame; whether it is above, and enough of the last ones with it."""
        self._frames.append(above)
        return above and sum(self._frames) >= self.k

    def reset(self) -> None:
        """Forget all frames."""
        self._frames.clear()
