"""A person at a plain terminal, also over SSH: keys -> `intervention/keyboard`, labels -> `actor/label`."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from std_msgs.msg import String

from hilrl_interfaces.msg import EeAction, EeState
from hilrl_interfaces.srv import LabelEpisode
from hilrl_ros import qos, stamps
from hilrl_ros.ee_action import Source
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.ee_action import Action
from hilrl_teleop.keyboard import HELP, Keyboard, Wish, status_line
from hilrl_teleop.messages import to_message
from hilrl_teleop.terminal import Terminal

PERIOD_S = 0.05
NOTE_S = 5.0

PARAMETERS = (
    Parameter("speed", 0.5, "share of a full step per control tick that a held key asks for", 0.01, 1.0),
    Parameter("release_s", 1.0, "hands back so long after the last motion key [s]", 0.2, 60.0),
)

CODES = {
    "success": LabelEpisode.Request.SUCCESS,
    "failure": LabelEpisode.Request.FAILURE,
    "discard": LabelEpisode.Request.DISCARD,
}


class KeyboardTeleop(Node):
    """Publishes at 20 Hz while the person holds control, then once that they have let go."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused, or where stdin is not a terminal."""
        super().__init__("keyboard_teleop", **kwargs)
        params = Parameters(self, PARAMETERS, on_change=self._retune)
        self._keyboard = Keyboard(params["speed"], params["release_s"])
        self._state: EeState | None = None
        self._mux_state = ""
        self._engaged = False
        self._shown = ""
        self._note, self._noted_s = "", 0.0

        self._actions = self.create_publisher(EeAction, "intervention/keyboard", qos.ACTIONS)
        self._label = self.create_client(LabelEpisode, "actor/label")
        self.create_subscription(EeState, "ee_state", self._on_state, qos.JOINT_STATES)
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

    def _on_state(self, message: EeState) -> None:
        self._state = message

    def _on_mux_state(self, message: String) -> None:
        self._mux_state = message.data

    def _on_timer(self) -> None:
        now_s = time.monotonic()
        try:
            labels = self._keyboard.feed(self._terminal.read(), now_s)
        except EOFError as error:
            self.get_logger().error(f"the terminal is gone: {error}")
            self._publish(Wish.none())
            rclpy.try_shutdown()
            return
        for label in labels:
            self._say_label(label)
        wish = self._keyboard.wish(now_s)
        if wish.engaged or self._engaged:
            self._publish(wish)
        self._engaged = wish.engaged
        self._show(wish, now_s)

    def _publish(self, wish: Wish) -> None:
        # The action answers what the person sees: the arm where it is now.
        state = self._state
        stamp = self.get_clock().now().to_msg() if state is None else state.header.stamp
        action = Action(
            stamps.to_ns(stamp),
            wish.delta,
            wish.gripper,
            Source.INTERVENTION,
            "keyboard",
            wish.engaged,
            frame_id="base_link" if state is None else state.header.frame_id,
        )
        self._actions.publish(to_message(action))

    def _say_label(self, label: str) -> None:
        if not self._label.service_is_ready():
            self._tell(f"{label}: no actor is there to be told")
            return
        self._tell(f"{label} ...")
        future = self._label.call_async(LabelEpisode.Request(label=CODES[label]))

        def on_answer(future: Future) -> None:
            answer = future.result()
            outcome = "noted" if answer.success else "refused"
            self._tell(f"{label} {outcome}" + (f": {answer.message}" if answer.message else ""))

        future.add_done_callback(on_answer)

    def _tell(self, note: str) -> None:
        self._note, self._noted_s = note, time.monotonic()

    def _show(self, wish: Wish, now_s: float) -> None:
        note = self._note if now_s - self._noted_s < NOTE_S else ""
        tcp = None
        if self._state is not None:
            position = self._state.pose.position
            tcp = (position.x, position.y, position.z)
        line = status_line(wish, self._mux_state, tcp, note)[: shutil.get_terminal_size().columns - 1]
        if line != self._shown:
            self._shown = line
            # Back to the line's start, write, clear the rest.
            sys.stdout.write(f"\r{line}\x1b[K")
            sys.stdout.flush()


def main() -> None:
    """Entry point."""
    run_node(KeyboardTeleop)
