"""Which episode an actor does next, and whether it may do any."""

from dataclasses import dataclass

from hilrl_learning.episode_loop import EpisodeSummary, Kind
from hilrl_learning.trainer import Phase

EPISODES_PER_SEED = 1_000_000
"""Scene seeds of a training run are `seed * EPISODES_PER_SEED + episode`."""

FIRST_EVALUATION_SEED = 10_000_000
"""Scene seeds of an evaluation count up from here, whatever the policy: results can be compared."""


@dataclass(frozen=True)
class Plan:
    """One episode to do."""

    kind: Kind
    seed: int


class TrainingCourse:
    """Follows the learner's heartbeat: demonstrate, wait, train, stop."""

    def __init__(self, seed: int, learner_timeout_s: float) -> None:
        self.learner_timeout_s = learner_timeout_s
        self.paused = False
        self.fault = ""
        """Why no step may be made before somebody has looked at it."""
        self._seed = seed
        self._phase: Phase | None = None
        self._policy_version = 0
        self._heard_s = float("-inf")

    @property
    def wanted_version(self) -> int:
        """Policy version that the learner published last, 0: none."""
        return self._policy_version

    def heard(self, phase: Phase, policy_version: int, now_s: float) -> None:
        """A heartbeat came. `now_s` is a monotonic clock."""
        self._phase, self._policy_version, self._heard_s = phase, policy_version, now_s

    def must_stop(self, now_s: float) -> str:
        """Why even a running episode has to end, or ''."""
        if self.fault:
            return self.fault
        if self.paused:
            return "paused by ~/pause"
        if self._phase is not None and now_s - self._heard_s > self.learner_timeout_s:
            return f"parked: no word from the learner for {self.learner_timeout_s:g} s"
        return ""

    def next(self, episode: int, have_version: int, now_s: float) -> tuple[Plan | None, str]:
        """What to do as the actor's `episode`-th episode, or None and why nothing."""
        if reason := self.must_stop(now_s):
            return None, reason
        seed = self._seed * EPISODES_PER_SEED + episode
        if self._phase is None:
            return None, "waiting for the learner's first heartbeat"
        if self._phase is Phase.PRETRAINING:
            return None, "waiting while the learner trains on the demonstrations"
        if self._phase is Phase.FINISHED:
            return None, "finished: the learner has used up its time"
        if self._phase is Phase.DEMONSTRATIONS:
            return Plan(Kind.DEMONSTRATION, seed), ""
        if self._policy_version and not have_version:
            return None, f"waiting for policy version {self._policy_version}"
        return Plan(Kind.TRAINING, seed), ""


class EvaluationCourse:
    """A fixed number of scenes, each tried once; no learner."""

    def __init__(self, episodes: int) -> None:
        self.paused = False
        self._episodes = episodes
        self._done: list[EpisodeSummary] = []

    @property
    def finished(self) -> bool:
        """Every scene was tried."""
        return len(self._done) >= self._episodes

    @property
    def done(self) -> int:
        """Scenes that were tried."""
        return len(self._done)

    def must_stop(self) -> str:
        """Why even a running episode has to end, or ''."""
        return "paused by ~/pause" if self.paused else ""

    def next(self) -> tuple[Plan | None, str]:
        """The next scene, or None and why nothing."""
        if reason := self.must_stop():
            return None, reason
        return Plan(Kind.EVALUATION, FIRST_EVALUATION_SEED + len(self._done)), ""

    def ended(self, summary: EpisodeSummary) -> None:
        """An episode came to its end. One that was interrupted says nothing and is tried again."""
        if not summary.interrupted:
            self._done.append(summary)

    def take_back(self, episode: int) -> None:
        """The result of that episode does not count; its scene is tried again."""
        if self._done and self._done[-1].episode == episode:
            del self._done[-1]

    def results(self) -> dict[str, object]:
        """Success rate and one entry per episode, ready for JSON."""
        episodes = [
            {
                "seed": summary.seed,
                "success": summary.success,
                "steps": summary.steps,
                "duration_s": summary.duration_s,
            }
            for summary in self._done
        ]
        successes = sum(summary.success for summary in self._done)
        return {
            "success_rate": successes / len(episodes) if episodes else None,
            "episodes": episodes,
        }
