"""When the scripted operator takes over, without ROS."""

import numpy as np
import pytest

from hilrl_ros.ee_action import Gripper, Source
from hilrl_teleop.expert import Arm, Scene
from hilrl_teleop.scripted_operator import LEAST_ATTENTION, Kind, ScriptedOperator

TICK = 100_000_000
ARM = Arm(np.array([0.2, 0, 0.12]), np.array([0.2, 0, 0.12]), np.array([1.0, 0, 0]), 0.9, 0.9)
SCENE = Scene(np.array([0.24, 0.03, 0.01]), 0.3, None, False)


def run_episode(operator, episode, kind, steps=60, success=False, first=1):
    """Answers to every step of an episode."""
    operator.begin(episode, kind)
    answers = []
    for step in range(steps):
        stamp_ns = (100 * episode + first + step) * TICK
        operator.saw(stamp_ns)
        answers.append(operator.tick(stamp_ns, ARM, SCENE))
    operator.end(kind, success)
    return answers


def engaged(answers):
    return [step for step, answer in enumerate(answers) if answer.engaged]


def test_a_demonstration_is_its_own_from_the_first_tick():
    answers = run_episode(ScriptedOperator("lift"), 1, Kind.DEMONSTRATION)
    assert engaged(answers) == list(range(60))
    assert {answer.source for answer in answers} == {Source.DEMONSTRATION}
    assert np.abs(answers[0].delta[:3]).max() > 0.5 and answers[0].gripper == Gripper.OPEN


def test_an_evaluation_is_left_alone():
    operator = ScriptedOperator("lift")
    assert engaged(run_episode(operator, 1, Kind.EVALUATION)) == []


def test_without_progress_it_takes_over_lets_go_and_takes_over_again():
    answers = run_episode(ScriptedOperator("lift"), 1, Kind.TRAINING)
    assert engaged(answers) == [*range(25, 37), *range(49, 60)]
    assert {answer.source for answer in answers} == {Source.INTERVENTION}


def test_it_helps_less_the_more_the_policy_succeeds():
    operator = ScriptedOperator("lift")
    assert operator.attention == 1.0
    for episode in range(1, 11):
        run_episode(operator, episode, Kind.TRAINING, steps=5, success=True)
    assert operator.attention == 0.5
    for episode in range(20, 40):
        run_episode(operator, episode, Kind.TRAINING, steps=5, success=True)
    assert operator.attention == LEAST_ATTENTION
    helped = 0
    for episode in range(40, 140):
        operator.begin(episode, Kind.TRAINING)
        for step in range(26):
            answer = operator.tick((100 * episode + step) * TICK, ARM, SCENE)
        helped += answer.engaged
    assert 1 <= helped <= 12


def test_demonstrations_and_evaluations_do_not_count_as_the_policys_success():
    operator = ScriptedOperator("lift")
    for episode in range(20):
        run_episode(operator, episode, Kind.DEMONSTRATION, steps=2, success=True)
        run_episode(operator, 100 + episode, Kind.EVALUATION, steps=2, success=True)
    assert operator.attention == 1.0


def test_a_repeated_stamp_gives_the_identical_answer():
    operator = ScriptedOperator("lift")
    operator.begin(1, Kind.DEMONSTRATION)
    first = operator.tick(TICK, ARM, SCENE)
    assert operator.tick(TICK, ARM, SCENE) is first
    second = operator.tick(2 * TICK, ARM, SCENE)
    assert second is not first and not np.array_equal(second.delta, first.delta)


def test_the_same_seed_gives_the_same_run_and_a_missed_tick_shifts_nothing():
    def deltas(seed, missed=()):
        operator = ScriptedOperator("lift", seed)
        operator.begin(3, Kind.DEMONSTRATION)
        steps = [step for step in range(20) if step not in missed]
        return {step: operator.tick(step * TICK, ARM, SCENE).delta.tolist() for step in steps}

    full, patchy = deltas(5), deltas(5, missed=(7, 8))
    assert all(full[step] == patchy[step] for step in patchy)
    assert deltas(5) == full != deltas(6)


def test_between_episodes_it_is_silent():
    """So that the first tick of an episode waits until it is known, whichever comes first."""
    operator = ScriptedOperator("lift")
    assert operator.tick(TICK, ARM, SCENE) is None
    run_episode(operator, 1, Kind.TRAINING, steps=3)
    assert operator.tick(500 * TICK, ARM, SCENE) is None


def test_the_last_tick_of_an_episode_is_not_the_first_of_the_next():
    operator = ScriptedOperator("lift")
    run_episode(operator, 1, Kind.DEMONSTRATION, steps=3)
    last = (100 + 3) * TICK
    operator.begin(2, Kind.DEMONSTRATION)
    assert operator.tick(last, ARM, SCENE) is None, "the simulator repeats it until it is reset"
    alone = ScriptedOperator("lift")
    alone.begin(2, Kind.DEMONSTRATION)
    after_reset = last + 1_000_000
    expected = alone.tick(after_reset, ARM, SCENE).delta
    assert np.array_equal(operator.tick(after_reset, ARM, SCENE).delta, expected)


def test_an_unknown_task_is_refused():
    operator = ScriptedOperator("fold")
    with pytest.raises(ValueError, match=r"task: expected one of \['lift', 'place'\], got 'fold'"):
        operator.begin(1, Kind.TRAINING)
