"""The core of the actor: from ticks and executed actions to episodes of steps.

A step is known only when its outcome is: the observation of one tick, the action that was executed for
it, and the reward that came with the next tick. Until then it is *pending*, has no sequence number and
was never promised to anybody, so an actor that is killed leaves no gap and no half step.

The last step of a success can be *held* likewise: until somebody confirms the success or takes it back.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from hilrl_learning.data import DELTA_AXES, Action, Gripper, Source, Step, StepLabel
from hilrl_learning.episode import ON_THE_STEP, EpisodeSummary, Kind, Label
from hilrl_learning.observation_sync import Tick

NOTHING_EXECUTED = Action(np.zeros(len(DELTA_AXES), np.float32), Gripper.STAY, Source.POLICY, "none", 0)
"""Stands in a step for an action that did not come back from the mux: the arm was held."""

EXECUTED_KEPT = 8
"""Executed actions waiting for their tick."""


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
    held: bool = False
    """As `end`, but its last step waits for `release`."""


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
        self.holds_success = False
        """Hold the last step of an episode that the reward calls a success."""
        self._held: Step | None = None

    @property
    def running(self) -> bool:
        """An episode is under way."""
        return self._summary is not None and self._held is None

    @property
    def waiting(self) -> bool:
        """A demonstration is under way that nobody shows yet: it begins with the first action of a person."""
        return self.running and self._summary.kind is Kind.DEMONSTRATION and self._summary.steps == 0

    @property
    def holding(self) -> bool:
        """An episode is over but for the word about its success."""
        return self._held is not None

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
        if not self.running or self._pending is None:
            return "no episode is running"
        if self._label is not None:
            return f"the episode is being ended as {self._label.name} already"
        self._label = label
        return ""

    def release(self, label: Label | None = None) -> Outcome:
        """Let the held step go: a success, or what the operator says. Only while `holding`."""
        step, self._held, self._label = self._held, None, label
        if label is not None:
            success, failure = label is Label.SUCCESS, label is Label.FAILURE
            unwanted = not (success or failure)
            step = replace(
                step,
                reward=step.reward if success else 0.0,
                terminated=not unwanted,
                truncated=unwanted,
                label=ON_THE_STEP[label],
                trainable=step.trainable and not unwanted,
            )
            self._summary.success = success
        return self._finished(step)

    def tick(self, tick: Tick, patient: bool = False) -> Outcome:
        """Take the observation of a new tick. `patient`: rather wait for an executed action than miss it."""
        summary, pending = self._summary, self._pending
        if not self.running:
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
        action = executed or NOTHING_EXECUTED
        idle = self.waiting and action.source is Source.POLICY
        if idle and self._label is None and not self._cut:
            summary.start_ns = tick.observation.stamp_ns
            return self._wait_for_outcome(tick)
        trainable = (
            executed is not None
            and self._pending_is_trainable
            and not tick.holding
            # Elsewhere in time is elsewhere in the scene: this is not what the action led to.
            and 0.5 < gap_ns / self._period_ns < 1.5
        )
        step = self._complete(pending, action, tick, trainable)
        if idle and step.truncated:  # nothing was shown
            step = replace(step, label=StepLabel.DISCARD, trainable=False)
        summary.end_ns = tick.observation.stamp_ns
        summary.success = step.terminated and (self._label or Label.SUCCESS) is Label.SUCCESS
        if self.holds_success and summary.success and self._label is None:
            self._held = step
            return Outcome(held=True)
        if step.terminated or step.truncated:
            return self._finished(step)
        step = self._number(step)
        self._count(step)
        return replace(self._wait_for_outcome(tick), step=step)

    def _wait_for_outcome(self, tick: Tick) -> Outcome:
        self._pending, self._pending_is_trainable = tick, True
        return Outcome(act=True)

    def _complete(self, pending: Tick, action: Action, tick: Tick, trainable: bool) -> Step:
        reward, success, failure, label = tick.reward, tick.success, False, self._label
        if label is not None:
            success, failure = label is Label.SUCCESS, label is Label.FAILURE
            reward = 1.0 if success else 0.0
            trainable = trainable and (success or failure)
        terminated = success or failure
        out_of_time = self._summary.steps + 1 >= self.max_episode_steps
        truncated = not terminated and (out_of_time or self._cut or label is not None)
        return replace(
            self._step(pending, action),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            label=StepLabel.NONE if label is None else ON_THE_STEP[label],
            trainable=trainable,
            final_observation=tick.observation if terminated or truncated else None,
        )

    def _abort(self) -> Outcome:
        """Time went back: the scene of this episode is gone, and with it the outcome of the last action.

        The last step is cut off, and as its true final observation will never be known, it holds its own
        in that place and is not trained on.
        """
        pending = self._pending
        executed = self._executed.pop(pending.observation.stamp_ns, NOTHING_EXECUTED)
        if self._label in (Label.SUCCESS, Label.FAILURE):
            self._label = None  # of an end that was not seen
        return self._finished(
            replace(
                self._step(pending, executed),
                truncated=True,
                label=StepLabel.NONE if self._label is None else ON_THE_STEP[self._label],
                trainable=False,
                final_observation=pending.observation,
            ),
            aborted=True,
        )

    def _finished(self, step: Step, aborted: bool = False) -> Outcome:
        """The episode is over with `step`."""
        step = self._number(step)
        self._count(step)
        summary, self._summary, self._pending = self._summary, None, None
        summary.truncated, summary.label = step.truncated, self._label
        out_of_time = summary.steps >= self.max_episode_steps and self._label is None and not aborted
        summary.interrupted = step.truncated and not out_of_time
        return Outcome(step=step, end=summary)

    def _number(self, step: Step) -> Step:
        self._last_sequence += 1
        return replace(step, sequence=self._last_sequence)

    def _step(self, pending: Tick, action: Action) -> Step:
        if self._summary.kind is Kind.DEMONSTRATION:
            # A person who acts for the whole of an episode takes over from nobody.
            action = replace(action, source=Source.DEMONSTRATION)
        return Step(
            actor_id=self._actor_id,
            sequence=0,
            episode=self._last_episode,
            index=self._summary.steps,
            observation=pending.observation,
            action=action,
        )

    def _count(self, step: Step) -> None:
        summary = self._summary
        summary.steps += 1
        summary.episode_return += step.reward
        summary.intervention_steps += step.action.source is not Source.POLICY
        summary.policy_version = max(summary.policy_version, step.action.policy_version)
