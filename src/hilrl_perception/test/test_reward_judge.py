import math

import pytest

from hilrl_perception.reward_guard import ArmState, Guard
from hilrl_perception.reward_judge import RewardJudge

ARM = ArmState((0.2, 0.0, 0.1), 0.0, -0.1)


def successes(judge, frames, start_ns=1, arm=ARM):
    return [judge.judge(start_ns + i, 0.9 * above, above, arm).success for i, above in enumerate(frames)]


def test_a_stamp_has_one_answer_however_often_it_is_asked():
    judge = RewardJudge(2, 3)
    answers = [judge.judge(stamp_ns, 0.9, True, ARM) for stamp_ns in (1, 1, 1, 2, 1, 2, 3)]
    assert [answer.success for answer in answers] == [False, False, False, True, False, True, True]
    assert judge.answered(2) is answers[3] and judge.answered(9) is None
    # Other things that are said of a stamp later do not change what was answered.
    assert judge.judge(1, 0.0, False, None) is answers[0]


def test_frames_of_one_episode_say_nothing_about_the_next():
    judge = RewardJudge(3, 3)
    assert successes(judge, [True, True]) == [False, False]
    judge.begin()
    assert successes(judge, [True, True, True], start_ns=10) == [False, False, True]


def test_between_episodes_nothing_is_a_success():
    judge = RewardJudge(1, 1)
    judge.begin()
    assert successes(judge, [True]) == [True]
    judge.end()
    assert successes(judge, [True, True], start_ns=10) == [False, False]
    judge.begin()
    assert successes(judge, [True], start_ns=20) == [True]


def test_time_that_goes_back_is_another_scene():
    judge = RewardJudge(2, 2)
    assert successes(judge, [True], start_ns=100) == [False]
    assert successes(judge, [True, True], start_ns=5) == [False, True]


def test_the_guard_suppresses_and_counts_and_lets_through_what_is_inside():
    judge = RewardJudge(1, 1, Guard(gripper_range=(-0.05, 0.1), ee_min=(-1, -1, 0.05)))
    outside = [
        ArmState((0.2, 0.0, 0.1), -0.1, -0.1),
        ArmState((0.2, 0.0, 0.02), 0.0, -0.1),
        ArmState((0.2, 0.0, math.nan), 0.0, -0.1),
    ]
    for stamp_ns, arm in enumerate(outside, 1):
        answer = judge.judge(stamp_ns, 0.99, True, arm)
        assert not answer.success and answer.reward == 0.0 and answer.suppressed
    assert judge.suppressed == 3
    assert "jaw angle -0.100 rad is outside [-0.05, 0.1]" in judge.answered(1).suppressed
    assert "TCP z 0.020 m is outside [0.05, 1.0]" in judge.answered(2).suppressed
    assert judge.judge(4, 0.99, True, ARM).success and judge.suppressed == 3


def test_an_arm_that_is_not_known_is_no_success_and_no_frame_for_one():
    judge = RewardJudge(2, 2)
    assert successes(judge, [True, True], arm=None) == [False, False]
    assert successes(judge, [True, True], start_ns=10) == [False, True]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gripper_range": [0.5, 0.1]}, "gripper_range: expected lower <= upper, got 0.5 and 0.1"),
        ({"ee_min": [0, 0, 0.3], "ee_max": [1, 1, 0.2]}, "ee_min, ee_max: z: expected lower <= upper"),
    ],
)
def test_bounds_the_wrong_way_round_are_refused(values, message):
    defaults = {name: getattr(Guard(), name) for name in Guard.__dataclass_fields__}
    with pytest.raises(ValueError, match=message):
        Guard.from_values({**defaults, **values})
