"""When the expert takes the arm: always to demonstrate, now and then to help, never in an evaluation.

What it does is a *simulated intervention*, and is to be called that wherever it is counted.
"""

from collections import deque
from enum import IntEnum

import numpy as np

from hilrl_ros.ee_action import Source
from hilrl_teleop.ee_action import AXES, Action
from hilrl_teleop.expert import Arm, Expert, Scene

RECENT_EPISODES = 20
"""Training episodes that the success rate is taken over; those not run yet count as failed."""
LEAST_ATTENTION = 0.05
"""Probability to take over in spite of a perfect record."""
SECOND_NS = 1_000_000_000


class Kind(IntEnum):
    """What an episode is for; the values of `Episode.kind`."""

    TRAINING = 0
    DEMONSTRATION = 1
    EVALUATION = 2


class ScriptedOperator:
    """Answers every tick of an episode once; seeded, so the same episodes get the same help."""

    def __init__(
        self,
        task: str,
        seed: int = 0,
        noise: float = 0.15,
        no_progress_steps: int = 25,
        takeover_steps: int = 12,
        control_hz: float = 10.0,
        step_m: float = 0.02,
    ) -> None:
        """`task`: lift or place. `noise`: see `Expert`. Steps are control periods of `control_hz` [Hz]."""
        self.no_progress_steps = no_progress_steps
        self.takeover_steps = takeover_steps
        self.noise = noise
        self._task = task
        self._seed = seed
        self._period_ns = SECOND_NS / control_hz
        self.step_m = step_m
        self._recent: deque[bool] = deque(maxlen=RECENT_EPISODES)
        self._kind: Kind | None = None
        self._answer: Action | None = None
        self._newest_ns = -1

    @property
    def attention(self) -> float:
        """Probability to take over where there is no progress; falls with the success rate."""
        return max(LEAST_ATTENTION, 1.0 - sum(self._recent) / RECENT_EPISODES)

    def begin(self, episode: int, kind: int) -> None:
        """An episode begins with the next tick that is newer than all before."""
        self._kind = Kind(kind)
        rng = np.random.default_rng([self._seed, episode])
        self._expert = Expert(self._task, rng, self.noise, self.step_m)
        self._mood = np.random.default_rng([self._seed, episode, 1])
        self._answer = None
        self._begin_ns: int | None = None
        self._before_ns = self._newest_ns
        self._next_chance = self.no_progress_steps
        self._let_go = 0

    def end(self, kind: int, success: bool) -> None:
        """The episode is over. Only the policy's own trials count for how much attention it needs."""
        if kind == Kind.TRAINING:
            self._recent.append(success)
        self._kind = None

    def saw(self, stamp_ns: int) -> None:
        """Something with this stamp came: it is not of an episode that begins later."""
        self._newest_ns = stamp_ns

    def tick(self, stamp_ns: int, arm: Arm, scene: Scene) -> Action | None:
        """The answer to one tick; the same stamp gets the same answer. None between episodes.

        Silence there, rather than "not engaged", makes the first tick wait until its episode is known.
        """
        if self._kind is None or stamp_ns == self._before_ns:
            return None
        if self._answer is not None and self._answer.stamp_ns == stamp_ns:
            return self._answer
        if self._begin_ns is None or stamp_ns < self._begin_ns:
            self._begin_ns = stamp_ns
        step = round((stamp_ns - self._begin_ns) / self._period_ns)
        if self._engages(step):
            delta, gripper = self._expert.act(step, arm, scene)
            demonstrates = self._kind == Kind.DEMONSTRATION
            source = Source.DEMONSTRATION if demonstrates else Source.INTERVENTION
            self._answer = Action(stamp_ns, delta, gripper, source, "scripted")
        else:
            nothing = np.zeros(len(AXES), np.float32)
            self._answer = Action(
                stamp_ns, nothing, source=Source.INTERVENTION, device="scripted", engaged=False
            )
        return self._answer

    def _engages(self, step: int) -> bool:
        if self._kind != Kind.TRAINING:
            return self._kind == Kind.DEMONSTRATION
        if step >= self._next_chance:
            if self._mood.random() < self.attention:
                self._let_go = step + self.takeover_steps
                self._next_chance = self._let_go + self.takeover_steps
            else:
                self._next_chance = step + self.no_progress_steps
        return step < self._let_go
