"""What a user may choose about a run. Each option is declared here once.

`hilrl up` makes command-line flags of them, the launch files launch arguments.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One choice; its type is that of the default."""

    name: str
    default: Value
    description: str
    sets: tuple[str, ...] = ()
    """Node parameters that take this value, as "node.parameter"."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    may_change: bool = False
    """May differ when an existing run goes on."""

    def parse(self, text: str) -> Value:
        """The value that `text` stands for. Raises ValueError naming the option."""
        try:
            value: Value = _BOOLEANS[text.lower()] if self.kind is bool else self.kind(text)
        except (KeyError, ValueError):
            raise ValueError(f"{self.name}: expected {_KIND_NAMES[self.kind]}, got {text!r}") from None
        return self.check(value)

    def check(self, value: Any) -> Value:
        """`value`, if it may stand for this option. Raises ValueError naming the option."""
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            raise ValueError(f"{self.name}: expected {_KIND_NAMES[self.kind]}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name}: expected one of {list(self.choices)}, got {value!r}")
        # Written so that nan is refused too.
        if self.minimum is not None and not value >= self.minimum:
            raise ValueError(f"{self.name}: expected at least {self.minimum}, got {value!r}")
        return value

    @property
    def default_text(self) -> str:
        """The default as a user would write it."""
        return str(self.default).lower() if self.kind is bool else str(self.default)

    @property
    def kind(self) -> type:
        """bool, int, float or str."""
        return type(self.default)


_BOOLEANS = {"true": True, "false": False}
_KIND_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}

OPTIONS = (
    Option(
        "task",
        "lift",
        "What to learn: lift the cube, or place it in the bin.",
        ("sim.task", "scripted_operator.task"),
        choices=("lift", "place"),
    ),
    Option(
        "seed",
        0,
        "Seed of scenes, operator and networks.",
        ("sim.seed", "scripted_operator.seed", "actor.seed", "learner.seed"),
        minimum=0,
    ),
    Option(
        "algorithm",
        "sac",
        "Learning algorithm, a name in the registry of hilrl_learning.",
        ("learner.algorithm",),
    ),
    Option(
        "duration_s",
        300.0,
        "Wall time to run for, demonstrations and pre-training included [s]; 0: unlimited.",
        ("learner.duration_s",),
        minimum=0.0,
        may_change=True,
    ),
    Option(
        "demonstrations",
        20,
        "Successful demonstrations to collect before the policy acts.",
        ("learner.demonstrations",),
        minimum=1,
    ),
    Option(
        "device",
        "cpu",
        "Where the learner computes.",
        ("learner.device",),
        choices=("cpu", "cuda"),
        may_change=True,
    ),
    Option(
        "operator",
        "scripted",
        "Who shows the task and intervenes: a scripted operator, or a human at one of the devices.",
        choices=("scripted", "human"),
    ),
    Option(
        "devices",
        "",
        "Devices to start, separated by commas: joy (a gamepad), leader (the leader arm). The keyboard has a "
        "terminal of its own: `hilrl keyboard`.",
        may_change=True,
    ),
    Option(
        "leader_port",
        "/dev/so101_leader",
        "The leader arm's board, as the udev rule names it.",
        ("leader_arm.port",),
        may_change=True,
    ),
    Option(
        "leader_calibration",
        "",
        "Calibration of the leader arm, ours or LeRobot's JSON; empty: the one that `hilrl calibrate` made.",
        ("leader_arm.calibration_file",),
        may_change=True,
    ),
    Option(
        "reward",
        "sim",
        "Who says when the task is done: the simulator, a classifier of camera images (`hilrl reward`), a "
        "fixed rule, or the operator's buttons alone.",
        choices=("sim", "classifier", "rule", "operator"),
    ),
    Option(
        "reward_model",
        "",
        "Model of the reward classifier, as `hilrl reward train` wrote it.",
        ("reward_classifier.model_file",),
        may_change=True,
    ),
    Option(
        "reward_rule",
        "object_height",
        "What reward rule goes by: the simulated object's height, the width of the closed gripper, or the "
        "pose of the TCP.",
        ("reward_rule.rule",),
        choices=("object_height", "gripper_width", "ee_pose"),
    ),
    Option(
        "lockstep",
        True,
        "Simulate one control period per action, as fast as the machine allows; false: real time.",
        (
            "sim.lockstep",
            "ee_controller.lockstep",
            "actor.lockstep",
            "reward_classifier.lockstep",
        ),
    ),
    Option(
        "control_hz",
        10.0,
        "Control rate [Hz].",
        (
            "sim.control_hz",
            "ee_controller.control_hz",
            "intervention_mux.control_hz",
            "scripted_operator.control_hz",
            "actor.control_hz",
        ),
        minimum=1.0,
    ),
    Option(
        "servo_lag_s",
        0.0,
        "Delay of the simulated servos [s].",
        ("sim.servo_lag_s",),
        minimum=0.0,
    ),
    Option(
        "quantise",
        True,
        "Simulated servos read and take whole encoder ticks, as real ones do.",
        ("sim.quantise",),
    ),
    Option(
        "randomise_visuals",
        False,
        "Draw colours, light and camera poses anew for every episode.",
        ("sim.randomise_visuals",),
    ),
    Option("namespace", "so101", "ROS namespace of the robot."),
    Option(
        "params_file",
        "",
        "A ROS parameter file laid over config/train.yaml; options and --set are laid over both.",
    ),
)

ARM_OPTIONS = (
    Option(
        "follower_port",
        "/dev/so101_follower",
        "The follower's board, as the udev rule names it.",
        ("arm.port",),
    ),
    Option(
        "follower_calibration",
        "",
        "Calibration of the follower, ours or LeRobot's JSON; empty: the one that `hilrl calibrate` made.",
        ("arm.calibration_file",),
    ),
    Option(
        "leader_port",
        "",
        "The leader's board, for example /dev/so101_leader; empty: there is no leader.",
        ("leader_arm.port",),
    ),
    Option(
        "leader_calibration",
        "",
        "Calibration of the leader, in the same way.",
        ("leader_arm.calibration_file",),
    ),
    Option(
        "emulated",
        False,
        "Drive both arms on emulated boards: no hardware, no ports, no calibration files.",
    ),
    Option("namespace", "so101", "ROS namespace of the robot."),
    Option(
        "params_file",
        "",
        "A ROS parameter file laid over config/arm.yaml; options and --set are laid over both.",
    ),
)

BY_NAME = {option.name: option for option in OPTIONS}


def defaults(table: Sequence[Option] = OPTIONS) -> dict[str, Value]:
    """Every option at its default."""
    return {option.name: option.default for option in table}


def checked(values: Mapping[str, Any]) -> dict[str, Value]:
    """All options of a run: `values` over the defaults. Raises ValueError naming the option at fault."""
    resolved = _resolved(OPTIONS, values)
    if resolved["operator"] == "human" and resolved["lockstep"]:
        raise ValueError("operator: a human needs real time; add lockstep false")
    if resolved["devices"] and resolved["operator"] != "human":
        raise ValueError("devices: a scripted operator has none; add operator human")
    if resolved["reward"] == "operator" and resolved["operator"] != "human":
        raise ValueError("reward: a scripted operator presses no buttons; add operator human")
    if resolved["reward"] == "classifier" and not resolved["reward_model"]:
        raise ValueError("reward_model: expected the file of a model for reward classifier, got none")
    return resolved


def checked_for_arm(values: Mapping[str, Any]) -> dict[str, Value]:
    """As `checked`, for the arms."""
    resolved = _resolved(ARM_OPTIONS, values)
    if not resolved["follower_port"]:
        raise ValueError("follower_port: expected a device, got none")
    if resolved["follower_port"] == resolved["leader_port"]:
        raise ValueError(f"leader_port: {resolved['leader_port']} is the follower's; each arm has its board")
    return resolved


def _resolved(table: Sequence[Option], values: Mapping[str, Any]) -> dict[str, Value]:
    by_name = {option.name: option for option in table}
    for name in values:
        if name not in by_name:
            raise ValueError(f"option {name!r}: unknown, expected one of {sorted(by_name)}")
    return {**defaults(table), **{name: by_name[name].check(v) for name, v in values.items()}}
