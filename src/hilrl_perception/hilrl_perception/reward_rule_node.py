"""The `reward_rule` node: a fixed rule as the reward, one `reward` per stamp of `ee_state`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hilrl_interfaces.msg import EeState, Episode, GroundTruth
from hilrl_perception.debounce import Debounce
from hilrl_perception.reward_guard import Guard
from hilrl_perception.reward_judge import RewardJudge
from hilrl_perception.reward_observation import StampJoin, arm_state, stamp_of
from hilrl_perception.reward_output import BOUND_PARAMETERS, RewardOutput
from hilrl_perception.reward_rules import RULES, Rule
from hilrl_ros import qos
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

DEFAULTS = {
    # Told to close, and stopped short of closed, which is -0.1 rad.
    "gripper_range": [-0.05, 0.6],
    "gripper_target_range": [-0.3, -0.05],
}

PARAMETERS = (
    Parameter("rule", "never", "object_height: of the simulator's first object; gripper_width: jaws closed "
              "on something; ee_pose: TCP within the box; never: the operator alone says so",
              choices=RULES, read_only=True),
    Parameter("k", 3, "a success takes k of the last n stamps", 1, 1000),
    Parameter("n", 3, "see k", 1, 1000),
    Parameter("object_rise_m", 0.05, "object_height: above where it rested [m]", 0.001, 1.0),
    *(
        replace(parameter, default=DEFAULTS.get(parameter.name, parameter.default))
        for parameter in BOUND_PARAMETERS
    ),
)  # fmt: skip


class RewardRule(Node):
    """Asks the rule about every stamp and the judge about every answer."""

    def __init__(self, **kwargs: Any) -> None:
        """Raises ValueError where a parameter is refused."""
        super().__init__("reward_rule", **kwargs)
        params = Parameters(self, PARAMETERS, self._check, self._apply)
        self._rule = Rule(params["rule"], Guard(), params["object_rise_m"])
        self._judge = RewardJudge(params["k"], params["n"])
        self._apply(params.values)
        source = "operator" if params["rule"] == "never" else "rule"
        self._output = RewardOutput(self, self._judge, source, self._on_episode)
        self._stamps = StampJoin(["arm", "height"] if self._rule.needs_truth else ["arm"])
        self.create_subscription(EeState, "ee_state", self._on_ee_state, qos.JOINT_STATES)
        if self._rule.needs_truth:
            self.create_subscription(GroundTruth, "sim/ground_truth", self._on_truth, qos.EVENTS)
            self.diagnostics.expect("sim/ground_truth", "is the simulator running?")
        self.diagnostics.expect("ee_state", "is ee_controller running?")

    def _check(self, values: Mapping[str, Any]) -> str | None:
        try:
            Guard.from_values(values)
        except ValueError as error:
            return str(error)
        return Debounce.problem(values["k"], values["n"])

    def _apply(self, values: Mapping[str, Any]) -> None:
        self._judge.debounce.tune(values["k"], values["n"])
        self._rule.bounds = Guard.from_values(values)
        self._rule.object_rise_m = values["object_rise_m"]

    def _on_episode(self, message: Episode) -> None:
        if not message.finished:
            self._rule.begin()

    def _on_ee_state(self, message: EeState) -> None:
        stamp_ns = stamp_of(message)
        if self._output.repeat(stamp_ns):
            return
        try:
            self._take(stamp_ns, "arm", arm_state(message))
        except ValueError as error:
            self.diagnostics.refused(str(error))
            self.get_logger().error(f"ignored: {error}", throttle_duration_sec=5.0)

    def _on_truth(self, message: GroundTruth) -> None:
        if not message.poses:
            self.get_logger().error(
                "ignored: ground_truth.poses: expected an object, got none", throttle_duration_sec=5.0
            )
            return
        self._take(stamp_of(message), "height", message.poses[0].position.z)

    def _take(self, stamp_ns: int, name: str, value: object) -> None:
        if parts := self._stamps.add(stamp_ns, name, value):
            holds = self._rule.holds(stamp_ns, parts["arm"], parts.get("height"))
            self._output.publish(self._judge.judge(stamp_ns, float(holds), holds, parts["arm"]))


def main() -> None:
    """Entry point."""
    run_node(RewardRule)
