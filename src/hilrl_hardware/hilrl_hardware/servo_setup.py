"""What the driver sets in the servos before it moves them, and what it refuses to start with.

Values as in LeRobot's configuration of an SO-101 (2026-08), so that an arm behaves alike under both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hilrl_hardware import registers as r
from hilrl_hardware.bus import NoReply, ServoBus
from hilrl_ros.joints import JOINT_NAMES

GRIPPER = JOINT_NAMES.index("gripper")
GRIPPER_CURRENT_UNITS = 250
"""Protection_Current of the follower's gripper: 1.6 A."""
GRIPPER_OVERLOAD_PERCENT = 25


@dataclass(frozen=True)
class Gains:
    """Of the position controller in each servo."""

    p: int = 16
    """Half of the servo's own default: less shaking."""
    i: int = 0
    d: int = 32


def expect_all_present(bus: ServoBus, ids: Sequence[int]) -> None:
    """Raises NoReply naming servos that are missing, ValueError for those of another model or firmware."""
    models: dict[str, int] = {}
    missing = []
    for name, servo_id in zip(JOINT_NAMES, ids, strict=True):
        try:
            models[name] = bus.ping(servo_id)
        except NoReply:
            missing.append(f"{name} ({servo_id})")
    if missing:
        raise NoReply(
            f"port {bus.port}: no answer from {', '.join(missing)}; expected six servos, powered and chained"
        )
    firmware = {}
    for name, servo_id in zip(JOINT_NAMES, ids, strict=True):
        if models[name] != r.MODEL_STS3215:
            raise ValueError(
                f"port {bus.port}: {name} ({servo_id}) is of model {models[name]}; expected "
                f"{r.MODEL_STS3215}, an STS3215"
            )
        firmware[name] = (bus.read(servo_id, r.FIRMWARE_MAJOR), bus.read(servo_id, r.FIRMWARE_MINOR))
    if len(set(firmware.values())) > 1:
        versions = ", ".join(f"{name} {major}.{minor}" for name, (major, minor) in firmware.items())
        raise ValueError(f"port {bus.port}: expected one firmware on all servos, got {versions}; update them")


def configure(bus: ServoBus, ids: Sequence[int], role: str, gains: Gains) -> None:
    """Write the settings that differ; they survive power-off.

    The torque stays as it is, but for a servo in another mode than position control: it must let go first.
    """
    for index, servo_id in enumerate(ids):
        wanted = _settings(role, index, gains)
        wanted[r.PHASE] = bus.read(servo_id, r.PHASE) & ~r.PHASE_MULTI_TURN
        differing = {
            register: value for register, value in wanted.items() if bus.read(servo_id, register) != value
        }
        if differing:
            if r.OPERATING_MODE in differing:
                bus.write(servo_id, r.TORQUE_ENABLE, 0)
            bus.write(servo_id, r.LOCK, 0)
            for register, value in differing.items():
                bus.write(servo_id, register, value)
            bus.write(servo_id, r.LOCK, 1)


def _settings(role: str, index: int, gains: Gains) -> dict[r.Register, int]:
    settings = {r.RETURN_DELAY_TIME: 0, r.OPERATING_MODE: 0, r.MAXIMUM_ACCELERATION: 254}
    if role == "follower":
        settings |= {r.P_COEFFICIENT: gains.p, r.I_COEFFICIENT: gains.i, r.D_COEFFICIENT: gains.d}
        if index == GRIPPER:
            settings |= {
                r.MAX_TORQUE_LIMIT: 500,
                r.PROTECTION_CURRENT: GRIPPER_CURRENT_UNITS,
                r.OVERLOAD_TORQUE: GRIPPER_OVERLOAD_PERCENT,
            }
    return settings


def speed_units(bus: ServoBus, ids: Sequence[int]) -> list[int]:
    """Tick/s that one count of Goal_Velocity means, per servo: 1 or, with Phase bit 2 clear, 50."""
    return [1 if bus.read(servo_id, r.PHASE) & r.PHASE_FINE_SPEED else 50 for servo_id in ids]
