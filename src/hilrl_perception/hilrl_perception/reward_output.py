"""What every reward node of this package says and hears: `reward` out, `episode` in."""

from collections.abc import Callable

from std_msgs.msg import Header

from hilrl_interfaces.msg import Episode, RewardEstimate
from hilrl_perception.reward_guard import ANY_RAD, ANYWHERE_M
from hilrl_perception.reward_judge import Answer, RewardJudge
from hilrl_ros import qos
from hilrl_ros.joint_messages import BASE_FRAME
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter
from hilrl_ros.stamps import from_ns

BOUND_PARAMETERS = (
    Parameter("gripper_range", [-ANY_RAD, ANY_RAD], "measured jaw angle of a success: from, to [rad]",
              -ANY_RAD, ANY_RAD, length=2),
    Parameter("gripper_target_range", [-ANY_RAD, ANY_RAD], "commanded jaw angle of a success: from, to [rad]",
              -ANY_RAD, ANY_RAD, length=2),
    Parameter("ee_min", [-ANYWHERE_M] * 3, "lower corner of the TCP's box of a success, base frame [m]",
              -ANYWHERE_M, ANYWHERE_M, length=3),
    Parameter("ee_max", [ANYWHERE_M] * 3, "upper corner [m]", -ANYWHERE_M, ANYWHERE_M, length=3),
)  # fmt: skip
"""Where the arm has to be; the defaults allow everything."""


class RewardOutput:
    """Publishes answers, and tells the judge of episodes."""

    def __init__(
        self,
        node: Node,
        judge: RewardJudge,
        source: str,
        on_episode: Callable[[Episode], None] | None = None,
    ) -> None:
        """`source`: as in `RewardEstimate`. `on_episode` is called after the judge has been told."""
        self._judge, self._source, self._on_episode = judge, source, on_episode
        self._logger = node.get_logger()
        # Before what is judged: of what is ready at once, the episode is taken first.
        node.create_subscription(Episode, "episode", self._take_episode, qos.EVENTS)
        self._publisher = node.create_publisher(RewardEstimate, "reward", qos.EVENTS)

    def publish(self, answer: Answer) -> None:
        """Say it."""
        self._publisher.publish(
            RewardEstimate(
                header=Header(stamp=from_ns(answer.stamp_ns), frame_id=BASE_FRAME),
                reward=answer.reward,
                success=answer.success,
                probability=answer.probability,
                source=self._source,
            )
        )
        if answer.suppressed:
            self._logger.info(
                f"no success: {answer.suppressed} ({self._judge.suppressed} so far)",
                throttle_duration_sec=5.0,
            )

    def repeat(self, stamp_ns: int) -> bool:
        """Say again what was said of this stamp; False where nothing was."""
        if (known := self._judge.answered(stamp_ns)) is None:
            return False
        self.publish(known)
        return True

    def _take_episode(self, message: Episode) -> None:
        if message.finished:
            self._judge.end()
        else:
            self._judge.begin()
        if self._on_episode is not None:
            self._on_episode(message)
