"""A person at a gamepad, a joystick or a 3D mouse: `joy` -> `intervention/joy`, and requests to the actor."""

import time
from collections.abc import Mapping
from typing import Any

from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import Joy

from hilrl_ros import qos, stamps
from hilrl_ros.diagnostics import Level
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.episode_control import EpisodeControl
from hilrl_teleop.interventions import PERIOD_S, Interventions
from hilrl_teleop.joy import SETTLE_S, Joystick
from hilrl_teleop.joy_layout import layout_from, parameter_table
from hilrl_teleop.wish import Wish

PAD = Parameter("pad", "xbox", "whose layout to use: the parameters <pad>.*", read_only=True)
PARAMETERS = (
    Parameter("joy_timeout_s", 0.3, "a joy topic that is silent for longer lets go [s]", 0.05, 5.0),
    Parameter("lockstep", False, "answer every new ee_state, engaged or not", read_only=True),
)


class JoyTeleop(Node):
    """Publishes at 20 Hz while the person holds control, at once on a change, and once that they let go."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("joy_teleop", **kwargs)
        self._pad: str = Parameters(self, (PAD,), check=_pad_problem)["pad"]
        table = (*PARAMETERS, *parameter_table(self._pad))
        params = Parameters(self, table, check=self._problem, on_change=self._retune)
        self._joystick = Joystick(layout_from(self._pad, params.values), params["joy_timeout_s"])
        self._refusal = ""
        self._was_connected = False
        self._ignored: list[int] = []
        self._interventions = Interventions(self, "joy", self._wish if params["lockstep"] else None)
        self._episodes = EpisodeControl(self, self.get_logger().info)
        self.create_subscription(Joy, "joy", self._on_joy, qos.EVENTS)
        # A person's time, also where the arm's is simulated.
        self.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.diagnostics.expect("joy", "is the gamepad plugged in, and its node running?", Level.WARN)

    def _problem(self, values: Mapping[str, Any]) -> str | None:
        reason = layout_from(self._pad, values).problem()
        return f"{self._pad}.{reason}" if reason else None

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._joystick.timeout_s = values["joy_timeout_s"]
        self._joystick.use(layout_from(self._pad, values))

    def _on_joy(self, message: Joy) -> None:
        try:
            requests = self._joystick.feed(
                message.axes, message.buttons, stamps.to_ns(message.header.stamp), time.monotonic()
            )
            self._refusal = ""
        except ValueError as error:
            requests = []
            self.diagnostics.refused(f"joy: {error}")
            if str(error) != self._refusal:
                self._refusal = str(error)
                self.get_logger().error(f"hands off: {error}")
        wish = self._wish()
        self._interventions.on_change(wish)
        for request in requests:
            self._episodes.ask(request)
        if wish.engaged and self._joystick.ignored_axes != self._ignored:
            self._ignored = self._joystick.ignored_axes
            if self._ignored:
                self.get_logger().warning(
                    f"axes {self._ignored} have no effect until they were at rest for {SETTLE_S:g} s; "
                    "one that never is, as a trigger, cannot be used"
                )

    def _on_timer(self) -> None:
        self._interventions.on_period(self._wish())
        connected = self._joystick.connected
        if connected != self._was_connected and not self._refusal:
            self.get_logger().info("joy is there" if connected else "joy is silent: hands off")
        self._was_connected = connected

    def _wish(self) -> Wish:
        return self._joystick.wish(time.monotonic())


def _pad_problem(values: Mapping[str, Any]) -> str | None:
    pad = values["pad"]
    return None if pad.isidentifier() else f"pad: expected a name such as xbox, got {pad!r}"


def main() -> None:
    """Entry point."""
    run_node(JoyTeleop)
