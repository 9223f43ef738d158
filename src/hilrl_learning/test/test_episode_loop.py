"""Steps are aligned, ends are told apart, and nothing dubious is trained on."""

import numpy as np
import pytest

from hilrl_learning.data import Action, Observation, Source, StepLabel
from hilrl_learning.episode_loop import EpisodeLoop, Kind, Label
from hilrl_learning.observation_sync import Tick

PERIOD_NS = 100_000_000


class Arm:
    """Ticks a loop as a lockstep graph does; observation and action of tick n both carry n."""

    def __init__(self, max_episode_steps: int = 5, last_sequence: int = 0, last_episode: int = 0) -> None:
        self.loop = EpisodeLoop("arm", 0.1, max_episode_steps, last_sequence, last_episode)
        self.n = 0

    def begin(self, kind: Kind = Kind.TRAINING) -> "Arm":
        self.loop.begin(self.loop.prepare(kind, 0))
        return self

    def observation(self) -> Observation:
        state, images = np.full(1, self.n, np.float32), np.full((1, 2, 2, 3), self.n, np.uint8)
        return Observation(self.n * PERIOD_NS, state, images)

    def tick(self, reward=0.0, success=False, holding=False, patient=False):
        return self.loop.tick(Tick(self.observation(), reward, success, holding), patient)

    def execute(self, source: Source = Source.POLICY, version: int = 1) -> None:
        action = Action(
            np.full(5, self.n / 100, np.float32), source=source, device="x", policy_version=version
        )
        self.loop.executed(self.n * PERIOD_NS, action)

    def go(self, **tick):
        """One tick, then its action is executed."""
        outcome = self.tick(**tick)
        if outcome.act:
            self.execute()
            self.n += 1
        return outcome


def number(observation: Observation) -> int:
    return int(observation.state[0])


def test_step_holds_the_observation_seen_and_the_action_executed_for_it():
    """Invariant 1."""
    arm = Arm(max_episode_steps=100).begin()
    steps = [arm.go(reward=n / 10).step for n in range(20)]
    assert steps[0] is None
    for n, step in enumerate(steps[1:]):
        assert number(step.observation) == n
        assert step.action.delta[0] == np.float32(n / 100)
        assert step.reward == (n + 1) / 10
        assert (step.sequence, step.index, step.episode) == (n + 1, n, 1)


def test_executed_actions_are_matched_by_stamp_whenever_they_come():
    """Invariant 1: a late answer to an earlier tick never becomes the action of a later one."""
    arm = Arm().begin()
    arm.tick()
    arm.n = 1
    arm.execute()  # belongs to tick 1, which is to come
    outcome = arm.tick(patient=True)
    assert outcome.await_executed and outcome.step is None and not outcome.act
    arm.n = 0
    arm.execute()
    arm.n = 1
    outcome = arm.tick(patient=True)
    assert outcome.act and outcome.step.action.delta[0] == 0.0 and outcome.step.trainable


def test_who_acted_is_what_the_mux_says():
    """Invariant 2."""
    arm = Arm().begin()
    for source in (Source.POLICY, Source.INTERVENTION, Source.DEMONSTRATION):
        arm.tick()
        arm.execute(source, version=0)
        arm.n += 1
        assert arm.tick().step.action.source is source
        arm.loop.cut()
        arm.n += 1
        end = arm.tick().end
        assert end.intervention_steps == (source is not Source.POLICY)
        arm.begin()


def test_success_terminates_with_its_own_final_observation():
    """Invariant 4."""
    arm = Arm().begin()
    arm.go()
    arm.go()
    outcome = arm.go(reward=1.0, success=True)
    assert outcome.step.terminated and not outcome.step.truncated and not outcome.act
    assert number(outcome.step.final_observation) == 2 and outcome.step.reward == 1.0
    assert outcome.end.success and outcome.end.steps == 2 and outcome.end.episode_return == 1.0
    assert not arm.loop.running


def test_timeout_is_truncated_and_carries_its_own_last_observation():
    """Invariant 4."""
    arm = Arm(max_episode_steps=3).begin()
    outcomes = [arm.go() for _ in range(4)]
    last = outcomes[-1].step
    assert last.truncated and not last.terminated and last.trainable
    assert number(last.observation) == 2 and number(last.final_observation) == 3
    assert all(outcome.step.final_observation is None for outcome in outcomes[1:-1])
    assert outcomes[-1].end.truncated and not outcomes[-1].end.interrupted
    arm.n = 50
    arm.begin()
    assert arm.go().step is None, "the first observation of an episode completes no step"


def test_success_on_the_last_step_is_not_a_timeout():
    """Invariant 4."""
    arm = Arm(max_episode_steps=1).begin()
    arm.go()
    step = arm.go(reward=1.0, success=True).step
    assert step.terminated and not step.truncated


@pytest.mark.parametrize(
    ("label", "terminated", "truncated", "reward", "trainable"),
    [
        (Label.SUCCESS, True, False, 1.0, True),
        (Label.FAILURE, True, False, 0.0, True),
        (Label.DISCARD, False, True, 0.0, False),
    ],
)
def test_label_of_the_operator_ends_the_episode(label, terminated, truncated, reward, trainable):
    arm = Arm().begin()
    arm.go()
    assert arm.loop.label(label) == ""
    outcome = arm.go()
    step = outcome.step
    assert (step.terminated, step.truncated, step.reward) == (terminated, truncated, reward)
    assert step.trainable == trainable and step.final_observation is not None
    assert outcome.end.success == (label is Label.SUCCESS)
    arm.begin()
    arm.go()
    assert arm.go().end is None, "a label is for one episode only"


