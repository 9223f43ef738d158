"""What ties an actor to the learner: steps out, receipts and weights in."""

import time
from pathlib import Path

from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_srvs.srv import Trigger

from hilrl_interfaces.msg import PolicyWeights, StepAck
from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.course import Plan, TrainingCourse
from hilrl_learning.data import ActionSpec, ObservationSpec, Step
from hilrl_learning.episode_loop import EpisodeSummary
from hilrl_learning.messages import step_to_message
from hilrl_learning.policy import Policy
from hilrl_learning.policy_slot import PolicySlot, Weights
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import StepSender
from hilrl_learning.trainer import Phase
from hilrl_ros import qos


class TrainingLink:
    """Mode `train` of the actor."""

    explores = True
    finished = False
    """It lives on when the learner is done, to deliver what it may still lack."""

    def __init__(
        self,
        node: Node,
        actor_id: str,
        run_dir: Path,
        observation: ObservationSpec,
        action: ActionSpec,
        course: TrainingCourse,
        base_frame: str,
    ) -> None:
        """Raises ValueError when the spool cannot be used."""
        self.course = course
        self.policy: Policy | None = None
        self._node = node
        self._actor_id = actor_id
        self._spec = observation
        self._base_frame = base_frame
        self._spool = Spool(run_dir / "spool" / actor_id)
        self._steps = node.create_publisher(StepMessage, "/learner/steps", qos.STEPS)
        self._sender = StepSender(self._spool, self._steps.publish)
        self._slot = PolicySlot(observation, action)
        self._request = node.create_client(Trigger, "/learner/request_policy")
        node.create_subscription(StepAck, "/learner/ack", self._on_ack, qos.EVENTS)
        node.create_subscription(PolicyWeights, "/learner/policy", self._on_policy, qos.LATCHED)

    @property
    def last_numbers(self) -> tuple[int, int]:
        """Sequence and episode of the newest step ever made."""
        return self._spool.last_sequence, self._spool.last_episode

    def next(self, episode: int) -> tuple[Plan | None, str]:
        """The next episode, or None and why nothing."""
        have = self.policy.version if self.policy else 0
        return self.course.next(episode, have, time.monotonic())

    def must_stop(self) -> str:
        """Why even a running episode has to end, or ''."""
        return self.course.must_stop(time.monotonic())

    def keep(self, step: Step) -> None:
        """On disk first, then on its way."""
        payload = serialize_message(step_to_message(step, self._spec, self._base_frame))
        self._spool.append(step.sequence, step.episode, payload)
        self._sender.appended(payload, time.monotonic())

    def ended(self, summary: EpisodeSummary) -> None:
        """Nothing to do: all is in the steps."""

    def swap_policy(self) -> None:
        """Between two steps: take the newest usable weights."""
        policy, refusal = self._slot.take()
        if refusal:
            self._node.get_logger().error(refusal)
        if policy is not None:
            self.policy = policy

    def poll(self) -> None:
        """Send what waits, ask for what is missing."""
        now_s = time.monotonic()
        # Publishing before the subscriber is matched would send into the void.
        if self._sender.lag and self._steps.get_subscription_count():
            self._sender.pump(now_s)
        wanted = self.course.wanted_version
        if self._slot.should_ask(wanted, now_s) and self._request.service_is_ready():
            self._node.get_logger().warning(f"policy version {wanted} did not arrive: asking for it")
            self._request.call_async(Trigger.Request())

    def close(self) -> None:
        """Let go of files and the worker thread."""
        self._slot.close()
        self._spool.close()

    def _on_ack(self, message: StepAck) -> None:
        if len(message.actor_ids) != len(message.sequences) or message.phase not in tuple(Phase):
            self._node.get_logger().error(
                f"ack: expected as many actor_ids as sequences and a phase of {[*map(int, Phase)]}, got "
                f"{len(message.actor_ids)}, {len(message.sequences)} and {message.phase}",
                throttle_duration_sec=5.0,
            )
            return
        now_s = time.monotonic()
        acks = dict(zip(message.actor_ids, message.sequences, strict=True))
        fault = self._sender.acknowledged(acks.get(self._actor_id, 0), now_s)
        if fault and fault != self.course.fault:
            self._node.get_logger().error(fault)
        self.course.fault = fault
        self.course.heard(Phase(message.phase), message.policy_version, now_s)

    def _on_policy(self, message: PolicyWeights) -> None:
        self._slot.offer(Weights(message.version, message.sha256.tobytes(), message.data.tobytes()))
