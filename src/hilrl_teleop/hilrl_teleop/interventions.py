"""From a person's wishes to `intervention/<device>`: the part that keyboard and joystick share."""

from collections.abc import Callable

from rclpy.node import Node

from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import qos, stamps
from hilrl_ros.ee_action import Source
from hilrl_teleop.ee_action import Action
from hilrl_teleop.messages import to_message
from hilrl_teleop.wish import Wish

PERIOD_S = 0.05
"""Of what is said while the person holds control; well within the mux's `timeout_s` [s]."""


class Interventions:
    """Speaks while the person holds control, and once more when they have let go."""

    def __init__(self, node: Node, device: str, answer: Callable[[], Wish] | None = None) -> None:
        """With `answer`, each new stamp of `ee_state` gets that wish, engaged or not: for lockstep."""
        self.state: EeState | None = None
        """The newest `ee_state`."""
        self._node, self._device, self._answer = node, device, answer
        self._said = Wish.none()
        self._publisher = node.create_publisher(EeAction, f"intervention/{device}", qos.ACTIONS)
        node.create_subscription(EeState, "ee_state", self._on_state, qos.JOINT_STATES)

    def on_change(self, wish: Wish) -> None:
        """Speak at once where the person took over, let go or changed their mind about the jaws."""
        if (wish.engaged, wish.gripper) != (self._said.engaged, self._said.gripper):
            self._say(wish)

    def on_period(self, wish: Wish) -> None:
        """Speak again, once per `PERIOD_S`."""
        if wish.engaged or self._said.engaged:
            self._say(wish)

    def _on_state(self, message: EeState) -> None:
        is_new = self.state is None or self.state.header.stamp != message.header.stamp
        self.state = message
        if self._answer is not None and is_new:
            self._say(self._answer())

    def _say(self, wish: Wish) -> None:
        # The action answers what the person sees: the arm where it is now.
        state = self.state
        stamp = self._node.get_clock().now().to_msg() if state is None else state.header.stamp
        action = Action(
            stamps.to_ns(stamp),
            wish.delta,
            wish.gripper,
            Source.INTERVENTION,
            self._device,
            wish.engaged,
            frame_id="base_link" if state is None else state.header.frame_id,
        )
        self._publisher.publish(to_message(action))
        self._said = wish