def test_label_without_an_episode_is_refused():
    arm = Arm()
    assert arm.loop.label(Label.SUCCESS) == "no episode is running"


def test_cut_ends_the_episode_with_its_true_next_observation():
    """Invariant 10: parking."""
    arm = Arm().begin()
    arm.go()
    arm.loop.cut()
    outcome = arm.go()
    assert outcome.step.truncated and outcome.step.trainable and not outcome.act
    assert number(outcome.step.final_observation) == 1 and outcome.end.interrupted


def test_steps_that_were_held_are_kept_and_not_trained_on():
    """Invariant 10."""
    arm = Arm(max_episode_steps=100).begin()
    arm.go()
    assert arm.go().step.trainable
    assert not arm.go(holding=True).step.trainable
    assert arm.go().step.trainable


def test_a_step_over_a_stale_observation_is_not_trained_on():
    """Invariant 10."""
    arm = Arm(max_episode_steps=100).begin()
    arm.go()
    arm.loop.doubt()
    assert not arm.go().step.trainable
    assert arm.go().step.trainable


def test_a_step_whose_action_never_came_back_is_not_trained_on():
    """Invariant 10."""
    arm = Arm().begin()
    arm.tick()
    arm.n += 1
    assert arm.tick(patient=True).await_executed
    step = arm.tick(patient=False).step
    assert not step.trainable and not step.action.delta.any() and step.sequence == 1


@pytest.mark.parametrize(("periods", "trainable"), [(1, True), (1.4, True), (0.01, False), (3, False)])
def test_a_step_that_took_another_time_is_not_trained_on(periods, trainable):
    arm = Arm().begin()
    arm.go()
    observation = Observation(
        int(periods * PERIOD_NS), np.zeros(1, np.float32), np.zeros((1, 2, 2, 3), np.uint8)
    )
    assert arm.loop.tick(Tick(observation)).step.trainable == trainable


def test_when_time_goes_back_the_episode_is_cut_off_and_its_last_step_not_trained_on():
    """Invariant 4: never the next scene's first observation."""
    arm = Arm().begin()
    arm.n = 10
    arm.go()
    arm.n = 11
    arm.go()
    arm.n = 0
    outcome = arm.tick()
    assert outcome.step.truncated and not outcome.step.trainable and outcome.step.sequence == 2
    assert number(outcome.step.final_observation) == 11
    assert outcome.end.interrupted and not outcome.act


def test_a_repeated_tick_makes_no_step():
    arm = Arm().begin()
    assert arm.tick().act
    outcome = arm.tick()
    assert outcome.repeat and not outcome.act and outcome.step is None


def test_numbers_go_on_over_episodes_and_restarts():
    """Invariant 6."""
    arm = Arm(max_episode_steps=2, last_sequence=40, last_episode=7)
    steps = []
    for _ in range(3):
        arm.begin()
        steps += [step for _ in range(3) if (step := arm.go().step)]
        arm.n += 5
    assert [step.sequence for step in steps] == [41, 42, 43, 44, 45, 46]
    assert [step.episode for step in steps] == [8, 8, 9, 9, 10, 10]
    assert [step.index for step in steps] == [0, 1] * 3


def test_duration_is_in_the_time_of_the_arm():
    arm = Arm(max_episode_steps=3).begin()
    *_, last = [arm.go() for _ in range(4)]
    assert last.end.duration_s == pytest.approx(0.3)


def show(arm: Arm, source: Source, **tick):
    """One tick of a demonstration, in which `source` acts."""
    outcome = arm.tick(**tick)
    if outcome.act:
        arm.execute(source)
        arm.n += 1
    return outcome


def test_a_demonstration_begins_with_the_first_action_of_a_person_and_is_one_throughout():
    arm = Arm(max_episode_steps=6).begin(Kind.DEMONSTRATION)
    for _ in range(20):
        assert show(arm, Source.POLICY).step is None, "waiting is no part of it, nor of its length"
    sources = [Source.INTERVENTION, Source.INTERVENTION, Source.POLICY, Source.DEMONSTRATION]
    assert show(arm, sources[0]).step is None, "nor is the last tick of waiting"
    steps = [show(arm, source).step for source in sources[1:]]
    last = show(arm, Source.INTERVENTION, success=True, reward=1.0)
    steps.append(last.step)
    assert [step.index for step in steps] == [0, 1, 2, 3]
    assert all(step.action.source is Source.DEMONSTRATION for step in steps)
    assert all(step.trainable for step in steps), "a pause too: the reward may come at its end"
    assert last.end.success and last.end.steps == 4
    assert last.end.duration_s == pytest.approx(0.4)


@pytest.mark.parametrize("ending", [Label.DISCARD, Label.RESET, Label.RERECORD, None])
def test_a_demonstration_that_ends_before_anybody_began_it_is_unwanted(ending):
    arm = Arm().begin(Kind.DEMONSTRATION)
    show(arm, Source.POLICY)
    if ending is None:
        arm.loop.cut()
    else:
        assert arm.loop.label(ending) == ""
    outcome = show(arm, Source.POLICY)
    assert outcome.end is not None and outcome.step.truncated
    assert outcome.step.label is StepLabel.DISCARD and not outcome.step.trainable


def test_a_scene_that_is_solved_before_anybody_acts_shows_nothing():
    arm = Arm().begin(Kind.DEMONSTRATION)
    show(arm, Source.POLICY)
    assert show(arm, Source.POLICY, success=True, reward=1.0).end is None
