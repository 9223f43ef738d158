"""Records topics of the running graph, as they are, for Foxglove, PlotJuggler or `ros2 bag`."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import rclpy.node
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.mcap_file import Channel
from hilrl_ros.mcap_recording import McapRecording
from hilrl_ros.message_definition import full_definition, message_class
from hilrl_ros.node import Node
from hilrl_ros.offered_qos import Offer, as_yaml, offer_of, request_for
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_ros.topic_choice import ALL, chosen_topics, is_of_all

LOOK_S = 0.5
"""Time between two looks at who publishes."""
MISSED_S = 10.0
"""A topic that has no publisher for so long is worth a warning: some nodes take seconds to start [s]."""
STOP_S = 3.0
"""Longest wait for the file to be completed at the end; a stop has 4 s in all."""

PARAMETERS = (
    Parameter("topics", ALL, "names separated by commas, relative ones in the robot's namespace; all: every "
              "topic but the cameras' raw images", read_only=True),
    Parameter("folder", "mcap", "where the files are written, named by the time (UTC)", read_only=True),
    Parameter("keep_free_mb", 1000, "write nothing while less disk space is free [MiB]",
              0, 10_000_000, read_only=True),
)  # fmt: skip


class McapRecorder(Node):
    """Subscribes to what is published and hands it on, undecoded, to an `McapRecording`."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("mcap_recorder", **kwargs)
        params = Parameters(self, PARAMETERS)
        names = chosen_topics(params["topics"], "topics")
        self._takes_all = ALL in names
        self._named = [self.resolve_topic_name(name) for name in names if name != ALL]
        self._offers: dict[str, set[Offer]] = {}
        """All that was ever offered, by topic: what is asked for gets less and never more again."""
        self._hearing: dict[str, Subscription] = {}
        self._refused: dict[str, str] = {}
        """Why a topic cannot be recorded."""
        self._recording = McapRecording(
            Path(params["folder"]), params["keep_free_mb"] << 20, self.get_logger().error
        )
        self._started_s = time.monotonic()
        self.diagnostics.ask(self._diagnose)
        self.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _look(self) -> None:
        """Follow what has appeared."""
        seen = (name for name, _ in self.get_topic_names_and_types()) if self._takes_all else ()
        for topic in {*self._named, *filter(is_of_all, seen)}:
            publishers = self.get_publishers_info_by_topic(topic)
            if publishers and topic not in self._refused:
                try:
                    self._follow(topic, publishers)
                except ValueError as error:
                    self._refused[topic] = str(error)
                    self.get_logger().error(f"{topic}: not recorded: {error}")

    def _follow(self, topic: str, publishers: Sequence[TopicEndpointInfo]) -> None:
        """Subscribe in a way that hears all publishers. Raises ValueError for a type that is not known."""
        before = self._offers.get(topic, set())
        offers = before | {offer_of(publisher.qos_profile) for publisher in publishers}
        request = request_for(offers)
        self._offers[topic] = offers
        if before and request == request_for(before):
            return
        first = publishers[0]
        channel = Channel(
            topic,
            first.topic_type,
            full_definition(first.topic_type),
            as_yaml([publisher.qos_profile for publisher in publishers]),
            str(first.topic_type_hash),
        )
        if topic in self._hearing:
            self.destroy_subscription(self._hearing.pop(topic))
        # Not that of our own class, which keeps to itself what DDS knows of the times.
        self._hearing[topic] = rclpy.node.Node.create_subscription(
            self,
            message_class(first.topic_type),
            topic,
            partial(self._on_message, channel),
            request,
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            raw=True,
        )

    def _on_message(self, channel: Channel, data: bytes, info: dict[str, Any]) -> None:
        # Some middlewares leave out one or both.
        received_ns = info["received_timestamp"] or time.time_ns()
        self._recording.add(channel, received_ns, info["source_timestamp"] or received_ns, data)

    def _diagnose(self, report: Report) -> None:
        recording = self._recording
        if recording.fault:
            report.error(f"cannot write: {recording.fault}")
        if recording.dropped:
            report.warn(f"{recording.dropped} messages are missing in the recording")
        if time.monotonic() - self._started_s > MISSED_S:
            for topic in self._named:
                if topic not in self._offers:
                    report.warn(f"nobody publishes {topic}: is the name right?")
        for topic, reason in self._refused.items():
            report.warn(f"{topic} is not recorded: {reason}")
        report.values["file"] = recording.path or "none yet"
        report.values["topics recorded"] = " ".join(sorted(self._hearing))
        report.values["messages written"] = recording.written
        report.values["messages dropped"] = recording.dropped

    def close(self) -> None:
        """Called by `run_node` at the end."""
        if not self._recording.close(STOP_S):
            self.get_logger().warning(f"still writing after {STOP_S} s: the file lacks its end")


def main() -> None:
    """Entry point."""
    run_node(McapRecorder)
