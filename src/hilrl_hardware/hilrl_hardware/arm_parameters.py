"""The parameters of the `arm` and `leader_arm` nodes. Defaults are those of `ArmSettings`, by role."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hilrl_hardware.arm_settings import FOLLOWER, LEADER, LETTING_GO, LIMP, ROLES, ArmSettings
from hilrl_hardware.health_limits import HealthLimits, Steps
from hilrl_hardware.servo_setup import Gains
from hilrl_ros.parameters import Parameter

ROLE = Parameter(
    "role",
    FOLLOWER,
    "follower: the arm that works; leader: the arm that a person moves",
    choices=ROLES,
    read_only=True,
)
SUPPLIES_V = (7.4, 12.0)
THREE_LEVELS = "warn, hold, let the arm down"
LEADER_SETTINGS = ArmSettings(
    torque_limit=0.3, gripper_torque_limit=0.3, on_emergency_stop=LIMP, on_shutdown=LIMP
)
"""A leader mirrors softly enough for a hand to hold against it, and is in somebody's hand when it lets go."""


def defaults(role: str) -> ArmSettings:
    """What an arm has where nobody sets anything."""
    return LEADER_SETTINGS if role == LEADER else ArmSettings()


def parameter_table(role: str) -> list[Parameter]:
    """The node's parameters, without `role`."""
    at = defaults(role)
    health, gains = at.health, at.gains
    return [
        Parameter("port", "", "device of the board, for example /dev/so101_follower", read_only=True),
        Parameter(
            "calibration_file", "", "of this arm, by `hilrl calibrate` or LeRobot (.json)", read_only=True
        ),
        Parameter("state_hz", 100.0, "cycles, and joint states, per second", 10.0, 250.0, read_only=True),
        Parameter(
            "torque_on_start", role == FOLLOWER, "hold where the arm is as soon as it is read", read_only=True
        ),
        Parameter("max_joint_speed", at.max_joint_speed, "of the five arm joints [rad/s]", 0.05, 5.2),
        Parameter("gripper_speed", at.gripper_speed, "of the jaw [rad/s]", 0.05, 5.2),
        Parameter(
            "ramp_speed", at.ramp_speed, "from the measured pose to a first or far command [rad/s]", 0.05, 2.0
        ),
        Parameter(
            "far_rad", at.far_rad, "further than this from the command before it, one is far [rad]", 0.05, 6.3
        ),
        Parameter("leash_rad", at.leash_rad, "how far a goal may be ahead of its joint [rad]", 0.1, 1.0),
        Parameter(
            "command_timeout_s",
            at.command_timeout_s,
            "without a command for this long a follower holds and a leader lets go [s]",
            0.05,
            10.0,
        ),
        Parameter(
            "torque_limit", at.torque_limit, "of the arm joints, when torque comes on [of stall]", 0.05, 1.0
        ),
        Parameter(
            "gripper_torque_limit",
            at.gripper_torque_limit,
            "of the gripper, when torque comes on [of stall]",
            0.05,
            1.0,
        ),
        Parameter("ease_down_s", at.ease_down_s, "in which torque goes down to nothing [s]", 0.2, 8.0),
        Parameter("on_emergency_stop", at.on_emergency_stop, "after the arm has stopped", choices=LETTING_GO),
        Parameter("on_shutdown", at.on_shutdown, "when the node ends", choices=LETTING_GO),
        Parameter("p_gain", gains.p, "of the servos' position controllers", 1, 64, read_only=True),
        Parameter("i_gain", gains.i, "of the servos' position controllers", 0, 32, read_only=True),
        Parameter("d_gain", gains.d, "of the servos' position controllers", 0, 64, read_only=True),
        Parameter(
            "temperature_c",
            _levels(health.temperature_c),
            f"of a servo: {THREE_LEVELS} [C]",
            20.0,
            80.0,
            length=3,
        ),
        Parameter(
            "current_a",
            _levels(health.current_a),
            f"of an arm joint for some seconds: {THREE_LEVELS} [A]",
            0.1,
            3.2,
            length=3,
        ),
        Parameter(
            "gripper_current_a",
            _levels(health.gripper_current_a),
            f"of the gripper for some seconds: {THREE_LEVELS} [A]",
            0.1,
            3.2,
            length=3,
        ),
        Parameter(
            "supply_v",
            SUPPLIES_V[0],
            "what the servos are made for, which decides the voltages that are too low [V]",
            choices=SUPPLIES_V,
            read_only=True,
        ),
        Parameter(
            "state_timeout_s",
            health.state_timeout_s,
            "a servo silent for longer makes the arm hold [s]",
            0.03,
            1.0,
        ),
    ]


def _levels(steps: Steps) -> list[float]:
    return [float(limit) for limit in (steps.warn, steps.hold, steps.off)]


def settings_problem(values: Mapping[str, Any]) -> str | None:
    """Why these values do not go together, or None; ranges of single values are checked elsewhere."""
    for name in ("temperature_c", "current_a", "gripper_current_a"):
        warn, hold, off = values[name]
        if not warn <= hold <= off:
            return f"{name}: expected three values that do not fall, got {values[name]}"
    return None


def settings_from(values: Mapping[str, Any]) -> ArmSettings:
    """Settings from parameter values, which `settings_problem` has nothing against."""
    plain = {name: values[name] for name in ArmSettings.__dataclass_fields__ if name in values}
    gains = Gains(values["p_gain"], values["i_gain"], values["d_gain"])
    return ArmSettings(**plain, gains=gains, health=_health_limits(values))


def _health_limits(values: Mapping[str, Any]) -> HealthLimits:
    limits = HealthLimits(state_timeout_s=values["state_timeout_s"])
    if values["supply_v"] == SUPPLIES_V[1]:
        limits = limits.for_12_v()
    steps = {}
    for name in ("temperature_c", "current_a", "gripper_current_a"):
        warn, hold, off = values[name]
        steps[name] = replace(getattr(limits, name), warn=warn, hold=hold, off=off)
    return replace(limits, **steps)
