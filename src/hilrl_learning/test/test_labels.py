"""Every label ends one episode or is refused; a success can be taken back while it is held."""

import pytest
from test_episode_loop import Arm, number

from hilrl_learning.course import Plan
from hilrl_learning.data import StepLabel
from hilrl_learning.episode import Kind, Label
from hilrl_learning.labels import Labels

IN_BETWEEN = {"preparing": True, "paused": False}


class Desk:
    """An arm with its labels, as the actor wires them."""

    def __init__(self, max_episode_steps=5, holds=False):
        self.arm = Arm(max_episode_steps)
        self.arm.loop.holds_success = holds
        self.labels = Labels(self.arm.loop)

    def begin(self, seed=0):
        plan = self.labels.planned(Plan(Kind.TRAINING, seed))
        self.arm.loop.begin(self.arm.loop.prepare(plan.kind, plan.seed))
        self.labels.begun()
        self.arm.go()
        return plan.seed

    def take(self, label, preparing=False, paused=False):
        answer = self.labels.take(label, preparing, paused)
        if answer.outcome is not None:
            self.labels.ended(answer.outcome.end)
        return answer

    def go(self, **tick):
        outcome = self.arm.go(**tick)
        if outcome.end is not None:
            self.labels.ended(outcome.end)
        return outcome


def held():
    """A desk whose episode of two steps ended in a success by the reward."""
    desk = Desk(holds=True)
    desk.begin(seed=7)
    first = desk.go().step
    outcome = desk.go(reward=1.0, success=True)
    assert outcome.held and outcome.step is None and outcome.end is None and not outcome.act
    assert first.sequence == 1
    return desk


@pytest.mark.parametrize(
    ("label", "on_the_step", "terminated", "trainable", "reward"),
    [
        (Label.SUCCESS, StepLabel.SUCCESS, True, True, 1.0),
        (Label.FAILURE, StepLabel.FAILURE, True, True, 0.0),
        (Label.DISCARD, StepLabel.DISCARD, False, False, 0.0),
        (Label.RESET, StepLabel.NONE, False, False, 0.0),
        (Label.RERECORD, StepLabel.DISCARD, False, False, 0.0),
    ],
)
def test_a_label_ends_the_running_episode_and_is_on_its_last_step(
    label, on_the_step, terminated, trainable, reward
):
    desk = Desk()
    desk.begin()
    assert desk.go().step.label is StepLabel.NONE
    assert desk.take(label).accepted
    step, end = (outcome := desk.go(reward=1.0, success=True)).step, outcome.end
    assert (step.label, step.terminated, step.truncated) == (on_the_step, terminated, not terminated)
    assert (step.trainable, step.reward) == (trainable, reward)
    assert number(step.final_observation) == 2
    assert end.success == (label is Label.SUCCESS) and end.label is label
    assert end.interrupted == (not terminated)


def test_an_unwanted_episode_of_full_length_is_no_result():
    """In an evaluation it is tried again."""
    desk = Desk(max_episode_steps=1)
    desk.begin()
    desk.take(Label.DISCARD)
    assert desk.go().end.interrupted
    desk.begin()
    assert not desk.go().end.interrupted


def test_an_episode_takes_one_label():
    desk = Desk()
    desk.begin()
    assert desk.take(Label.SUCCESS).accepted
    second = desk.take(Label.FAILURE)
    assert not second.accepted and second.message == "the episode is being ended as SUCCESS already"
    assert desk.go().step.label is StepLabel.SUCCESS


@pytest.mark.parametrize("label", [Label.SUCCESS, Label.FAILURE, Label.DISCARD])
def test_a_label_before_the_next_episode_is_refused_and_not_kept_for_it(label):
    desk = Desk()
    desk.begin()
    desk.arm.loop.cut()
    desk.go()
    answer = desk.take(label, preparing=True)
    assert not answer.accepted and "its scene is being prepared" in answer.message
    desk.begin()
    outcome = desk.go()
    assert outcome.end is None and outcome.step.label is StepLabel.NONE


def test_a_success_that_is_held_has_no_number_until_it_is_let_go():
    """Invariant 6: a killed actor leaves no gap."""
    desk = held()
    assert not desk.arm.loop.running and desk.arm.loop.holding
    assert not desk.go().act, "the arm is left alone"
    outcome = desk.arm.loop.release()
    step = outcome.step
    assert (step.sequence, step.index, step.reward, step.terminated) == (2, 1, 1.0, True)
    assert step.label is StepLabel.NONE and outcome.end.success and outcome.end.steps == 2
    assert outcome.end.episode_return == 1.0 and not desk.arm.loop.holding
    desk.begin()
    assert desk.go().step.sequence == 3


