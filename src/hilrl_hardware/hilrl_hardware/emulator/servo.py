"""One emulated STS3215: its memory, what writing to it does, and what it measures."""

import math
import struct
from collections.abc import Mapping

from hilrl_hardware import registers
from hilrl_hardware.emulator.motion import DROOP_GAIN, UNRAMPED_ACCELERATION, Drive, Mechanics, Motion
from hilrl_hardware.emulator.protection import Protection, Supply
from hilrl_hardware.registers import TICKS_PER_TURN, Register

MEMORY_SIZE = 128
EEPROM_END = 40
LARGEST_POSITION = 32767
"""That Present_Position can tell, after many turns."""
STEP_S = 0.005
"""Longest that a moving joint is taken to keep its speed."""
CENTRE_HERE = 128
"""Torque_Enable with this value makes the present position `CENTRED_TICK`."""
CENTRED_TICK = 2048
PENDING_WRITE = 64
"""Address of the flag that a REG_WRITE waits."""
PHASE_ZERO_SPEED_IS_MAX = 1 << 3
"""Bit of Phase: Goal_Velocity 0 sets no limit; clear: the joint stays where it is."""
COARSE_SPEED_UNIT = 50
"""Of Goal_Velocity [tick/s] while the bit for the fine unit is clear in Phase."""
MEASURED = struct.Struct("<HHHBBBBBHH")
"""Registers 56..70."""
MEASURED_START = registers.PRESENT_POSITION.address
MEASURED_END = MEASURED_START + MEASURED.size
READ_ONLY = {*range(registers.ID.address), *range(MEASURED_START, MEASURED_END)}
FACTORY = {
    registers.FIRMWARE_MAJOR: 3,
    registers.FIRMWARE_MINOR: 10,
    registers.MODEL_NUMBER: registers.MODEL_STS3215,
    registers.RETURN_DELAY_TIME: 250,
    registers.RESPONSE_STATUS_LEVEL: 1,
    registers.MAX_POSITION_LIMIT: 4095,
    registers.MAX_TEMPERATURE_LIMIT: 70,
    registers.MAX_VOLTAGE_LIMIT: 80,
    registers.MIN_VOLTAGE_LIMIT: 40,
    registers.MAX_TORQUE_LIMIT: 1000,
    registers.PHASE: 12,
    registers.UNLOADING_CONDITION: 44,
    registers.P_COEFFICIENT: 32,
    registers.D_COEFFICIENT: 32,
    registers.PROTECTION_CURRENT: 500,
    registers.PROTECTIVE_TORQUE: 20,
    registers.PROTECTION_TIME: 200,
    registers.OVERLOAD_TORQUE: 80,
    Register("LED_Alarm_Condition", 20): 47,
    Register("CW_Dead_Zone", 26): 1,
    Register("CCW_Dead_Zone", 27): 1,
    Register("Angular_Resolution", 30): 1,
    Register("Over_Current_Protection_Time", 38): 200,
    registers.MAXIMUM_ACCELERATION: 254,
}


