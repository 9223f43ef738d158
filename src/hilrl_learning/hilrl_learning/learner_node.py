"""The learner: takes steps in, trains without pause, gives weights out.

This thread receives, stores and publishes. Training has a thread of its own.
"""

import atexit
import fcntl
import os
import sys
import time
from array import array
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import SetBool, Trigger

from hilrl_interfaces.msg import LearnerMetrics, PolicyWeights, StepAck
from hilrl_learning.algorithms import registry
from hilrl_learning.data import DELTA_AXES, ActionSpec, ObservationSpec
from hilrl_learning.messages import serialized_weights
from hilrl_learning.metrics import MetricsWriter
from hilrl_learning.observation_sync import state_names
from hilrl_learning.step_inbox import StepInbox
from hilrl_learning.train_config import TrainConfig
from hilrl_learning.trainer import Trainer
from hilrl_learning.training_thread import TrainingThread
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

POLL_S = 0.05
HEARTBEAT_S = 0.25
RECEIPT_S = 0.1
"""Time between receipts while steps come in; each costs the actor a little of its loop."""
RECEIPT_STEPS = 64
"""So many steps get a receipt at once: an actor that catches up waits for it, see `step_sender.WINDOW`."""
ALONE_S = 3.0
"""How long to look for another learner before being one; see `fast_dds` for how often one is heard."""
SAVE_S = 5.0
"""Longest wait for a checkpoint that was asked for."""
STOP_S = 2.5
"""Longest wait for the trainer to come to the end of a piece of work; a stop has 4 s in all."""

PARAMETERS = (
    Parameter("run_dir", "runs/default", "folder of the run: replay, checkpoints, metrics", read_only=True),
    Parameter("cameras", ["front", "wrist"], "cameras of an observation", read_only=True),
    Parameter("image_size", 128, "height and width of a crop [px]", 8, 4096, read_only=True),
    Parameter("action_axes", ["x", "y", "z"], "axes that the policy moves",
              choices=DELTA_AXES, read_only=True),
)  # fmt: skip


def dataclass_parameters(config_class: type, prefix: str = "") -> tuple[Parameter, ...]:
    """One parameter per field, fixed once the run has started but for those marked tunable."""
    return tuple(
        Parameter(
            prefix + field.name,
            field.default_factory() if field.default is MISSING else field.default,
            field.metadata["description"],
            field.metadata.get("minimum"),
            field.metadata.get("maximum"),
            read_only=not field.metadata.get("tunable", False),
        )
        for field in fields(config_class)
    )


