"""The back door: what a test may see and change that no host on the bus could."""

import json
from typing import Any

from hilrl_hardware import registers
from hilrl_hardware.emulator.arm import REGISTERS
from hilrl_hardware.emulator.faults import LINE_FAULTS, Fault, Faults
from hilrl_hardware.emulator.line import Line
from hilrl_hardware.emulator.recording import Recorder
from hilrl_hardware.emulator.servo import EEPROM_END, MEASURED_END, MEASURED_START, Servo
from hilrl_hardware.registers import TICKS_PER_TURN

COMMANDS = {"set", "get", "release", "place", "let_go", "fault", "heal", "plug", "truth", "flush"}
SILENCE_S = 0.05
"""Of a servo that restarts."""
HOT_C = 75


class Control:
    """Obeys commands: JSON objects whose `do` names one of the methods below, and the rest its arguments."""

    def __init__(self, servos: list[Servo], faults: Faults, line: Line, recorder: Recorder | None) -> None:
        self._servos = servos
        self._faults = faults
        self._line = line
        self._recorder = recorder

    def obey(self, line: str, now_s: float) -> dict[str, Any]:
        """The answer: {"result": ...} or {"error": why not}."""
        try:
            command = json.loads(line)
            if (name := command.pop("do")) not in COMMANDS:
                raise ValueError(f"do: expected one of {sorted(COMMANDS)}, got {name!r}")
            for servo in self._servos:
                servo.advance(now_s)
            return {"result": getattr(self, name)(now_s=now_s, **command)}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"error": f"{line.strip()}: {type(error).__name__}: {error}"}

    def _some(self, servo_id: int | None) -> list[Servo]:
        found = [servo for servo in self._servos if servo_id in (None, servo.servo_id)]
        if not found:
            known = [servo.servo_id for servo in self._servos]
            raise ValueError(f"servo_id: expected one of {known}, got {servo_id}")
        return found

    def set(self, servo_id: int, register: str, value: int, now_s: float) -> None:
        """Change memory, whatever Lock says. A measurement keeps the value until released."""
        found = REGISTERS[register]
        found.encode(value)
        for servo in self._some(servo_id):
            if MEASURED_START <= found.address < MEASURED_END:
                servo.forced[found] = value
            else:
                servo.poke(found, value)
                if found.address < EEPROM_END:
                    servo.keep()

    def get(self, servo_id: int, register: str, now_s: float) -> int:
        """A register as a host would read it."""
        servo = self._some(servo_id)[0]
        servo.refresh(now_s)
        return servo.get(REGISTERS[register])

    def release(self, now_s: float, servo_id: int | None = None, register: str | None = None) -> None:
        """Measure again."""
        for servo in self._some(servo_id):
            if register is None:
                servo.forced.clear()
            else:
                servo.forced.pop(REGISTERS[register], None)

    def place(self, servo_id: int, tick: float, now_s: float) -> None:
        """A hand moves a joint to where its encoder reads `tick`, or to a stop, and holds it there."""
        motion = self._some(servo_id)[0].motion
        stops = motion.mechanics
        turns = [tick + turn * TICKS_PER_TURN for turn in (-1, 0, 1)]
        within = [turn for turn in turns if stops.lower_stop <= turn <= stops.upper_stop] or turns
        nearest = min(within, key=lambda turn: abs(turn - motion.encoder))
        motion.encoder = min(max(nearest, stops.lower_stop), stops.upper_stop)
        motion.speed, motion.held = 0.0, True
        self._some(servo_id)[0].disturb()

    def let_go(self, now_s: float, servo_id: int | None = None) -> None:
        """The hand goes: without torque, a joint falls."""
        for servo in self._some(servo_id):
            servo.motion.held = False
            servo.disturb()

    def fault(
        self,
        now_s: float,
        kind: str,
        servo_id: int | None = None,
        probability: float = 1.0,
        count: int | None = None,
        **detail: Any,
    ) -> None:
        """Make something go wrong from now on."""
        if servo_id is not None:
            self._some(servo_id)
        fault = Fault(kind, servo_id, probability, count, detail)
        if kind in LINE_FAULTS:
            self._faults.add(fault)
            return
        self._faults.struck[kind] += 1
        if kind == "unplugged":
            self._line.unplug()
            return
        for servo in self._some(servo_id):
            self._afflict(servo, kind, detail, now_s)

    def _afflict(self, servo: Servo, kind: str, detail: dict[str, Any], now_s: float) -> None:
        if kind == "overload":
            servo.protection.overloaded = True
        elif kind == "stuck":
            servo.motion.stuck = True
        elif kind == "hot":
            servo.forced[registers.PRESENT_TEMPERATURE] = int(detail.get("temperature_c", HOT_C))
        elif kind == "brownout":
            servo.power_up()
            servo.silent_until_s = now_s + float(detail.get("down_s", SILENCE_S))
        servo.disturb()

    def heal(self, now_s: float) -> None:
        """End all faults; a port that was taken away is back."""
        self._faults.heal()
        for servo in self._servos:
            servo.motion.stuck = False
            if servo.protection.overloaded:
                servo.protection.overloaded = False
                servo.protection.reset()
            servo.forced.pop(registers.PRESENT_TEMPERATURE, None)
            servo.disturb()
        if not self._line.plugged:
            self._line.plug()

    def plug(self, now_s: float) -> None:
        """The port is back, another one under the same name."""
        self._line.plug()

    def truth(self, now_s: float) -> dict[str, Any]:
        """All servos, and how often each kind of fault has struck."""
        return {"servos": [servo.truth(now_s) for servo in self._servos], "struck": dict(self._faults.struck)}

    def flush(self, now_s: float) -> None:
        """Make the recording readable so far."""
        if self._recorder:
            self._recorder.flush()
