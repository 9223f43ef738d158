"""The core of the actor: from ticks and executed actions to episodes of steps.

A step is known only when its outcome is: the observation of one tick, the action that was executed for
it, and the reward that came with the next tick. Until then it is *pending*, has no sequence number and
was never promised to anybody, so an actor that is killed leaves no gap and no half step.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from hilrl_learning.data import DELTA_AXES, Action, Gripper, Source, Step
from hilrl_learning.observation_sync import Tick

NOTHING_EXECUTED = Action(np.zeros(len(DELTA_AXES), np.float32), Gripper.STAY, Source.POLICY, "none", 0)
"""Stands in a step for an action that did not come back from the mux: the arm was held."""

EXECUTED_KEPT = 8
"""Executed actions waiting for their tick."""


class Kind(IntEnum):
    """What an episode is for; the values of `Episode.kind`."""

    TRAINING = 0
    DEMONSTRATION = 1
    EVALUATION = 2


class Label(IntEnum):
    """How an operator says an episode ends; the values of `LabelEpisode.label`."""

    SUCCESS = 0
    FAILURE = 1
    DISCARD = 2


@dataclass
class EpisodeSummary:
    """Numbers of one episode, growing while it runs."""

    episode: int
    kind: Kind
    seed: int
    """Of the scene, -1: none."""
    start_ns: int = 0
    end_ns: int = 0
    steps: int = 0
    intervention_steps: int = 0
    """Steps whose action an operator chose."""
    episode_return: float = 0.0
    success: bool = False
    truncated: bool = False
    interrupted: bool = False
    """Truncated for another reason than its length."""
    policy_version: int = 0

    @property
    def duration_s(self) -> float:
        """In the time of the arm."""
        return (self.end_ns - self.start_ns) * 1e-9


@dataclass(frozen=True)
class Outcome:
    """What a tick leads to."""

    act: bool = False
    """The tick is new and wants an action."""
    repeat: bool = False
    """The tick was answered before and wants the same action again."""
    await_executed: bool = False
    """The action executed for the pending observation is not known yet: ask again."""
    step: Step | None = None
    """The step that this tick completed."""
    end: EpisodeSummary | None = None
    """The episode is over; the tick gets no action."""


class EpisodeLoop:
    """Turns ticks into steps. Sequence numbers run without a gap over all episodes."""

    def __init__(
        self,
        actor_id: str,
        period_s: float,
        max_episode_steps: int,
        last_sequence: int = 0,
        last_episode: int = 0,
    ) -> None:
        self._actor_id = actor_id
        self._period_ns = period_s * 1e9
        self.max_episode_steps = max_episode_steps
        self._last_sequence = last_sequence
        self._last_episode = last_episode
        self._executed: OrderedDict[int, Action] = OrderedDict()
        self._pending: Tick | None = None
        self._pending_is_trainable = True
        self._label: Label | None = None
        self._cut = False
        self._summary: EpisodeSummary | None = None

    @property
    def running(self) -> bool:
        """An episode is under way."""
        return self._summary is not None

    @property
    def next_episode(self) -> int:
        """Number that the next episode gets."""
        return self._last_episode + 1

    def continue_from(self, last_sequence: int, last_episode: int) -> None:
        """Number on from here. Only between episodes."""
        self._last_sequence, self._last_episode = last_sequence, last_episode

    def prepare(self, kind: Kind, seed: int) -> EpisodeSummary:
        """The episode that `begin` can begin when its scene is ready."""
        return EpisodeSummary(self.next_episode, kind, seed)

    def begin(self, summary: EpisodeSummary) -> None:
        """The scene is ready: the next tick is the first of this episode."""
        self._last_episode = summary.episode
        self._summary = summary
        self._pending, self._label, self._cut = None, None, False
        self._executed.clear()

    def executed(self, stamp_ns: int, action: Action) -> None:
        """The mux let `action` through for the observation with this stamp."""
        self._executed[stamp_ns] = action
        if len(self._executed) > EXECUTED_KEPT:
            self._executed.popitem(last=False)

    def doubt(self) -> None:
        """Something was stale since the last tick: the pending step is kept but not trained on."""
        self._pending_is_trainable = False

    def cut(self) -> None:
        """End the episode at the next tick, as a time-out does."""
        self._cut = True

    def label(self, label: Label) -> str:
        """End the episode at the next tick as the operator says. Returns why not, or ''."""
        if self._summary is None or self._pending is None:
            return "no episode is running"
        self._label = label
        return ""

    def tick(self, tick: Tick, patient: bool = False) -> Outcome:
        """Take the observation of a new tick. `patient`: rather wait for an executed action than miss it."""
        summary, pending = self._summary, self._pending
        if summary is None:
            return Outcome()
        if pending is None:
            summary.start_ns = summary.end_ns = tick.observation.stamp_ns
            return self._wait_for_outcome(tick)
        gap_ns = tick.observation.stamp_ns - pending.observation.stamp_ns
        if gap_ns == 0:
            return Outcome(repeat=True)
        if gap_ns < 0:
            return self._abort()
        executed = self._executed.pop(pending.observation.stamp_ns, None)
        if executed is None and patient:
            return Outcome(await_executed=True)
        trainable = (
            executed is not None
            and self._pending_is_trainable
            and not tick.holding
            # Elsewhere in time is elsewhere in the scene: this is not what the action led to.
            and 0.5 < gap_ns / self._period_ns < 1.5
        )
        step = self._complete(pending, executed or NOTHING_EXECUTED, tick, trainable)
        summary.end_ns = tick.observation.stamp_ns
        if step.terminated or step.truncated:
            return Outcome(step=step, end=self._end(step))
        return replace(self._wait_for_outcome(tick), step=step)

    def _wait_for_outcome(self, tick: Tick) -> Outcome:
        self._pending, self._pending_is_trainable = tick, True
        return Outcome(act=True)

    def _complete(self, pending: Tick, action: Action, tick: Tick, trainable: bool) -> Step:
        reward, success, failure = tick.reward, tick.success, False
        if self._label is not None:
            success, failure = self._label is Label.SUCCESS, self._label is Label.FAILURE
            reward = 1.0 if success else 0.0
            trainable = trainable and self._label is not Label.DISCARD
        terminated = success or failure
        out_of_time = self._summary.steps + 1 >= self.max_episode_steps
        truncated = not terminated and (out_of_time or self._cut or self._label is Label.DISCARD)
        step = self._step(pending, action)
        step = replace(
            step,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            trainable=trainable,
            final_observation=tick.observation if terminated or truncated else None,
        )
        self._count(step)
        self._summary.success = success
        return step

    def _abort(self) -> Outcome:
        """Time went back: the scene of this episode is gone, and with it the outcome of the last action.

        The last step is cut off, and as its true final observation will never be known, it holds its own
        in that place and is not trained on.
        """
        pending = self._pending
        executed = self._executed.pop(pending.observation.stamp_ns, NOTHING_EXECUTED)
        step = replace(
            self._step(pending, executed),
            truncated=True,
            trainable=False,
            final_observation=pending.observation,
        )
        self._count(step)
        return Outcome(step=step, end=self._end(step))

    def _step(self, pending: Tick, action: Action) -> Step:
        self._last_sequence += 1
        return Step(
            actor_id=self._actor_id,
            sequence=self._last_sequence,
            episode=self._last_episode,
            index=self._summary.steps,
            observation=pending.observation,
            action=action,
        )

    def _end(self, step: Step) -> EpisodeSummary:
        summary, self._summary, self._pending = self._summary, None, None
        summary.truncated = step.truncated
        summary.interrupted = step.truncated and summary.steps < self.max_episode_steps
        return summary

    def _count(self, step: Step) -> None:
        summary = self._summary
        summary.steps += 1
        summary.episode_return += step.reward
        summary.intervention_steps += step.action.source is not Source.POLICY
        summary.policy_version = max(summary.policy_version, step.action.policy_version)
