"""A gamepad without the package `joy`: /dev/input -> `joy`."""

import threading
from time import monotonic
from typing import Any

import rclpy
from sensor_msgs.msg import Joy

from hilrl_ros import qos
from hilrl_ros.diagnostics import SILENCE_S, Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.device_reader import LOOK_AGAIN_S
from hilrl_teleop.gamepad_reader import GamepadReader

PARAMETERS = (
    Parameter("device_name", "", "part of the gamepad's name; empty: the first one found", read_only=True),
    Parameter(
        "autorepeat_hz", 20.0, "messages per second while nothing changes [Hz]", 5.0, 200.0, read_only=True
    ),
)


class GamepadNode(Node):
    """Publishes what a thread reads."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused or evdev is not installed."""
        super().__init__("gamepad", **kwargs)
        params = Parameters(self, PARAMETERS)
        try:
            import evdev
        except ImportError as error:
            raise ValueError(
                f"evdev: expected the Python package to read gamepads with, got {error}; "
                "`pip install evdev`, or run `joy_node` of the package joy instead of this node"
            ) from error

        self._joys = self.create_publisher(Joy, "joy", qos.EVENTS)
        self._reader = GamepadReader(
            evdev.list_devices,
            evdev.InputDevice,
            self._publish,
            self._tell,
            params["device_name"],
            params["autorepeat_hz"],
        )
        self._thread = threading.Thread(target=self._reader.run, name="gamepad", daemon=True)
        self._thread.start()
        self._told = ""
        self.diagnostics.ask(self._diagnose)

    def _diagnose(self, report: Report) -> None:
        if monotonic() - self._joys.stream.last_s > SILENCE_S:
            report.warn(f"no gamepad is read: {self._told}")

    def _tell(self, text: str) -> None:
        self._told = text
        self.get_logger().info(text)

    def close(self) -> None:
        """Stop reading."""
        self._reader.stop()
        self._thread.join(2 * LOOK_AGAIN_S)

    def _publish(self, axes: list[float], buttons: list[int]) -> None:
        message = Joy(axes=axes, buttons=buttons)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = "joy"
        try:
            self._joys.publish(message)
        except Exception:
            if rclpy.ok():  # or else it was shut down meanwhile
                raise


def main() -> None:
    """Entry point."""
    run_node(GamepadNode)
