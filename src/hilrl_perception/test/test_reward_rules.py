import pytest

from hilrl_perception.reward_guard import ArmState, Guard
from hilrl_perception.reward_rules import Rule

TICK_NS = 100_000_000


def rule(name):
    bounds = Guard((-0.05, 0.6), (-0.3, -0.05), (0.1, -0.1, 0.08), (0.3, 0.1, 0.2))
    return Rule(name, bounds, 0.05)


def arm(jaw=0.0, target=-0.1, z=0.1):
    return ArmState((0.2, 0.0, z), jaw, target)


def test_never_is_never():
    assert not any(rule("never").holds(i, arm()) for i in range(5))


def test_ee_pose_is_the_box_alone():
    holds = [rule("ee_pose").holds(1, arm(jaw=0.9, target=0.9, z=z)) for z in (0.05, 0.08, 0.1, 0.2, 0.21)]
    assert holds == [False, True, True, True, False]


def test_jaws_that_close_on_something_stop_short_of_closed():
    def jaws(*angles, target=-0.1):
        closing = rule("gripper_width")
        return [closing.holds(i * TICK_NS, arm(angle, target, z=0.0)) for i, angle in enumerate(angles)]

    assert jaws(0.9, 0.5, 0.1, 0.01, 0.005, 0.0) == [False] * 4 + [True, True]
    assert not any(jaws(0.9, 0.5, 0.1, -0.1, -0.1, -0.1)), "closed on nothing"
    assert not any(jaws(0.3, 0.3, 0.3, target=0.3)), "not told to close"
    assert not any(jaws(0.5, 0.4, 0.3, 0.2, 0.1)), "on its way"


def test_an_object_has_risen_since_the_episode_began():
    lifted = rule("object_height")
    heights = [0.012, 0.02, 0.061, 0.062, 0.07]
    assert [lifted.holds(i, arm(), z) for i, z in enumerate(heights)] == [False, False, False, True, True]
    lifted.begin()
    # The first thing that is seen may still be the object in the air, of the scene before.
    assert [lifted.holds(i, arm(), z) for i, z in enumerate([0.07, 0.03, 0.085])] == [False, False, True]


def test_a_rule_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="rule: expected one of .* got 'wish'"):
        rule("wish")
