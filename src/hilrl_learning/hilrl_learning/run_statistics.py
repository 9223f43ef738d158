"""What a run looks like from inside: losses, where the time goes, how old the acting policy is."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor

from hilrl_learning.data import Action, Source
from hilrl_learning.replay import Replay

VERSIONS_KEPT = 256


class RunStatistics:
    """Collects from one interval to the next. `acted` may be called from another thread."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._spent_s: dict[str, float] = {}
        self._updates_at: dict[int, int] = {}
        """Critic updates that recent policy versions have seen."""
        self._lags: list[int] = []
        self._since_s = time.monotonic()

    def note(self, values: Mapping[str, Tensor | float]) -> None:
        """Numbers to average."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._counts[name] = self._counts.get(name, 0) + 1

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Counts the time inside as spent on `what`."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._spent_s[what] = self._spent_s.get(what, 0.0) + time.monotonic() - start

    def published(self, version: int, critic_updates: int) -> None:
        """A policy version was given out."""
        self._updates_at[version] = critic_updates
        self._updates_at.pop(version - VERSIONS_KEPT, None)

    def acted(self, action: Action, critic_updates: int) -> None:
        """A step came in: how far behind was the policy that chose it?"""
        if (
            action.source is Source.POLICY
            and (then := self._updates_at.get(action.policy_version)) is not None
        ):
            self._lags.append(critic_updates - then)

    def take(self, critic_updates: int, online_steps: int) -> dict[str, float]:
        """Of the interval since the last call.

        `time_*` are shares of its wall time; `policy_lag_updates` is how many critic updates the acting
        policy lacked; `updates_per_env_step` is since training began.
        """
        values = {name: total / self._counts[name] for name, total in self._sums.items()}
        now_s = time.monotonic()
        interval_s = max(1e-9, now_s - self._since_s)
        values |= {f"time_{what}": spent / interval_s for what, spent in self._spent_s.items()}
        lags, self._lags = self._lags, []
        if lags:
            values["policy_lag_updates"] = sum(lags) / len(lags)
        if online_steps > 0:
            values["updates_per_env_step"] = critic_updates / online_steps
        replay = self._replay
        values |= {
            "buffer_fill": len(replay) / replay.capacity,
            "buffer_human_share": replay.human_transitions / max(1, len(replay)),
        }
        self._sums, self._counts, self._spent_s, self._since_s = {}, {}, {}, now_s
        return values
