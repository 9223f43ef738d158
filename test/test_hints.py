"""Advice comes when the log says that it is due, and only then."""

from dataclasses import replace

from hilrl import hints
from hilrl.episodes import EpisodeRecord

EPISODE = EpisodeRecord(
    actor="arm",
    episode=1,
    kind="training",
    success=True,
    truncated=False,
    episode_return=1.0,
    steps=40,
    intervention_steps=0,
    duration_s=4.0,
    policy_version=1,
    seed=0,
    time=0.0,
    elapsed_s=0.0,
    env_steps=40,
)
FAILED = replace(EPISODE, success=False)
NUDGED = replace(EPISODE, intervention_steps=5)
CARRIED = replace(EPISODE, intervention_steps=30)


def test_it_says_how_many_demonstrations_are_missing():
    assert hints.demonstrating(0, 20).startswith("20 more demonstrations: ")
    assert hints.demonstrating(19, 20).startswith("1 more demonstration: ")
    assert hints.demonstrating(20, 20) == ""


def test_a_few_episodes_are_no_ground_for_advice():
    assert hints.training([FAILED] * (hints.RECENT - 1)) == ""


def test_without_reward_more_help_is_needed():
    assert hints.training([FAILED] * 9 + [NUDGED] * 3).startswith("3 of the last 12 episodes succeeded: ")
    assert hints.training([FAILED] * 8 + [NUDGED] * 4) == ""


def test_long_take_overs_that_end_in_success_are_too_much():
    assert hints.training([NUDGED] * 5 + [CARRIED] * 7).startswith("7 of 12 successes were mostly your own")
    assert hints.training([NUDGED] * 6 + [CARRIED] * 6) == ""


def test_who_succeeds_alone_is_left_alone():
    assert hints.training([EPISODE] * 9 + [NUDGED] * 3).startswith("9 of the last 12 succeeded without help")
    assert hints.training([EPISODE] * 8 + [NUDGED] * 4) == ""
    assert hints.training([EPISODE] * 12) == ""


def test_only_what_happened_lately_counts():
    assert hints.training([FAILED] * 50 + [EPISODE] * 6 + [NUDGED] * 6) == ""
