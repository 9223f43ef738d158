"""The STS3215's memory: one table of its registers, their sizes, signs and units.

Sources: Feetech's memory table for the STS series, and LeRobot's names for it (2026-08), which are used here.
"""

import math
from dataclasses import dataclass

MODEL_STS3215 = 777
TICKS_PER_TURN = 4096
TICK_RAD = 2 * math.pi / TICKS_PER_TURN
"""One step of the 12-bit encoder [rad]."""
CENTRE_TICK = 2047
"""What a homed joint reads in the middle of its travel, as LeRobot has it."""
CURRENT_UNIT_A = 0.0065
VOLTAGE_UNIT_V = 0.1
LOAD_UNIT = 0.001
"""Present_Load: duty of the motor's supply, of 1."""
TORQUE_UNIT = 0.001
"""Torque_Limit and Max_Torque_Limit, of the stall torque."""
MAX_SPEED_TICKS = 3400
"""Most that Goal_Velocity takes [tick/s]."""
MAX_HOMING_OFFSET = 2047

FAULTS = {1: "voltage", 2: "encoder", 4: "over-temperature", 8: "over-current", 32: "overload"}
"""Bits of Status and of the error byte of every reply."""


@dataclass(frozen=True)
class Register:
    """One value in a servo's memory, little endian."""

    name: str
    address: int
    size: int = 1
    sign_bit: int | None = None
    """Sign and magnitude with the sign in this bit; None: unsigned."""
    persistent: bool = False
    """EEPROM: survives power-off where it was written with Lock 0."""

    def encode(self, value: int) -> list[int]:
        """Bytes of `value`. Raises ValueError naming the register for a value that does not fit."""
        magnitude, limit = abs(value), 1 << (8 * self.size if self.sign_bit is None else self.sign_bit)
        if magnitude >= limit or (value < 0 and self.sign_bit is None):
            low = 0 if self.sign_bit is None else 1 - limit
            raise ValueError(f"{self.name}: expected within [{low}, {limit - 1}], got {value}")
        word = magnitude | (1 << self.sign_bit if value < 0 and self.sign_bit is not None else 0)
        return list(word.to_bytes(self.size, "little"))

    def decode(self, data: bytes) -> int:
        """The value that `data`, `size` bytes, stands for."""
        word = int.from_bytes(data[: self.size], "little")
        if self.sign_bit is None:
            return word
        magnitude = word & ((1 << self.sign_bit) - 1)
        return -magnitude if word >> self.sign_bit & 1 else magnitude


FIRMWARE_MAJOR = Register("Firmware_Major_Version", 0)
FIRMWARE_MINOR = Register("Firmware_Minor_Version", 1)
MODEL_NUMBER = Register("Model_Number", 3, 2)
ID = Register("ID", 5, persistent=True)
BAUD_RATE = Register("Baud_Rate", 6, persistent=True)
RETURN_DELAY_TIME = Register("Return_Delay_Time", 7, persistent=True)
RESPONSE_STATUS_LEVEL = Register("Response_Status_Level", 8, persistent=True)
MIN_POSITION_LIMIT = Register("Min_Position_Limit", 9, 2, persistent=True)
MAX_POSITION_LIMIT = Register("Max_Position_Limit", 11, 2, persistent=True)
MAX_TEMPERATURE_LIMIT = Register("Max_Temperature_Limit", 13, persistent=True)
MAX_VOLTAGE_LIMIT = Register("Max_Voltage_Limit", 14, persistent=True)
MIN_VOLTAGE_LIMIT = Register("Min_Voltage_Limit", 15, persistent=True)
MAX_TORQUE_LIMIT = Register("Max_Torque_Limit", 16, 2, persistent=True)
PHASE = Register("Phase", 18, persistent=True)
UNLOADING_CONDITION = Register("Unloading_Condition", 19, persistent=True)
P_COEFFICIENT = Register("P_Coefficient", 21, persistent=True)
D_COEFFICIENT = Register("D_Coefficient", 22, persistent=True)
I_COEFFICIENT = Register("I_Coefficient", 23, persistent=True)
PROTECTION_CURRENT = Register("Protection_Current", 28, 2, persistent=True)
HOMING_OFFSET = Register("Homing_Offset", 31, 2, sign_bit=11, persistent=True)
OPERATING_MODE = Register("Operating_Mode", 33, persistent=True)
PROTECTIVE_TORQUE = Register("Protective_Torque", 34, persistent=True)
PROTECTION_TIME = Register("Protection_Time", 35, persistent=True)
OVERLOAD_TORQUE = Register("Overload_Torque", 36, persistent=True)
TORQUE_ENABLE = Register("Torque_Enable", 40)
ACCELERATION = Register("Acceleration", 41)
GOAL_POSITION = Register("Goal_Position", 42, 2, sign_bit=15)
GOAL_TIME = Register("Goal_Time", 44, 2)
GOAL_VELOCITY = Register("Goal_Velocity", 46, 2, sign_bit=15)
TORQUE_LIMIT = Register("Torque_Limit", 48, 2)
LOCK = Register("Lock", 55)
PRESENT_POSITION = Register("Present_Position", 56, 2, sign_bit=15)
PRESENT_VELOCITY = Register("Present_Velocity", 58, 2, sign_bit=15)
PRESENT_LOAD = Register("Present_Load", 60, 2, sign_bit=10)
PRESENT_VOLTAGE = Register("Present_Voltage", 62)
PRESENT_TEMPERATURE = Register("Present_Temperature", 63)
STATUS = Register("Status", 65)
MOVING = Register("Moving", 66)
PRESENT_CURRENT = Register("Present_Current", 69, 2, sign_bit=15)
MAXIMUM_ACCELERATION = Register("Maximum_Acceleration", 85)

PHASE_FINE_SPEED = 1 << 2
"""Bit of Phase: Goal_Velocity counts in tick/s; clear: in steps of 50 tick/s."""
PHASE_MULTI_TURN = 1 << 4
"""Bit of Phase: positions leave 0..4095. Must be clear."""


def fault_names(bits: int) -> list[str]:
    """The faults in a Status register or an error byte, in words."""
    return [name for bit, name in FAULTS.items() if bits & bit]
