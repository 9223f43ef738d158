"""The two arms that the emulator can be: where their joints are, how heavy, and how they are calibrated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hilrl_hardware import registers
from hilrl_hardware.emulator.motion import Mechanics
from hilrl_hardware.emulator.protection import Supply
from hilrl_hardware.emulator.servo import Servo
from hilrl_hardware.registers import Register

REGISTERS = {value.name: value for value in vars(registers).values() if isinstance(value, Register)}
FOLLOWER, LEADER = "follower", "leader"
ROLL_TRAVEL = 3641
"""Of the wrist, which is said to turn all the way round [tick]."""
SWEEP_MARGIN = 6
"""How far short of its stops a joint was swept for its calibration [tick]."""


@dataclass(frozen=True)
class EmulatedJoint:
    """One joint, built and calibrated in a way of its own, as joints are."""

    name: str
    servo_id: int
    homing_offset: int
    range_min: int
    range_max: int
    gravity: float = 0.0

    def calibration(self) -> dict[str, int]:
        """As LeRobot writes it."""
        return {
            "id": self.servo_id,
            "drive_mode": 0,
            "homing_offset": self.homing_offset,
            "range_min": self.range_min,
            "range_max": self.range_max,
        }

    def mechanics(self) -> Mechanics:
        """Its stops are just outside its range."""
        low, high = self.range_min - SWEEP_MARGIN, self.range_max + SWEEP_MARGIN
        if self.name == "wrist_roll":
            low, high = round(2047.5 - ROLL_TRAVEL / 2), round(2047.5 + ROLL_TRAVEL / 2)
        return Mechanics(low + self.homing_offset, high + self.homing_offset, self.gravity)

    def middle(self) -> float:
        """Of its travel, of the encoder [tick]."""
        return (self.range_min + self.range_max) / 2 + self.homing_offset


ARMS: Mapping[str, tuple[EmulatedJoint, ...]] = {
    FOLLOWER: (
        EmulatedJoint("shoulder_pan", 1, -312, 792, 3295),
        EmulatedJoint("shoulder_lift", 2, 1150, 905, 3181, gravity=0.25),
        EmulatedJoint("elbow_flex", 3, -412, 871, 3094, gravity=0.18),
        EmulatedJoint("wrist_flex", 4, 97, 960, 3122, gravity=0.06),
        EmulatedJoint("wrist_roll", 5, 1203, 0, 4095),
        EmulatedJoint("gripper", 6, -655, 1421, 2673),
    ),
    LEADER: (
        EmulatedJoint("shoulder_pan", 1, 233, 801, 3310),
        EmulatedJoint("shoulder_lift", 2, -977, 887, 3160, gravity=0.22),
        EmulatedJoint("elbow_flex", 3, 518, 932, 3141, gravity=0.15),
        EmulatedJoint("wrist_flex", 4, -64, 984, 3149, gravity=0.05),
        EmulatedJoint("wrist_roll", 5, -1422, 0, 4095),
        EmulatedJoint("gripper", 6, 371, 1702, 2391),
    ),
}


def calibration(role: str) -> dict[str, dict[str, int]]:
    """Of one of the arms, as LeRobot's file has it."""
    return {joint.name: joint.calibration() for joint in ARMS[role]}


def arm(role: str, calibrated: bool, gravity: bool, supply: Supply) -> list[Servo]:
    """The six servos of an arm in the middle of their travel, held by a hand."""
    servos = []
    for joint in ARMS[role]:
        values = {registers.RETURN_DELAY_TIME: 0}
        if calibrated:
            values[registers.HOMING_OFFSET] = joint.homing_offset
            values[registers.MIN_POSITION_LIMIT] = joint.range_min
            values[registers.MAX_POSITION_LIMIT] = joint.range_max
        built = joint.mechanics()
        mechanics = built if gravity else Mechanics(built.lower_stop, built.upper_stop)
        servos.append(Servo(joint.servo_id, mechanics, joint.middle(), values, supply))
    return servos


def loose_servos(descriptions: Iterable[Mapping[str, Any]], supply: Supply) -> list[Servo]:
    """Servos as they come out of their boxes.

    Each may have "id", "encoder", "gravity", "lower_stop", "upper_stop" and "registers": {name: value}.
    """
    servos = []
    for number, description in enumerate(descriptions):
        about = dict(description)
        servo_id, encoder = about.pop("id", 1), about.pop("encoder", 2048.0 + 100 * number)
        values = {REGISTERS[name]: value for name, value in about.pop("registers", {}).items()}
        servos.append(Servo(servo_id, Mechanics(**about), encoder, values, supply))
    return servos
