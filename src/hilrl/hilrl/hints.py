"""What a person in the loop could do better, told when the episode log says that it is due.

The advice is that of the HIL-SERL authors: many short corrections rather than long ones, reward in every
third episode early on, and less and less help later.
"""

from collections.abc import Sequence

from hilrl.episodes import EpisodeRecord

RECENT = 12
"""Episodes that advice is drawn from."""
ENOUGH_REWARD = 1 / 3
"""Share of episodes that should end in success, with or without help."""
MOSTLY_HELPED = 0.5
"""Share of an episode's steps from which on it was the person's rather than the policy's."""
ABLE = 0.75
"""Share of successes without help from which on a policy is better left alone."""


def demonstrating(stored: int, wanted: int) -> str:
    """While demonstrations are collected."""
    left = wanted - stored
    if left <= 0:
        return ""
    more = "1 more demonstration" if left == 1 else f"{left} more demonstrations"
    return f"{more}: start from different places, move without pauses, end as soon as it is done"


def training(practised: Sequence[EpisodeRecord]) -> str:
    """While the policy practises; empty where nothing is to be said. `practised`: in order."""
    recent = practised[-RECENT:]
    if len(recent) < RECENT:
        return ""
    won = [record for record in recent if record.success]
    alone = [record for record in won if record.intervention_steps == 0]
    carried = [record for record in won if record.intervention_steps > MOSTLY_HELPED * max(record.steps, 1)]
    helped = [record for record in recent if record.intervention_steps]
    if len(won) < ENOUGH_REWARD * len(recent):
        return (
            f"{len(won)} of the last {len(recent)} episodes succeeded: help more, until every third one does;"
            " without reward nothing is learned"
        )
    if len(carried) > len(won) / 2:
        return (
            f"{len(carried)} of {len(won)} successes were mostly your own steps: let the policy try for 20 "
            "to 30 steps, nudge it back for a few, and let go before it is done"
        )
    if len(alone) >= ABLE * len(recent) and helped:
        return (
            f"{len(alone)} of the last {len(recent)} succeeded without help: take over only where it would "
            "otherwise fail"
        )
    return ""