class Servo:
    """A servo with its joint. Time is given, in seconds of one clock, and only ever taken forward.

    Only the position mode moves the joint: in the other operating modes the motor is off.
    """

    def __init__(
        self,
        servo_id: int,
        mechanics: Mechanics | None = None,
        encoder: float = 2048.0,
        values: Mapping[Register, int] | None = None,
        supply: Supply | None = None,
    ) -> None:
        self.memory = bytearray(MEMORY_SIZE)
        for register, value in {**FACTORY, registers.ID: servo_id, **(values or {})}.items():
            self._put(register, value)
        self._eeprom = bytes(self.memory[:EEPROM_END])
        self.motion = Motion(mechanics or Mechanics(), encoder)
        self.protection = Protection(supply or Supply())
        self.forced: dict[Register, int] = {}
        """Measurements that somebody has overridden."""
        self.silent_until_s = -math.inf
        self._time_s: float | None = None
        self._pending: tuple[int, bytes] | None = None
        self._settings: Drive | None = None
        self._resting = False
        self.power_up()

    @property
    def servo_id(self) -> int:
        """As other frames address it."""
        return self.memory[registers.ID.address]

    @property
    def status(self) -> int:
        """Fault bits, the error byte of every reply."""
        return self.forced.get(registers.STATUS, self.protection.status)

    def power_up(self) -> None:
        """Forget what is not in the EEPROM. The joint stays where it is."""
        self.memory[:EEPROM_END] = self._eeprom
        self.memory[EEPROM_END:MEASURED_END] = bytes(MEASURED_END - EEPROM_END)
        self._put(registers.LOCK, 1)
        self._put(registers.TORQUE_LIMIT, self.get(registers.MAX_TORQUE_LIMIT))
        if self.protection.supply.torque_at_power_up:
            self._put(registers.GOAL_POSITION, round(self.position()))
            self._put(registers.TORQUE_ENABLE, 1)
        self.protection.reset()
        self._pending = None
        self.disturb()

    def disturb(self) -> None:
        """Something has changed: settings are to be read again, a resting joint may move."""
        self._settings = None
        self._resting = False

    def get(self, register: Register) -> int:
        """A register as it is in memory; measurements are as of the last `refresh`."""
        return register.decode(self.memory[register.address : register.address + register.size])

    def _put(self, register: Register, value: int) -> None:
        self.memory[register.address : register.address + register.size] = bytes(register.encode(value))

    # -- what the bus does -------------------------------------------------------------------------------

    def read(self, address: int, count: int, now_s: float) -> bytes | None:
        """Bytes of memory; None where there are none."""
        if address + count > MEMORY_SIZE:
            return None
        if address < MEASURED_END and address + count > MEASURED_START:
            self.refresh(now_s)
        return bytes(self.memory[address : address + count])

    def write(self, address: int, data: bytes, now_s: float) -> None:
        """Write what may be written. The EEPROM keeps it only where Lock is 0."""
        self.advance(now_s)
        persists = self.memory[registers.LOCK.address] == 0
        before = self.memory[registers.TORQUE_ENABLE.address]
        for index, byte in enumerate(data, address):
            if index < MEMORY_SIZE and index not in READ_ONLY:
                self.memory[index] = byte
        if persists and address < EEPROM_END:
            self.keep()
        torque = registers.TORQUE_ENABLE.address
        if address <= torque < address + len(data):
            self.protection.reset()
            if self.memory[torque] == CENTRE_HERE:
                self.memory[torque] = before
                self._centre()
        self.disturb()

    def hold_write(self, address: int, data: bytes) -> None:
        """Keep a REG_WRITE until `act`."""
        self._pending = address, data
        self.memory[PENDING_WRITE] = 1

    def act(self, now_s: float) -> tuple[int, bytes] | None:
        """Carry out the write that waits, if any; what was written."""
        pending, self._pending = self._pending, None
        self.memory[PENDING_WRITE] = 0
        if pending:
            self.write(*pending, now_s)
        return pending

    def poke(self, register: Register, value: int) -> None:
        """Change memory from outside."""
        self._put(register, value)
        self.disturb()

    def keep(self) -> None:
        """Make the EEPROM hold what its part of memory holds."""
        self._eeprom = bytes(self.memory[:EEPROM_END])

    def _centre(self) -> None:
        offset = round(self.motion.encoder) % TICKS_PER_TURN - CENTRED_TICK
        limit = registers.MAX_HOMING_OFFSET
        self._put(registers.HOMING_OFFSET, min(max(offset, -limit), limit))
        self.keep()

    # -- what the joint does -----------------------------------------------------------------------------

    def position(self) -> float:
        """Present_Position before it is rounded [tick]."""
        present = self.motion.encoder - self.get(registers.HOMING_OFFSET)
        return present if self._multi_turn else present % TICKS_PER_TURN

    @property
    def _multi_turn(self) -> bool:
        return bool(self.memory[registers.PHASE.address] & registers.PHASE_MULTI_TURN)

    def advance(self, now_s: float) -> None:
        """Let the joint move until `now_s`."""
        left_s = 0.0 if self._time_s is None else now_s - self._time_s
        self._time_s = now_s
        while left_s > 0:
            # A joint at rest stays there until something is written, so that one long step does for many.
            dt_s = left_s if self._resting else min(left_s, STEP_S)
            left_s -= dt_s
            drive = self._settings = self._settings or self._drive()
            moved = self.motion.step(drive, dt_s)
            changed = self.protection.update(self, dt_s)
            if changed:
                self._settings = None
            self._resting = not (moved or changed)

    def _drive(self) -> Drive:
        memory, motion = self.memory, self.motion
        enabled = memory[registers.TORQUE_ENABLE.address]
        position = self.position()
        goal = self.get(registers.GOAL_POSITION)
        low, high = self.get(registers.MIN_POSITION_LIMIT), self.get(registers.MAX_POSITION_LIMIT)
        if low or high:
            goal = min(max(goal, low), high)
        phase = memory[registers.PHASE.address]
        speed = abs(self.get(registers.GOAL_VELOCITY))
        if not phase & registers.PHASE_FINE_SPEED:
            speed *= COARSE_SPEED_UNIT
        if speed == 0 and phase & PHASE_ZERO_SPEED_IS_MAX:
            speed = registers.MAX_SPEED_TICKS
        torque = min(self.get(registers.TORQUE_LIMIT) * registers.TORQUE_UNIT, 1.0)
        in_position_mode = memory[registers.OPERATING_MODE.address] == 0
        return Drive(
            target=motion.encoder + goal - position,
            torque=self.protection.allowed(self, torque) if enabled == 1 and in_position_mode else 0.0,
            speed=min(speed, registers.MAX_SPEED_TICKS),
            acceleration=memory[registers.ACCELERATION.address] * 100.0 or UNRAMPED_ACCELERATION,
            stiffness=max(memory[registers.P_COEFFICIENT.address], 1) / DROOP_GAIN,
            damped=enabled == 2,
        )

    def refresh(self, now_s: float) -> None:
        """Measure: bring registers 56..70 up to date."""
        self.advance(now_s)
        motion, protection = self.motion, self.protection
        position = min(max(round(self.position()), -LARGEST_POSITION), LARGEST_POSITION)
        if not self._multi_turn:
            position %= TICKS_PER_TURN
        MEASURED.pack_into(
            self.memory,
            MEASURED_START,
            sign_magnitude(position, 15),
            sign_magnitude(round(motion.speed), 15),
            sign_magnitude(round(motion.duty / registers.LOAD_UNIT), 10),
            min(max(round(protection.voltage_v / registers.VOLTAGE_UNIT_V), 0), 255),
            min(max(round(protection.temperature_c), 0), 255),
            self.memory[PENDING_WRITE],
            protection.status,
            motion.speed != 0,
            sign_magnitude(self.get(registers.GOAL_POSITION), 15),
            sign_magnitude(round(protection.current_a / registers.CURRENT_UNIT_A), 15),
        )
        for register, value in self.forced.items():
            self._put(register, value)

    def truth(self, now_s: float) -> dict[str, float | bool]:
        """What the servo knows, and what only its joint does."""
        self.refresh(now_s)
        motion = self.motion
        return {
            "id": self.servo_id,
            "tick": self.position(),
            "encoder": motion.encoder,
            "speed": motion.speed,
            "goal": self.get(registers.GOAL_POSITION),
            "torque_enabled": bool(self.memory[registers.TORQUE_ENABLE.address]),
            "torque_limit": self.get(registers.TORQUE_LIMIT) * registers.TORQUE_UNIT,
            "torque": motion.torque,
            "current_a": self.protection.current_a,
            "temperature_c": self.protection.temperature_c,
            "voltage_v": self.protection.voltage_v,
            "status": self.status,
            "held": motion.held,
            "stuck": motion.stuck,
        }


def sign_magnitude(value: int, sign_bit: int) -> int:
    """A word with the sign in one bit."""
    return value if value >= 0 else -value | 1 << sign_bit