@pytest.mark.parametrize(
    ("label", "on_the_step", "terminated", "reward", "success"),
    [
        (Label.SUCCESS, StepLabel.SUCCESS, True, 1.0, True),
        (Label.FAILURE, StepLabel.FAILURE, True, 0.0, False),
        (Label.RESET, StepLabel.NONE, True, 1.0, True),
        (Label.DISCARD, StepLabel.DISCARD, False, 0.0, False),
        (Label.RERECORD, StepLabel.DISCARD, False, 0.0, False),
    ],
)
def test_the_word_about_a_held_success(label, on_the_step, terminated, reward, success):
    desk = held()
    answer = desk.take(label)
    step, end = answer.outcome.step, answer.outcome.end
    assert answer.accepted and answer.drop is None
    assert (step.label, step.terminated, step.truncated) == (on_the_step, terminated, not terminated)
    assert (step.reward, end.success, end.episode_return) == (reward, success, reward)
    assert step.trainable == terminated and number(step.final_observation) == 2
    assert not desk.take(Label.FAILURE).accepted, "it is told once"
    assert desk.begin(seed=8) == (7 if label is Label.RERECORD else 8)


def test_only_a_success_by_the_reward_is_held():
    desk = Desk(holds=True)
    desk.begin()
    desk.take(Label.SUCCESS)
    assert desk.go().step.label is StepLabel.SUCCESS
    desk = Desk(max_episode_steps=1, holds=True)
    desk.begin()
    assert desk.go().step.truncated


def test_rerecord_in_an_episode_does_its_scene_once_more():
    desk = Desk()
    desk.begin(seed=3)
    assert desk.take(Label.RERECORD).drop is None, "it is discarded by its own label"
    desk.go()
    assert [desk.begin(seed=4), desk.go().end] == [3, None]
    desk.arm.loop.cut()
    desk.go()
    assert desk.begin(seed=5) == 5, "once"


def test_rerecord_between_two_drops_the_one_before_and_does_its_scene_again():
    desk = Desk(max_episode_steps=1)
    desk.begin(seed=3)
    end = desk.go().end
    answer = desk.take(Label.RERECORD, **IN_BETWEEN)
    assert answer.accepted and answer.prepare and answer.drop is end
    assert not desk.take(Label.RERECORD, **IN_BETWEEN).accepted, "once"
    again = desk.take(Label.RESET, **IN_BETWEEN)
    assert again.accepted and again.prepare and again.drop is None
    assert desk.begin(seed=4) == 3, "a reset does not lose it"
    desk.go()
    assert desk.begin(seed=5) == 5


def test_rerecord_of_a_discarded_one_drops_nothing_more():
    """Whoever records has dropped it by its label: its last episode is another one."""
    desk = Desk()
    desk.begin(seed=3)
    desk.take(Label.DISCARD)
    desk.go()
    answer = desk.take(Label.RERECORD, **IN_BETWEEN)
    assert answer.accepted and answer.drop is None and desk.begin(seed=4) == 3


def test_rerecord_needs_an_episode_before():
    assert "none before" in Desk().take(Label.RERECORD, **IN_BETWEEN).message


def test_reset_needs_a_scene():
    desk = Desk()
    assert desk.take(Label.RESET, **IN_BETWEEN).prepare
    assert not desk.take(Label.RESET, preparing=False).accepted


@pytest.mark.parametrize("label", list(Label))
def test_while_paused_every_label_is_refused(label):
    for desk in (Desk(), held()):
        answer = desk.take(label, paused=True)
        assert not answer.accepted and answer.message == "paused: go on first, then label"


def test_a_number_that_is_no_label_is_refused():
    assert Desk().take(9).message == "label: expected one of [0, 1, 2, 3, 4], got 9"


def test_when_time_goes_back_only_an_unwanted_end_is_still_said():
    for label, expected in ((Label.SUCCESS, StepLabel.NONE), (Label.DISCARD, StepLabel.DISCARD)):
        desk = Desk()
        desk.arm.n = 10
        desk.begin()
        desk.take(label)
        desk.arm.n = 0
        step = desk.go().step
        assert step.truncated and step.label is expected
