"""What an actor works for: the learner, or the results of an evaluation."""

from pathlib import Path

from rclpy.node import Node

from hilrl_learning.course import TrainingCourse
from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.episode_video import EpisodeVideo
from hilrl_learning.evaluation import Evaluation, policy_from_file
from hilrl_learning.training_link import TrainingLink
from hilrl_ros.parameters import Parameters


def make_mode(
    node: Node, params: Parameters, observation: ObservationSpec, action: ActionSpec
) -> TrainingLink | Evaluation:
    """By the parameter `mode`. Raises ValueError where a file that it names is refused."""
    run_dir = Path(params["run_dir"])
    if params["mode"] == "train":
        course = TrainingCourse(params["seed"], params["learner_timeout_s"])
        base_frame = params["base_frame"]
        return TrainingLink(node, params["actor_id"], run_dir, observation, action, course, base_frame)
    return Evaluation(
        policy_from_file(Path(params["policy_file"]), observation, action),
        params["evaluation_episodes"],
        run_dir / params["result_file"],
        EpisodeVideo(run_dir / params["video_prefix"], params["videos"], params["control_hz"]),
    )
