"""An episode as the others of the graph hear of it."""

from std_msgs.msg import Header

from hilrl_interfaces.msg import Episode
from hilrl_learning.episode_loop import EpisodeSummary
from hilrl_ros.stamps import from_ns


def episode_to_message(summary: EpisodeSummary, actor_id: str, finished: bool) -> Episode:
    """An episode that begins, or what became of it."""
    return Episode(
        header=Header(stamp=from_ns(summary.end_ns)),
        actor_id=actor_id,
        episode=summary.episode,
        kind=summary.kind,
        finished=finished,
        success=summary.success,
        truncated=summary.truncated,
        episode_return=summary.episode_return,
        steps=summary.steps,
        intervention_steps=summary.intervention_steps,
        duration_s=summary.duration_s,
        policy_version=summary.policy_version,
        seed=summary.seed,
    )
