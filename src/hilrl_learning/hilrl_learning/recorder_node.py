"""The recorder: a learner that only keeps. Steps in, a LeRobotDataset out."""

import time
from array import array
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from hilrl_interfaces.msg import Episode, StepAck
from hilrl_learning.data import DELTA_AXES, ObservationSpec
from hilrl_learning.lerobot.features import Schema
from hilrl_learning.lerobot.recording import Recording
from hilrl_learning.observation_sync import state_names
from hilrl_learning.step_inbox import StepInbox
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

POLL_S = 0.05
HEARTBEAT_S = 0.25
RECEIPT_S = 0.1
"""Time between receipts while steps come in."""
RECEIPT_STEPS = 64
"""So many steps get a receipt at once, see `step_sender.WINDOW`."""
ALONE_S = 3.0
"""How long to look for a learner before being one; see `fast_dds` for how often one is heard."""
DROP_S = 5.0
"""Longest wait for an episode to be dropped: those before it may have to be written first."""
STOP_S = 3.0
"""Longest wait for episodes to be written at the end; a stop has 4 s in all."""

PARAMETERS = (
    Parameter("dataset", "datasets/default", "folder of the dataset, new or one to go on with",
              read_only=True),
    Parameter("task_text", "", "sentence that says what the episodes show", read_only=True),
    Parameter("episodes", 0, "tell the actors to stop when the dataset has so many, 0: never",
              0, 1_000_000, read_only=True),
    Parameter("cameras", ["front", "wrist"], "cameras of an observation", read_only=True),
    Parameter("image_size", 128, "height and width of a crop [px]", 8, 4096, read_only=True),
    Parameter("action_axes", ["x", "y", "z"], "axes that are moved", choices=DELTA_AXES, read_only=True),
    Parameter("control_hz", 10.0, "control rate, frames per second [Hz]", 0.1, 1000.0, read_only=True),
    Parameter("step_m", 0.02, "step_m of ee_controller: how far a delta of 1 goes [m]",
              0.001, 0.1, read_only=True),
    Parameter("step_rad", 0.1, "step_rad of ee_controller: how far a delta of 1 turns [rad]",
              0.005, 0.5, read_only=True),
)  # fmt: skip


class Recorder(Node):
    """Wires the topics of the learner to a `Recording`."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter or the dataset is refused, or a learner is there."""
        super().__init__("recorder", **kwargs)
        started_s = time.monotonic()
        params = Parameters(self, PARAMETERS)
        root = Path(params["dataset"])
        spec = ObservationSpec(state_names(), tuple(params["cameras"]), (params["image_size"],) * 2)
        schema = Schema(
            spec, params["control_hz"], params["step_m"], params["step_rad"], tuple(params["action_axes"])
        )
        self._refuse_learner(until_s=started_s + ALONE_S)
        self._recording = Recording(
            root, schema, params["task_text"], params["episodes"], self.get_logger().info
        )
        self._episodes: int = params["episodes"]
        self._acked: dict[str, int] = {}
        """What the last receipt said."""
        self._acked_s = float("-inf")
        self._asked: set[str] = set()
        """Actors that it asked for something again."""
        self._said = (-1, False)
        """Episodes and end that the last receipt told of."""
        self._acks = self.create_publisher(StepAck, "/learner/ack", qos.EVENTS)
        self._inbox = StepInbox(
            self, spec, root, self._recording.received, self._recording.add, self._on_steps
        )
        self.create_subscription(Episode, "episode", self._on_episode, qos.EVENTS)
        self.create_service(Trigger, "~/drop_last", self._on_drop_last)
        self.create_timer(POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.diagnostics.ask(self._diagnose)
        self.get_logger().info(f"{root}: {self._recording.committed} episodes so far")

    def _diagnose(self, report: Report) -> None:
        if fault := self._recording.fault:
            report.error(f"cannot write: {fault}")
        self._inbox.diagnose(report)
        report.values["episodes in the dataset"] = self._recording.committed

    def _refuse_learner(self, until_s: float) -> None:
        """An actor deletes what is acknowledged: only one may do that."""
        while True:
            if self.count_publishers("/learner/ack"):
                raise ValueError(
                    "/learner/ack: expected to be the only one that takes steps, a learner or recorder "
                    "does already; stop it, or use another ROS_DOMAIN_ID"
                )
            if time.monotonic() >= until_s:
                return
            time.sleep(0.05)

    def _on_steps(self) -> None:
        progress = sum(self._inbox.receiver.received.values()) - sum(self._acked.values())
        # The end is told at once: the next episode would be for nothing.
        if progress >= RECEIPT_STEPS or self._gaps() - self._asked or self._news() != self._said:
            self._publish_ack()

    def _on_poll(self) -> None:
        self._recording.poll()
        if fault := self._recording.fault:
            self.get_logger().error(f"cannot write, trying again: {fault}", throttle_duration_sec=5.0)
        moved = self._inbox.receiver.received != self._acked or self._news() != self._said
        if time.monotonic() - self._acked_s >= (RECEIPT_S if moved else HEARTBEAT_S):
            self._publish_ack()

    def _gaps(self) -> set[str]:
        """Actors of which something is missing."""
        return {actor_id for actor_id, lacking in self._inbox.receiver.lacking.items() if lacking}

    def _news(self) -> tuple[int, bool]:
        return self._recording.committed, self._recording.finished

    def _publish_ack(self) -> None:
        """Only what is on disk is acknowledged: an actor deletes its copy."""
        received, lacking = self._inbox.receiver.received, self._inbox.receiver.lacking
        committed, finished = self._news()
        self._acks.publish(
            StepAck(
                header=Header(stamp=self.get_clock().now().to_msg()),
                actor_ids=list(received),
                sequences=array("Q", received.values()),
                lacking=array("Q", [lacking[actor_id] for actor_id in received]),
                phase=StepAck.PHASE_FINISHED if finished else StepAck.PHASE_DEMONSTRATIONS,
                demonstrations=committed,
                demonstrations_wanted=self._episodes,
            )
        )
        self._acked, self._said = received, (committed, finished)
        self._asked, self._acked_s = self._gaps(), time.monotonic()

    def _on_episode(self, message: Episode) -> None:
        """An episode begins: of which scene, is nowhere else."""
        if message.finished:
            return
        try:
            self._recording.note_seed(message.actor_id, message.episode, message.seed)
        except (OSError, ValueError) as error:
            self.get_logger().error(f"seed not kept: {error}", throttle_duration_sec=5.0)

    def _on_drop_last(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            index = self._recording.drop_last().result(DROP_S)
        except (OSError, ValueError, TimeoutError) as error:
            response.message = str(error) or f"still busy after {DROP_S} s"
        else:
            response.success, response.message = True, f"dropped episode {index}"
        return response

    def close(self) -> None:
        """Called by `run_node` at the end."""
        if not self._recording.close(STOP_S):
            self.get_logger().warning(
                f"still writing after {STOP_S} s: what is missing is written at the next start"
            )


def main() -> None:
    """Entry point."""
    run_node(Recorder)