def dataclass_from(config_class: type, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Inverse of `dataclass_parameters`."""
    return config_class(**{field.name: values[prefix + field.name] for field in fields(config_class)})


def lock(run_dir: Path) -> int:
    """Keep other learners out of a run for as long as this process lives.

    Raises ValueError when one is there.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(run_dir / "learner.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(
            f"run_dir {run_dir}: expected to be the only learner that writes here, another one does; "
            f"stop it, or choose another run_dir"
        ) from None
    return descriptor


class Learner(Node):
    """Wires topics to the receiver and the training thread."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter or the run folder is refused, or another learner is there."""
        super().__init__("learner", **kwargs)
        started_s = time.monotonic()
        self._refuse_second_learner(until_s=started_s)
        params = Parameters(self, (*PARAMETERS, *dataclass_parameters(TrainConfig)), on_change=self._retune)
        config: TrainConfig = dataclass_from(TrainConfig, params.values)
        algorithm_class = registry.algorithm(config.algorithm).config_class
        prefix = f"{config.algorithm}."
        settings = Parameters(self, dataclass_parameters(algorithm_class, prefix))
        size = (params["image_size"], params["image_size"])
        self._spec = ObservationSpec(state_names(), tuple(params["cameras"]), size)
        self._config = config
        run_dir = Path(params["run_dir"])
        self._lock = lock(run_dir)
        self._trainer = Trainer(
            config,
            dataclass_from(algorithm_class, settings.values, prefix),
            self._spec,
            ActionSpec(tuple(params["action_axes"])),
            run_dir,
        )
        for reason in self._trainer.restore():
            self.get_logger().error(reason)
        # Discovery may take its time; this look is the last before anything is said.
        self._refuse_second_learner(until_s=started_s + ALONE_S)
        self._metrics = MetricsWriter(run_dir, config.tracker)
        self._training = TrainingThread(
            self._trainer, self._metrics, on_policy=self.create_guard_condition(self._on_poll).trigger
        )
        self._published_version = 0
        self._acked: dict[str, int] = {}
        """What the last receipt said."""
        self._acked_s = 0.0
        self._asked: set[str] = set()
        """Actors that the last receipt asked for something again."""

        self._policies = self.create_publisher(PolicyWeights, "/learner/policy", qos.LATCHED)
        self._acks = self.create_publisher(StepAck, "/learner/ack", qos.EVENTS)
        self._numbers = self.create_publisher(LearnerMetrics, "/learner/metrics", qos.EVENTS)
        self._inbox = StepInbox(
            self, self._spec, run_dir, self._trainer.received(), self._trainer.add, self._on_steps
        )
        self._receiver = self._inbox.receiver
        self.create_service(Trigger, "~/save_checkpoint", self._on_save)
        self.create_service(SetBool, "~/pause", self._on_pause)
        self.create_service(Trigger, "~/request_policy", self._on_request)
        self.create_timer(POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.diagnostics.ask(self._diagnose)
        self._training.start()
        self.get_logger().info(
            f"{config.algorithm} in {run_dir}: {self._trainer.env_steps} steps, "
            f"{self._trainer.critic_updates} updates so far"
        )

    def _retune(self, values: Mapping[str, Any]) -> None:
        # The training thread reads it anew for every piece of work.
        self._trainer.config = dataclass_from(TrainConfig, values)

    def _diagnose(self, report: Report) -> None:
        if fault := self._training.disk_fault:
            report.error(f"cannot write, trying again: {fault}")
        self._inbox.diagnose(report)
        snapshot = self._training.snapshot
        report.values["phase"] = snapshot.phase.name.lower()
        report.values["demonstrations"] = f"{snapshot.demonstrations} of {self._config.demonstrations}"
        report.values["critic updates"] = snapshot.critic_updates
        report.values["policy version"] = self._published_version

    def _refuse_second_learner(self, until_s: float) -> None:
        while True:
            if self.count_publishers("/learner/policy") or self.count_publishers("/learner/ack"):
                raise ValueError(
                    "/learner: expected to be the only one that takes steps, a learner or recorder does "
                    "already; stop it, or use another ROS_DOMAIN_ID"
                )
            if time.monotonic() >= until_s:
                return
            time.sleep(0.05)

    def _on_steps(self) -> None:
        """Some steps came: a gap is reported at once, and so is much progress."""
        self._training.wake()
        progress = sum(self._receiver.received.values()) - sum(self._acked.values())
        if progress >= RECEIPT_STEPS or self._gaps() - self._asked:
            self._publish_ack(time.monotonic())

    def _gaps(self) -> set[str]:
        """Actors of which something is missing."""
        return {actor_id for actor_id, lacking in self._receiver.lacking.items() if lacking}

    def _on_poll(self) -> None:
        now_s = time.monotonic()
        if self._training.failure is not None:
            raise self._training.failure
        snapshot = self._training.snapshot
        if snapshot.policy is not None and snapshot.policy[0] != self._published_version:
            self._publish_policy()
        news = self._receiver.received != self._acked
        if now_s - self._acked_s >= (RECEIPT_S if news else HEARTBEAT_S):
            self._publish_ack(now_s)
        if fault := self._training.disk_fault:
            self.get_logger().error(f"cannot write, trying again: {fault}", throttle_duration_sec=5.0)
        if (values := self._training.values()) is not None:
            self._publish_metrics(values)

    def _publish_policy(self) -> None:
        snapshot = self._training.snapshot
        version, payload = snapshot.policy
        self._policies.publish(
            serialized_weights(
                payload,
                version,
                snapshot.critic_updates,
                self._config.algorithm,
                self._header().stamp,
            )
        )
        self._published_version = version

    def _publish_ack(self, now_s: float) -> None:
        """Only what is stored is acknowledged: an actor deletes its copy."""
        snapshot = self._training.snapshot
        received, lacking = self._receiver.received, self._receiver.lacking
        self._acks.publish(
            StepAck(
                header=self._header(),
                actor_ids=list(received),
                sequences=array("Q", received.values()),
                lacking=array("Q", lacking.values()),
                policy_version=self._published_version,
                phase=snapshot.phase,
                demonstrations=snapshot.demonstrations,
                demonstrations_wanted=self._config.demonstrations,
            )
        )
        self._acked, self._asked, self._acked_s = received, self._gaps(), now_s

    def _publish_metrics(self, values: dict[str, float]) -> None:
        own = {name: values[name] for name in LearnerMetrics.get_fields_and_field_types() if name in values}
        others = {name: value for name, value in values.items() if name not in own}
        self._numbers.publish(
            LearnerMetrics(
                header=self._header(),
                names=list(others),
                values=array("d", others.values()),
                **own,
            )
        )

    def _header(self) -> Any:
        header = LearnerMetrics().header
        header.stamp = self.get_clock().now().to_msg()
        return header

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # Waits here: a coroutine that awaits the other thread keeps rclpy's executor from everything else.
        try:
            response.message = str(self._training.save().result(SAVE_S))
            response.success = True
        except (OSError, TimeoutError) as error:
            response.message = f"no checkpoint: {error or f'still busy after {SAVE_S} s'}"
        return response

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._training.pause(request.data)
        response.success = True
        response.message = "paused: steps are stored, none are trained on" if request.data else "goes on"
        return response

    def _on_request(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._published_version > 0
        response.message = f"version {self._published_version}" if response.success else "no policy yet"
        if response.success:
            self._publish_policy()
        return response

    def close(self) -> None:
        """Called by `run_node` at the end: leave a checkpoint to go on from."""
        if not self._training.stop(STOP_S):
            print(f"learner: still busy after {STOP_S} s, the last checkpoint stands", file=sys.stderr)
            # Torch would abort where the interpreter goes away below its thread.
            atexit.register(os._exit, 0)
            return
        if self._training.failure is None:
            try:
                self._trainer.close()
            except OSError as error:
                print(f"learner: no checkpoint, the last one stands: {error}", file=sys.stderr)
        self._metrics.close()


def main() -> None:
    """Entry point."""
    run_node(Learner)
