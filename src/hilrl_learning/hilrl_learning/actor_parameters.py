"""The parameters of the actor."""

from hilrl_learning.data import DELTA_AXES
from hilrl_ros.parameters import Parameter

PARAMETERS = (
    Parameter("mode", "train", "train with the learner, or evaluate a policy alone",
              choices=("train", "evaluate"), read_only=True),
    Parameter("actor_id", "arm", "unique per arm; names its steps and its spool", read_only=True),
    Parameter("lockstep", True, "act on every observation of a new stamp; false: on a timer", read_only=True),
    Parameter("control_hz", 10.0, "control rate [Hz]", 0.1, 1000.0, read_only=True),
    Parameter("cameras", ["front", "wrist"], "cameras of an observation", read_only=True),
    Parameter("image_size", 128, "height and width of a crop [px]", 8, 4096, read_only=True),
    Parameter("action_axes", ["x", "y", "z"], "axes that the policy moves",
              choices=DELTA_AXES, read_only=True),
    Parameter("max_age_s", 0.2, "real time: an older camera or joint state is stale [s]", 0.01, 10.0),
    Parameter("max_episode_steps", 60, "an episode is truncated after so many steps", 1, 1_000_000),
    Parameter("seed", 0, "of exploration and of the scenes", 0, read_only=True),
    Parameter("sim_reset", True, "start episodes with sim/reset; false: with ee_controller/go_home",
              read_only=True),
    Parameter("reset_service", "", "std_srvs/Trigger to be called before that, to put things back; '': none",
              read_only=True),
    Parameter("reset_timeout_s", 30.0, "longest wait for reset_service; then it goes on without [s]",
              0.1, 3600.0),
    Parameter("veto_s", 0.0, "a success by the reward can be labelled FAILURE for so long; the next "
              "episode waits [s]", 0.0, 600.0),
    Parameter("run_dir", "runs/default", "folder of the run: spool, results", read_only=True),
    Parameter("learner_timeout_s", 60.0, "park after so much silence of the learner [s]", 1.0, 1e6),
    Parameter("policy_file", "", "evaluate: policy.safetensors of a checkpoint", read_only=True),
    Parameter("evaluation_episodes", 50, "evaluate: scenes to try", 1, 1_000_000, read_only=True),
    Parameter("result_file", "evaluation_results.json", "evaluate: results, relative to run_dir",
              read_only=True),
    Parameter("videos", 0, "evaluate: episodes to film as the policy sees them", 0, 1_000_000,
              read_only=True),
    Parameter("video_prefix", "videos/episode", "evaluate: start of the films' paths, relative to run_dir",
              read_only=True),
    Parameter("base_frame", "base_link", "frame of the actions", read_only=True),
)  # fmt: skip
