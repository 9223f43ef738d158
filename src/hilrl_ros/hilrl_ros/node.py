"""The node class of the graph."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import rclpy.node
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from std_msgs.msg import Header

from hilrl_ros import qos
from hilrl_ros.diagnostics import Diagnostics, Stream

ROS_OWN = ("/parameter_events", "/rosout", "/diagnostics")
"""Topics that every node has."""


class CountedPublisher(Publisher):
    """Counts what it publishes."""

    stream: Stream | None = None

    def publish(self, msg: Any) -> None:
        """See `rclpy.publisher.Publisher.publish`."""
        if self.stream is not None:
            self.stream.count += 1
            self.stream.last_s = monotonic()
        super().publish(msg)


class Node(rclpy.node.Node):
    """Counts for its diagnostics, which `run_node` has it publish once a second, and leaves out QoS events.

    rclpy adds those events to every publisher and subscription. It builds its wait set anew for every
    callback, and they are most of it: without them the lockstep loop makes an eighth more steps and the
    learner a quarter more updates on two cores. What they warn of, profiles that do not match, cannot happen
    among profiles that live in `qos` alone.
    """

    diagnoses_itself = False
    """The node publishes on /diagnostics what it knows; nothing is said for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """See `rclpy.node.Node`."""
        self.diagnostics = Diagnostics()
        self._diagnostics_publisher: Publisher | None = None
        self._wall_clock = Clock(clock_type=ClockType.SYSTEM_TIME)
        super().__init__(*args, **kwargs)
        if self.get_parameter("use_sim_time").value:
            self.diagnostics.expect("/clock", "is the simulator running?")

    def create_publisher(self, msg_type: type, topic: str, *args: Any, **kwargs: Any) -> Publisher:
        """See `rclpy.node.Node.create_publisher`."""
        kwargs.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
        kwargs.setdefault("publisher_class", CountedPublisher)
        publisher = super().create_publisher(msg_type, topic, *args, **kwargs)
        if topic not in ROS_OWN:
            publisher.stream = self.diagnostics.given(topic)
        return publisher

    def create_subscription(
        self, msg_type: type, topic: str, callback: Callable[[Any], Any], *args: Any, **kwargs: Any
    ) -> Subscription:
        """See `rclpy.node.Node.create_subscription`; `callback` takes the message alone."""
        kwargs.setdefault("event_callbacks", SubscriptionEventCallbacks(use_default_callbacks=False))
        counted = self.diagnostics.counted(topic, callback)
        return super().create_subscription(msg_type, topic, counted, *args, **kwargs)

    def create_timer(
        self, timer_period_sec: float, callback: Callable[[], Any], *args: Any, **kwargs: Any
    ) -> Timer:
        """See `rclpy.node.Node.create_timer`."""
        return super().create_timer(timer_period_sec, self.diagnostics.timed(callback), *args, **kwargs)

    def diagnose(self) -> None:
        """Publish on /diagnostics if it is time to. Call it several times a second."""
        if self.diagnoses_itself or not self.diagnostics.is_due():
            return
        if self._diagnostics_publisher is None:
            self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", qos.EVENTS)
        # Wall time, also where the arm's is simulated: silence is measured by that.
        header = Header(stamp=self._wall_clock.now().to_msg())
        status = self.diagnostics.status(self.get_fully_qualified_name())
        self._diagnostics_publisher.publish(DiagnosticArray(header=header, status=[status]))
