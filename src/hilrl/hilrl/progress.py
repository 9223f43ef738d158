"""How far a run is, from what the learner and the actor say. Plain: takes messages, knows no ROS node."""

import math
from collections.abc import Mapping

from hilrl import hints
from hilrl.episodes import EpisodeLog, EpisodeRecord, of_kind
from hilrl.supervisor import Health
from hilrl_interfaces.msg import Episode, LearnerMetrics, StepAck

RECENT = 20
"""Episodes that the success and intervention rates are taken over."""

PHASES = {
    StepAck.PHASE_DEMONSTRATIONS: "demonstrations",
    StepAck.PHASE_PRETRAINING: "pre-training",
    StepAck.PHASE_TRAINING: "training",
    StepAck.PHASE_FINISHED: "finished",
}


class Progress:
    """The state of a run that is shown to the user."""

    def __init__(self, log: EpisodeLog, simulated_operator: bool) -> None:
        self.log = log
        self._advises = not simulated_operator
        self._intervention_unit = "% of steps, simulated" if simulated_operator else "% of steps"
        self.phase = "starting"
        self.demonstrations = (0, 0)
        """(stored, wanted)"""
        self.policy_version = 0
        self.steps_per_s = math.nan
        self.updates_per_s = math.nan
        self.critic_updates = 0
        self.time_left_s = math.nan
        """nan: not known, negative: unlimited [s]"""
        self.running_episodes: set[str] = set()
        """Actors that are in the middle of an episode."""

    def on_ack(self, ack: StepAck) -> None:
        """Take the learner's heartbeat."""
        self.phase = PHASES.get(ack.phase, f"phase {ack.phase}")
        self.demonstrations = (ack.demonstrations, ack.demonstrations_wanted)
        self.policy_version = ack.policy_version

    def on_metrics(self, metrics: LearnerMetrics) -> None:
        """Take the learner's numbers."""
        self.steps_per_s = metrics.steps_per_s
        self.updates_per_s = metrics.updates_per_s
        self.critic_updates = metrics.critic_updates
        self.time_left_s = metrics.time_left_s

    def on_episode(self, episode: Episode) -> None:
        """Take the start or the end of an episode; the end goes into the log."""
        if episode.finished:
            self.running_episodes.discard(episode.actor_id)
            self.log.add(episode)
        else:
            self.running_episodes.add(episode.actor_id)

    @property
    def practised(self) -> list[EpisodeRecord]:
        """Episodes in which the policy acted."""
        return of_kind(self.log.records, "training")

    def fields(self, health: Mapping[str, Health]) -> dict[str, str]:
        """What to show, as label and text."""
        practised = self.practised
        recent = practised[-RECENT:]
        shown = {"phase": self._phase_text(), "episodes": str(len(practised))}
        if recent:
            won = sum(record.success for record in recent)
            steps = sum(record.steps for record in recent)
            helped = sum(record.intervention_steps for record in recent)
            alone = sum(record.success and record.intervention_steps == 0 for record in recent)
            shown["success"] = f"{won}/{len(recent)}, {alone} without help"
            shown["interventions"] = f"{100 * helped / max(steps, 1):.0f} {self._intervention_unit}"
        shown["env"] = f"{_number(self.steps_per_s)} steps/s"
        shown["learner"] = f"{_number(self.updates_per_s)} updates/s"
        shown["policy"] = f"v{self.policy_version}"
        if self.time_left_s >= 0:
            shown["left"] = clock(self.time_left_s)
        if trouble := self.trouble(health):
            shown["nodes"] = trouble
        if self._advises and (hint := self.hint()):
            shown["hint"] = hint
        return shown

    def hint(self) -> str:
        """What the person in the loop could do better now; empty: nothing."""
        if self.phase == "demonstrations":
            return hints.demonstrating(*self.demonstrations)
        return hints.training(self.practised) if self.phase == "training" else ""

    def trouble(self, health: Mapping[str, Health]) -> str:
        """Which nodes are not running or had to be started again; empty: none."""
        words = [f"{name} down" for name, h in health.items() if h.down and self.phase != "starting"]
        words += [f"{name} restarted {len(h.deaths)}x" for name, h in health.items() if h.deaths]
        return ", ".join(words)

    def _phase_text(self) -> str:
        stored, wanted = self.demonstrations
        return f"demonstrations {stored}/{wanted}" if self.phase == "demonstrations" else self.phase


def clock(seconds: float) -> str:
    """Minutes and seconds, 3:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f}"
