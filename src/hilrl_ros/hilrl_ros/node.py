"""The node class of the graph."""

from typing import Any

import rclpy.node
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription


class Node(rclpy.node.Node):
    """Leaves out the QoS events that rclpy adds to every publisher and subscription.

    rclpy builds its wait set anew for every callback, and those events are most of it: without them the
    lockstep loop makes an eighth more steps and the learner a quarter more updates on two cores. What
    they warn of, profiles that do not match, cannot happen among profiles that live in `qos` alone.
    """

    def create_publisher(self, *args: Any, **kwargs: Any) -> Publisher:
        """See `rclpy.node.Node.create_publisher`."""
        kwargs.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
        return super().create_publisher(*args, **kwargs)

    def create_subscription(self, *args: Any, **kwargs: Any) -> Subscription:
        """See `rclpy.node.Node.create_subscription`."""
        kwargs.setdefault("event_callbacks", SubscriptionEventCallbacks(use_default_callbacks=False))
        return super().create_subscription(*args, **kwargs)
