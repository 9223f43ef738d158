"""The one place where policy and operators meet: `policy_action`, `intervention/<device>` -> `action`."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from std_msgs.msg import String

from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters
from hilrl_teleop.arbitration import Arbitration
from hilrl_teleop.ee_action import Action
from hilrl_teleop.messages import to_action, to_message

POLL_S = 0.05
WARN_EVERY_S = 5.0

PARAMETERS = (
    Parameter(
        "devices",
        ["leader", "joy", "keyboard", "scripted"],
        "operators in falling priority; each speaks on intervention/<device>; only the order can change",
    ),
    Parameter(
        "lockstep_devices",
        [],
        "devices whose answer to the same stamp is awaited for up to 0.1 s of wall time",
        read_only=True,
    ),
    Parameter("timeout_s", 0.25, "a device silent for longer hands back [s]", 0.02, 10.0),
    Parameter(
        "policy_timeout_s",
        0.5,
        "without a policy_action for longer, an operator's actions pass directly [s]",
        0.05,
        60.0,
    ),
    Parameter("control_hz", 10.0, "most actions per second that pass directly [Hz]", 0.1, 1000.0),
)


class InterventionMux(Node):
    """Publishes one `action` per tick and, on change, who has the arm (`~/state`, latched)."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("intervention_mux", **kwargs)
        self._arbitration: Arbitration | None = None
        params = Parameters(self, PARAMETERS, self._check, self._retune)
        self._arbitration = Arbitration(params["devices"], params["lockstep_devices"])
        self._retune(params.values)
        self._state = ""
        self._late = 0
        self._late_warned_s = float("-inf")
        self._refused_s: dict[str, float] = {}

        self._actions = self.create_publisher(EeAction, "action", qos.ACTIONS)
        self._states = self.create_publisher(String, "~/state", qos.LATCHED)
        self.create_subscription(EeAction, "policy_action", self._on_policy, qos.ACTIONS)
        for name in params["devices"]:
            # Every message in its order: with a depth of one, a short press could be overwritten by its end.
            self.create_subscription(
                EeAction, f"intervention/{name}", partial(self._on_device, name), qos.EVENTS
            )
        # Waiting and silence are wall time, also where the arm's time is simulated.
        self.create_timer(POLL_S, self._on_poll, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.diagnostics.ask(self._diagnose)

    def _diagnose(self, report: Report) -> None:
        report.values["who has the arm"] = self._state
        for name, ticks in self._arbitration.late.items():
            report.values[f"ticks that went without {name}"] = ticks

    def _check(self, values: Mapping[str, Any]) -> str | None:
        return self._arbitration.priority_problem(values["devices"]) if self._arbitration else None

    def _retune(self, values: Mapping[str, Any]) -> None:
        self._arbitration.prioritise(values["devices"])
        self._arbitration.timeout_s = values["timeout_s"]
        self._arbitration.policy_timeout_s = values["policy_timeout_s"]
        self._arbitration.control_hz = values["control_hz"]

    def _on_policy(self, message: EeAction) -> None:
        try:
            self._execute(self._arbitration.on_policy(to_action(message), time.monotonic()))
        except ValueError as error:
            self._refuse("policy", str(error))

    def _on_device(self, name: str, message: EeAction) -> None:
        try:
            self._execute(self._arbitration.on_device(name, to_action(message), time.monotonic()))
        except ValueError as error:
            self._refuse(name, str(error))

    def _on_poll(self) -> None:
        now_s = time.monotonic()
        self._execute(self._arbitration.poll(now_s))
        self._say_state(now_s)
        late = self._arbitration.late
        if late.total() > self._late and now_s - self._late_warned_s > WARN_EVERY_S:
            self._late, self._late_warned_s = late.total(), now_s
            counts = ", ".join(f"{name}: {count}" for name, count in sorted(late.items()))
            self.get_logger().warning(f"ticks that went without a lockstep device so far: {counts}")

    def _execute(self, action: Action | None) -> None:
        if action is not None:
            self._actions.publish(to_message(action))
            self._say_state(time.monotonic())

    def _say_state(self, now_s: float) -> None:
        state = self._arbitration.state(now_s)
        if state != self._state:
            self._state = state
            self._states.publish(String(data=state))

    def _refuse(self, name: str, reason: str) -> None:
        """Not at every message, as a broken input repeats itself at the control rate."""
        self.diagnostics.refused(f"{name}: {reason}")
        now_s = time.monotonic()
        if now_s - self._refused_s.get(name, float("-inf")) > WARN_EVERY_S:
            self._refused_s[name] = now_s
            self.get_logger().error(f"refused, treated as silent: {reason}")


def main() -> None:
    """Entry point."""
    run_node(InterventionMux)
