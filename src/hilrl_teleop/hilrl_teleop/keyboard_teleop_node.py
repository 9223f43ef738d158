"""A person at a keyboard: keys -> `intervention/keyboard`, and requests to the actor.

In a plain terminal, also over SSH; or at a keyboard of this machine, whose keys the kernel tells up and down.
"""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from std_msgs.msg import String

from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.episode_control import EpisodeControl
from hilrl_teleop.interventions import PERIOD_S, Interventions
from hilrl_teleop.key_map import DEADMAN_CODES
from hilrl_teleop.key_sources import TERMINAL, DeviceKeys, KeySource, TerminalKeys
from hilrl_teleop.keyboard import status_line
from hilrl_teleop.keyboard_reader import AUTO
from hilrl_teleop.screen import Screen
from hilrl_teleop.wish import Wish

NOTE_S = 5.0

PARAMETERS = (
    Parameter("speed", 0.5, "share of a full step per control tick that a held key asks for", 0.01, 1.0),
    Parameter("release_s", 1.0, "terminal: hands back so long after the last motion key [s]", 0.2, 60.0),
    Parameter(
        "keys_from",
        TERMINAL,
        f"{TERMINAL}; a keyboard of this machine by its path, /dev/input/by-id/...-event-kbd; or {AUTO}, the "
        "only one that there is",
        read_only=True,
    ),
    Parameter(
        "deadman_key",
        "right_ctrl",
        "keyboard of this machine: keys count only while this one is held",
        choices=tuple(DEADMAN_CODES),
        read_only=True,
    ),
)


class KeyboardTeleop(Node):
    """Publishes at 20 Hz while the person holds control, then once that they have let go."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused, or where there are no keys to be had."""
        super().__init__("keyboard_teleop", **kwargs)
        params = Parameters(self, PARAMETERS, check=_problem, on_change=self._retune)
        self._mux_state = ""
        self._note, self._noted_s = "", 0.0
        self._screen = Screen(sys.stdout.fileno()) if sys.stdin.isatty() else None

        self._interventions = Interventions(self, "keyboard")
        self._episodes = EpisodeControl(self, self._tell)
        self.create_subscription(String, "intervention_mux/state", self._on_mux_state, qos.LATCHED)
        self.diagnostics.ask(self._diagnose)
        # Last, so that whatever fails before leaves the terminal alone.
        self._keys = self._source(params["keys_from"], params["deadman_key"])
        self._retune(params.values)
        if self._screen:
            print("\n".join(self._keys.help), flush=True)
        # A person's time, also where the arm's is simulated.
        self.create_timer(PERIOD_S, self._act, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Give back the terminal and the keyboard."""
        if hasattr(self, "_keys"):
            self._keys.close()
            if self._screen:
                self._screen.close()

    def _source(self, keys_from: str, deadman_key: str) -> KeySource:
        if keys_from == TERMINAL:
            return TerminalKeys()
        # Another thread reads them, this one acts on them at once.
        wake = self.create_guard_condition(self._act)
        return DeviceKeys(keys_from, deadman_key, wake.trigger, self._announce)

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._keys.retune(values["speed"], values["release_s"])

    def _diagnose(self, report: Report) -> None:
        if self._keys.problem:
            report.warn(f"no keyboard is read: {self._keys.problem}")

    def _on_mux_state(self, message: String) -> None:
        self._mux_state = message.data

    def _act(self) -> None:
        now_s = time.monotonic()
        try:
            requests = self._keys.take_requests(now_s)
        except (EOFError, KeyboardInterrupt) as end:
            if isinstance(end, EOFError):
                self.get_logger().error(f"the terminal is gone: {end}")
            self._interventions.on_period(Wish.none())
            rclpy.try_shutdown()
            return
        for request in requests:
            self._episodes.ask(request)
        wish = self._keys.wish(now_s)
        self._interventions.on_period(wish)
        if self._screen:
            self._screen.show(self._line(wish, now_s))

    def _tell(self, note: str) -> None:
        self._note, self._noted_s = note, time.monotonic()
        if not self._screen:
            self.get_logger().info(note)

    def _announce(self, text: str) -> None:
        """Called from another thread."""
        if self._screen:
            self._screen.say(text)
        else:
            self.get_logger().info(text)

    def _line(self, wish: Wish, now_s: float) -> str:
        note = self._note if now_s - self._noted_s < NOTE_S else ""
        note = "NO KEYBOARD" if self._keys.problem else note
        tcp = None
        if (state := self._interventions.state) is not None:
            position = state.pose.position
            tcp = (position.x, position.y, position.z)
        line = status_line(wish, self._mux_state, tcp, note, self._episodes.paused)
        return line[: shutil.get_terminal_size().columns - 1]


def _problem(values: Mapping[str, Any]) -> str | None:
    keys_from = values["keys_from"]
    if keys_from in (TERMINAL, AUTO) or keys_from.startswith("/"):
        return None
    return f"keys_from: expected {TERMINAL}, {AUTO} or the path of a keyboard, got {keys_from!r}"


def main() -> None:
    """Entry point."""
    run_node(KeyboardTeleop)
