"""What ties an actor to the learner: steps out, receipts and weights in."""

import time
from collections import deque
from pathlib import Path

from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_srvs.srv import Trigger

from hilrl_interfaces.msg import PolicyWeights, StepAck
from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.course import Plan, TrainingCourse
from hilrl_learning.data import ActionSpec, ObservationSpec, Step
from hilrl_learning.episode_loop import EpisodeSummary
from hilrl_learning.messages import check_actor_id, step_to_message, weights_from_message
from hilrl_learning.policy import Policy
from hilrl_learning.policy_slot import PolicySlot
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import WINDOW, StepSender
from hilrl_learning.trainer import Phase
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report

DISK_REFUSES = "holding until the spool can be written"


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
        """Raises ValueError when the spool cannot be used, or `actor_id` is not fit for a name."""
        check_actor_id(actor_id)
        self.course = course
        self.policy: Policy | None = None
        self._node = node
        self._actor_id = actor_id
        self._spec = observation
        self._base_frame = base_frame
        self._spool = Spool(run_dir / "spool" / actor_id)
        self._unwritten: deque[tuple[int, int, bytes]] = deque()
        """Sequence, episode and payload of steps that the disk refused; few, as the arm holds meanwhile."""
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
        if self._unwritten:
            return None, DISK_REFUSES
        have = self.policy.version if self.policy else 0
        return self.course.next(episode, have, time.monotonic())

    def must_stop(self) -> str:
        """Why even a running episode has to end, or ''."""
        return DISK_REFUSES if self._unwritten else self.course.must_stop(time.monotonic())

    def keep(self, step: Step) -> None:
        """On disk first, then on its way."""
        payload = serialize_message(step_to_message(step, self._spec, self._base_frame))
        self._unwritten.append((step.sequence, step.episode, payload))
        if len(self._unwritten) == 1:
            self._write()

    def ended(self, summary: EpisodeSummary) -> None:
        """Nothing to do: all is in the steps."""

    def take_back(self, episode: int) -> None:
        """Its steps are with the learner, which keeps them."""

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
        if self._unwritten:
            self._write()
        self._pump(now_s)
        wanted = self.course.wanted_version
        if self._slot.should_ask(wanted, now_s) and self._request.service_is_ready():
            self._node.get_logger().warning(f"policy version {wanted} did not arrive: asking for it")
            self._request.call_async(Trigger.Request())

    def diagnose(self, report: Report) -> None:
        """What waits for the learner, and what keeps it from it."""
        report.values["steps without a receipt"] = self._sender.lag
        report.values["steps that the disk refused"] = len(self._unwritten)
        if self._unwritten:
            report.error(DISK_REFUSES)
        if self.course.fault:
            report.error(self.course.fault)
        elif self._sender.lag > WINDOW:
            report.warn(
                f"{self._sender.lag} steps wait for the learner: it is away, or too slow for this arm"
            )

    def close(self) -> None:
        """Let go of files and the worker thread."""
        if self._unwritten:
            self._node.get_logger().error(
                f"{len(self._unwritten)} steps are lost: the disk did not take them"
            )
        self._slot.close()
        self._spool.close()

    def _write(self) -> None:
        """Put into the spool what it takes."""
        while self._unwritten:
            try:
                self._spool.append(*self._unwritten[0])
            except OSError as error:
                self._node.get_logger().error(
                    f"{DISK_REFUSES}, {len(self._unwritten)} steps wait: {error}", throttle_duration_sec=10.0
                )
                return
            _, _, payload = self._unwritten.popleft()
            if self._steps.get_subscription_count():
                self._sender.appended(payload, time.monotonic())

    def _pump(self, now_s: float) -> None:
        # Publishing before the subscriber is matched would send into the void.
        if self._sender.lag and self._steps.get_subscription_count():
            self._sender.pump(now_s)

    def _on_ack(self, message: StepAck) -> None:
        counts = [len(message.actor_ids), len(message.sequences), len(message.lacking)]
        if len(set(counts)) > 1 or message.phase not in tuple(Phase):
            self._node.get_logger().error(
                f"ack: expected as many actor_ids as sequences and lacking and a phase of "
                f"{[*map(int, Phase)]}, got {counts} and {message.phase}",
                throttle_duration_sec=5.0,
            )
            return
        now_s = time.monotonic()
        acks = {
            actor_id: (sequence, lacking)
            for actor_id, sequence, lacking in zip(
                message.actor_ids, message.sequences, message.lacking, strict=True
            )
        }
        sequence, lacking = acks.get(self._actor_id, (0, 0))
        fault = self._sender.acknowledged(sequence, lacking, now_s)
        if lacking:
            self._pump(now_s)
        if fault and fault != self.course.fault:
            self._node.get_logger().error(fault)
        self.course.fault = fault
        self.course.heard(Phase(message.phase), message.policy_version, now_s)

    def _on_policy(self, message: PolicyWeights) -> None:
        try:
            self._slot.offer(weights_from_message(message))
        except ValueError as error:
            self._node.get_logger().error(
                f"policy version {message.version}: refused, the old one stays: {error}",
                throttle_duration_sec=5.0,
            )
