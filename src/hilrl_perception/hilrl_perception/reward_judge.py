"""From frames above a threshold to one answer per stamp. Shared by all rewards of this package; no ROS."""

from collections import OrderedDict
from dataclasses import dataclass

from hilrl_perception.debounce import Debounce
from hilrl_perception.reward_guard import ArmState, Guard

ANSWERS_KEPT = 64
"""Stamps that can be asked for again. A simulator repeats only the last one."""


@dataclass(frozen=True)
class Answer:
    """What is said of one stamp, however often it is asked."""

    stamp_ns: int
    probability: float
    success: bool
    suppressed: str = ""
    """Why a success was not said: the guard's objection."""

    @property
    def reward(self) -> float:
        """1 for a success, else 0."""
        return float(self.success)


class RewardJudge:
    """Debounces, asks the guard, and remembers its answers.

    Nothing is a success between the end of an episode and the beginning of the next one: the arm may be on
    its way home with the object still in its jaws. Until the first episode is announced, all counts.
    """

    def __init__(self, k: int, n: int, guard: Guard | None = None) -> None:
        """Success takes `k` of the last `n` frames. Raises ValueError unless 1 <= k <= n."""
        self.debounce = Debounce(k, n)
        self.guard = guard or Guard()
        self.suppressed = 0
        """Successes that the guard refused so far."""
        self._between_episodes = False
        self._answers: OrderedDict[int, Answer] = OrderedDict()
        self._newest_ns: int | None = None

    def begin(self) -> None:
        """An episode begins: frames of the one before say nothing about it."""
        self._between_episodes = False
        self.debounce.reset()

    def end(self) -> None:
        """An episode has ended."""
        self._between_episodes = True
        self.debounce.reset()

    def answered(self, stamp_ns: int) -> Answer | None:
        """What was said of this stamp."""
        return self._answers.get(stamp_ns)

    def judge(self, stamp_ns: int, probability: float, above: bool, arm: ArmState | None) -> Answer:
        """The answer for a stamp; the same as before where it was judged already.

        `above`: this frame on its own looks like a success. `arm` None: not known, or stale, which is never
        a success.
        """
        if (known := self._answers.get(stamp_ns)) is not None:
            return known
        if self._newest_ns is not None and stamp_ns < self._newest_ns:
            self.debounce.reset()  # time went back: another scene
        self._newest_ns = stamp_ns
        believed = self.debounce.add(above and arm is not None) and not self._between_episodes
        objection = ""
        if believed:
            objection = "the arm's state is not known" if arm is None else self.guard.objection(arm)
            self.suppressed += bool(objection)
        answer = Answer(stamp_ns, probability, believed and not objection, objection)
        self._answers[stamp_ns] = answer
        if len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return answer
