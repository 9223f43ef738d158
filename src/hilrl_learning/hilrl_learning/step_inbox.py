"""The learner's end of the steps' topic: from messages to stored steps, on the thread that spins the node."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.data import ObservationSpec, Step
from hilrl_learning.messages import step_from_message
from hilrl_learning.receiver import StepReceiver
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.node import Node

DRAIN = 32
"""Steps taken per wake-up of rclpy's executor, whose own work for a wake-up costs more than a step does."""

RESERVE_BYTES = 256 << 20
"""Disk space below which no step is stored: a memory-mapped file that cannot grow kills its process, and
features of the steps that are here, checkpoints and logs want room too."""


class StepInbox:
    """Checks, orders and stores what comes; says once per few seconds what it cannot take, and why."""

    def __init__(
        self,
        node: Node,
        spec: ObservationSpec,
        folder: Path,
        received: Mapping[str, int],
        store: Callable[[Step], None],
        on_batch: Callable[[], None],
    ) -> None:
        """`store` keeps a step in `folder`; `on_batch` is called after every few steps that came."""
        self.receiver = StepReceiver(received, self._store_if_there_is_room)
        self._store = store
        self._node, self._spec, self._folder = node, spec, folder
        self._on_batch = on_batch
        self._fault = ""
        """Why the last step could not be stored."""
        self._subscription = node.create_subscription(StepMessage, "/learner/steps", self._on_step, qos.STEPS)

    def _on_step(self, message: StepMessage) -> None:
        self._take(message)
        handle = self._subscription.handle
        with handle:
            for _ in range(DRAIN - 1):
                taken = handle.take_message(StepMessage, False)
                if taken is None:
                    break
                self._take(taken[0])
        self._on_batch()

    def diagnose(self, report: Report) -> None:
        """What there is to say of what came in."""
        counts = self.receiver.counts
        report.values["steps stored"] = counts.accepted
        report.values["steps that came twice"] = counts.duplicates
        report.values["steps missing"] = sum(self.receiver.lacking.values())
        if self._fault:
            report.error(f"steps are not stored, actors keep them: {self._fault}")

    def _take(self, message: StepMessage) -> None:
        try:
            step = step_from_message(message, self._spec)
        except ValueError as error:
            self._node.diagnostics.refused(f"step of {message.actor_id!r}: {error}")
            self._node.get_logger().error(
                f"step {message.sequence} of {message.actor_id!r} refused: {error}",
                throttle_duration_sec=5.0,
            )
            return
        try:
            self.receiver.add(step)
            self._fault = ""
        except (OSError, ValueError) as error:
            self._fault = str(error)
            self._node.get_logger().error(
                f"steps are not stored, actors keep them: {error}", throttle_duration_sec=5.0
            )

    def _store_if_there_is_room(self, step: Step) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free < RESERVE_BYTES:
            raise OSError(
                f"{self._folder}: expected at least {RESERVE_BYTES >> 20} MiB of free disk space, "
                f"got {free >> 20} MiB; make room, and it goes on"
            )
        self._store(step)
