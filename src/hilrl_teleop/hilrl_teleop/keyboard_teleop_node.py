"""A person at a plain terminal, also over SSH: keys -> `intervention/keyboard`, and requests to the actor."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from std_msgs.msg import String

from hilrl_ros import qos
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.episode_control import EpisodeControl
from hilrl_teleop.interventions import PERIOD_S, Interventions
from hilrl_teleop.keyboard import HELP, Keyboard, status_line
from hilrl_teleop.terminal import Terminal
from hilrl_teleop.wish import Wish

NOTE_S = 5.0

PARAMETERS = (
    Parameter("speed", 0.5, "share of a full step per control tick that a held key asks for", 0.01, 1.0),
    Parameter("release_s", 1.0, "hands back so long after the last motion key [s]", 0.2, 60.0),
)


class KeyboardTeleop(Node):
    """Publishes at 20 Hz while the person holds control, then once that they have let go."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused, or where stdin is not a terminal."""
        super().__init__("keyboard_teleop", **kwargs)
        params = Parameters(self, PARAMETERS, on_change=self._retune)
        self._keyboard = Keyboard(params["speed"], params["release_s"])
        self._mux_state = ""
        self._shown = ""
        self._note, self._noted_s = "", 0.0

        self._interventions = Interventions(self, "keyboard")
        self._episodes = EpisodeControl(self, self._tell)
        self.create_subscription(String, "intervention_mux/state", self._on_mux_state, qos.LATCHED)
        # A person's time, also where the arm's is simulated.
        self.create_timer(PERIOD_S, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        # Last, so that whatever fails before leaves the terminal alone.
        self._terminal = Terminal()
        print("\n".join(HELP))

    def close(self) -> None:
        """Give the terminal back."""
        if hasattr(self, "_terminal"):
            self._terminal.restore()
            print()

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._keyboard.speed, self._keyboard.release_s = values["speed"], values["release_s"]

    def _on_mux_state(self, message: String) -> None:
        self._mux_state = message.data

    def _on_timer(self) -> None:
        now_s = time.monotonic()
        try:
            requests = self._keyboard.feed(self._terminal.read(), now_s)
        except EOFError as error:
            self.get_logger().error(f"the terminal is gone: {error}")
            self._interventions.on_period(Wish.none())
            rclpy.try_shutdown()
            return
        for request in requests:
            self._episodes.ask(request)
        wish = self._keyboard.wish(now_s)
        self._interventions.on_period(wish)
        self._show(wish, now_s)

    def _tell(self, note: str) -> None:
        self._note, self._noted_s = note, time.monotonic()

    def _show(self, wish: Wish, now_s: float) -> None:
        note = self._note if now_s - self._noted_s < NOTE_S else ""
        tcp = None
        if (state := self._interventions.state) is not None:
            position = state.pose.position
            tcp = (position.x, position.y, position.z)
        line = status_line(wish, self._mux_state, tcp, note, self._episodes.paused)
        line = line[: shutil.get_terminal_size().columns - 1]
        if line != self._shown:
            self._shown = line
            # Back to the line's start, write, clear the rest.
            sys.stdout.write(f"\r{line}\x1b[K")
            sys.stdout.flush()


def main() -> None:
    """Entry point."""
    run_node(KeyboardTeleop)
