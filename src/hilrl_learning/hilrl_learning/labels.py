"""What an operator's label means at the moment it comes: in an episode, right after one, before the next."""

from dataclasses import dataclass, replace

from hilrl_learning.course import Plan
from hilrl_learning.episode import EpisodeSummary, Label
from hilrl_learning.episode_loop import EpisodeLoop, Outcome


@dataclass(frozen=True)
class Answer:
    """What becomes of a label, and what is to be done about it."""

    accepted: bool
    message: str
    outcome: Outcome | None = None
    """Of an episode that was held; the next is to be prepared."""
    prepare: bool = False
    """The scene is to be set up anew."""
    drop: EpisodeSummary | None = None
    """A finished episode that is not wanted."""


def refused(reason: str) -> Answer:
    """Nothing happens."""
    return Answer(False, reason)


class Labels:
    """Serves the labels of one loop. Each is consumed by one episode, or refused."""

    def __init__(self, loop: EpisodeLoop) -> None:
        self._loop = loop
        self._last: EpisodeSummary | None = None
        """Finished, and not asked for once more yet."""
        self._seed_again: int | None = None

    def ended(self, summary: EpisodeSummary) -> None:
        """An episode is finished."""
        self._last = summary
        self._seed_again = summary.seed if summary.label is Label.RERECORD else None

    def begun(self) -> None:
        """The next one runs: what was before it is settled."""
        self._last, self._seed_again = None, None

    def planned(self, plan: Plan) -> Plan:
        """The plan, with the scene that is wanted once more."""
        return plan if self._seed_again is None else replace(plan, seed=self._seed_again)

    def take(self, number: int, preparing: bool, paused: bool) -> Answer:
        """Serve a label by its number. `preparing`: the scene of the next episode is being set up."""
        if number not in tuple(Label):
            return refused(f"label: expected one of {[*map(int, Label)]}, got {number}")
        label = Label(number)
        if paused:
            return refused("paused: go on first, then label")
        if self._loop.holding:
            return self._take_held(label)
        if self._loop.running:
            reason = self._loop.label(label)
            return Answer(not reason, reason or f"the episode ends as {label.name}")
        if label is Label.RERECORD:
            return self._rerecord(preparing)
        if label is Label.RESET and preparing:
            return Answer(True, "the scene is set up anew", prepare=True)
        if preparing:
            return refused(f"no episode is running, its scene is being prepared: {label.name} is of none")
        return refused("no episode is running")

    def _take_held(self, label: Label) -> Answer:
        """The word about a success."""
        if label is Label.RESET:
            return Answer(True, "success, the scene is set up anew", self._loop.release())
        return Answer(True, f"the episode ended as {label.name}", self._loop.release(label))

    def _rerecord(self, preparing: bool) -> Answer:
        last, self._last = self._last, None
        if last is None:
            return refused("no episode is running, and none before that could be done once more")
        self._seed_again = last.seed
        unwanted = last.label in (Label.DISCARD, Label.RERECORD)  # dropped by whoever records already
        message = f"episode {last.episode} is done once more"
        return Answer(True, message, prepare=preparing, drop=None if unwanted else last)
