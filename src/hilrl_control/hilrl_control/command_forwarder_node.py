"""The `command_forwarder` node: `joint_commands` to a forward_command_controller of ros2_control."""

import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hilrl_ros import qos
from hilrl_ros.joint_messages import joint_command
from hilrl_ros.main import run_node
from hilrl_ros.node import Node

CONTROLLER = "forward_command_controller"
COMPLAIN_EVERY_S = 5.0


class CommandForwarder(Node):
    """The controller goes on commanding the last goal, so that silence holds the arm where it was sent."""

    def __init__(self) -> None:
        super().__init__("command_forwarder")
        self._commands = self.create_publisher(Float64MultiArray, f"{CONTROLLER}/commands", qos.ACTIONS)
        self.create_subscription(JointState, "joint_commands", self._on_command, qos.ACTIONS)

    def _on_command(self, message: JointState) -> None:
        try:
            goal, _ = joint_command(message)
            if not np.isfinite(goal).all():
                raise ValueError(f"position: expected finite numbers, got {goal.tolist()}")
        except ValueError as error:
            self.get_logger().error(
                f"joint_commands {error}; the message is ignored", throttle_duration_sec=COMPLAIN_EVERY_S
            )
            return
        self._commands.publish(Float64MultiArray(data=goal.tolist()))


def main() -> None:
    """Entry point."""
    run_node(CommandForwarder)
