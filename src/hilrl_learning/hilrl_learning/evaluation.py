"""Mode `evaluate` of the actor: a policy from a file, fixed scenes, results as JSON. No learner."""

import json
from pathlib import Path

from hilrl_learning.course import EvaluationCourse, Plan
from hilrl_learning.data import ActionSpec, ObservationSpec, Step
from hilrl_learning.episode_loop import EpisodeSummary
from hilrl_learning.episode_video import EpisodeVideo
from hilrl_learning.policy import Policy, load_policy
from hilrl_learning.policy_slot import check_spec
from hilrl_ros.diagnostics import Report


class Evaluation:
    """Tries each scene once with the deterministic policy."""

    explores = False

    def __init__(
        self, policy: Policy, episodes: int, result_file: Path, video: EpisodeVideo | None = None
    ) -> None:
        """Without a `video`, nothing is filmed."""
        self.course = EvaluationCourse(episodes)
        self.policy: Policy | None = policy
        self.last_numbers = (0, 0)
        self._result_file, self._video = result_file, video

    @property
    def finished(self) -> bool:
        """The process may end."""
        return self.course.finished

    def next(self, episode: int) -> tuple[Plan | None, str]:
        """The next scene, or None and why nothing."""
        return self.course.next()

    def must_stop(self) -> str:
        """Why even a running episode has to end, or ''."""
        return self.course.must_stop()

    def keep(self, step: Step) -> None:
        """Nobody trains on it; numbering goes on."""
        self.last_numbers = (step.sequence, step.episode)
        if self._video is not None:
            self._video.add(step.observation.images)

    def ended(self, summary: EpisodeSummary) -> None:
        """Results so far are on disk after every episode, written aside and renamed."""
        self.course.ended(summary)
        if self._video is not None:
            self._video.end(summary.success)
        self._write()

    def take_back(self, episode: int) -> None:
        """An operator wants that episode once more: its result does not count."""
        self.course.take_back(episode)
        self._write()

    def _write(self) -> None:
        self._result_file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._result_file.with_suffix(".new")
        aside.write_text(json.dumps(self.course.results(), indent=1))
        aside.rename(self._result_file)

    def swap_policy(self) -> None:
        """The policy stays."""

    def poll(self) -> None:
        """Nothing goes on beside the episodes."""

    def diagnose(self, report: Report) -> None:
        """How far it is."""
        report.values["scenes tried"] = self.course.done

    def close(self) -> None:
        """Results are on disk already."""


def policy_from_file(path: Path, observation: ObservationSpec, action: ActionSpec) -> Policy:
    """Raises ValueError, naming the parameter, when the file is not a policy for this actor."""
    try:
        policy = load_policy(path.read_bytes(), int(path.parent.name) if path.parent.name.isdigit() else 0)
        check_spec(policy.spec, observation, action)
    except (OSError, ValueError) as error:
        raise ValueError(f"policy_file {path}: {error}") from error
    return policy
