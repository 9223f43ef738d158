"""The servos of a bus: what each does with a request, and what it answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hilrl_hardware import registers
from hilrl_hardware.emulator.faults import Faults
from hilrl_hardware.emulator.protocol import BROADCAST, Instruction, Request, collide, frame
from hilrl_hardware.emulator.recording import Recorder
from hilrl_hardware.emulator.servo import Servo

POSITION = registers.PRESENT_POSITION
RETURN_DELAY_UNIT_S = 2e-6
ACKNOWLEDGES_ALL = 1
"""Response_Status_Level; 0 answers PING and READ only."""
BAUD_RATES = (1_000_000, 500_000, 250_000, 128_000, 115_200, 76_800, 57_600, 38_400)
"""By the value of Baud_Rate."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one servo puts on the wire."""

    servo_id: int
    data: bytes
    pause_s: float
    """Between the end of what came before and this."""
    late_s: float = 0.0
    """How much longer it takes on its way to the host."""


class Responder:
    """All servos of a bus."""

    def __init__(self, servos: Sequence[Servo], faults: Faults, recorder: Recorder | None = None) -> None:
        self.servos = servos
        self._faults = faults
        self._recorder = recorder
        self._handlers: dict[int, Callable[[Request, list[Servo], float], list[Reply]]] = {
            Instruction.PING: self._ping,
            Instruction.READ: self._read,
            Instruction.WRITE: self._write,
            Instruction.REG_WRITE: self._reg_write,
            Instruction.ACTION: self._action,
            Instruction.SYNC_READ: self._sync_read,
            Instruction.SYNC_WRITE: self._sync_write,
        }

    def answer(self, request: Request, baud_rate: int, now_s: float) -> list[Reply]:
        """Do what is asked; the replies in the order in which they come."""
        handler = self._handlers.get(request.instruction)
        if handler is None:
            return []
        replies = handler(request, [servo for servo in self.servos if hears(servo, baud_rate, now_s)], now_s)
        return [reply for one in replies if (reply := self._damaged(one)).data] if self._faults else replies

    def _damaged(self, reply: Reply) -> Reply:
        data, late_s = self._faults.damage_reply(reply.servo_id, reply.data)
        return replace(reply, data=data, late_s=late_s)

    def _called(self, servo_id: int, servos: list[Servo]) -> list[Servo]:
        """Those that a frame is for and that do not miss it."""
        called = [servo for servo in servos if servo_id in (servo.servo_id, BROADCAST)]
        return [servo for servo in called if not (self._faults and self._faults.deaf(servo.servo_id))]

    def _ping(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        by_id: dict[int, list[Servo]] = {}
        for servo in self._called(request.servo_id, servos):
            servo.advance(now_s)
            by_id.setdefault(servo.servo_id, []).append(servo)
        return [
            spoken(servo_id, [(servo, b"") for servo in same], servo_id)
            for servo_id, same in sorted(by_id.items())
        ]

    def _read(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        if len(request.parameters) != 2 or request.servo_id == BROADCAST:
            return []
        return self._data(request.servo_id, *request.parameters, servos, now_s)

    def _sync_read(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        if len(request.parameters) < 3:
            return []
        address, count, *ids = request.parameters
        return [reply for servo_id in ids for reply in self._data(servo_id, address, count, servos, now_s)]

    def _data(
        self, servo_id: int, address: int, count: int, servos: list[Servo], now_s: float
    ) -> list[Reply]:
        said = []
        for servo in self._called(servo_id, servos):
            data = servo.read(address, count, now_s)
            if data is None:
                continue
            said.append((servo, data))
            start = POSITION.address - address
            if self._recorder and 0 <= start <= count - POSITION.size:
                self._recorder.reply(now_s, servo_id, POSITION.decode(data[start : start + POSITION.size]))
        return [spoken(servo_id, said, servo_id)] if said else []

    def _write(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        if len(request.parameters) < 2:
            return []
        called = self._called(request.servo_id, servos)
        for servo in called:
            self._store(servo, request.parameters[0], request.parameters[1:], now_s)
        return self._acknowledged(request, called)

    def _reg_write(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        if len(request.parameters) < 2:
            return []
        called = self._called(request.servo_id, servos)
        for servo in called:
            servo.hold_write(request.parameters[0], request.parameters[1:])
        return self._acknowledged(request, called)

    def _action(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        called = self._called(request.servo_id, servos)
        for servo in called:
            servo_id = servo.servo_id
            if (done := servo.act(now_s)) and self._recorder:
                self._recorder.write(now_s, servo_id, *done)
        return self._acknowledged(request, called)

    def _sync_write(self, request: Request, servos: list[Servo], now_s: float) -> list[Reply]:
        address, count = request.parameters[0:1], request.parameters[1:2]
        if not count or not count[0]:
            return []
        size, rest = count[0], request.parameters[2:]
        for start in range(0, len(rest) - size, size + 1):
            data = rest[start + 1 : start + 1 + size]
            for servo in self._called(rest[start], servos):
                self._store(servo, address[0], data, now_s)
        return []

    def _store(self, servo: Servo, address: int, data: bytes, now_s: float) -> None:
        if self._recorder:
            self._recorder.write(now_s, servo.servo_id, address, data)
        servo.write(address, data, now_s)

    def _acknowledged(self, request: Request, called: list[Servo]) -> list[Reply]:
        level = registers.RESPONSE_STATUS_LEVEL.address
        speaking = [(servo, b"") for servo in called if servo.memory[level] >= ACKNOWLEDGES_ALL]
        if request.servo_id == BROADCAST or not speaking:
            return []
        return [spoken(request.servo_id, speaking, request.servo_id)]


def hears(servo: Servo, baud_rate: int, now_s: float) -> bool:
    """Whether a servo is awake and listens at this rate."""
    index = servo.memory[registers.BAUD_RATE.address]
    return now_s >= servo.silent_until_s and index < len(BAUD_RATES) and BAUD_RATES[index] == baud_rate


def spoken(servo_id: int, said: list[tuple[Servo, bytes]], reply_id: int) -> Reply:
    """The reply of a servo, or what becomes of it where several have the same id."""
    frames = [frame(reply_id, servo.status, data) for servo, data in said]
    pause = said[0][0].memory[registers.RETURN_DELAY_TIME.address] * RETURN_DELAY_UNIT_S
    return Reply(servo_id, frames[0] if len(frames) == 1 else collide(frames), pause)
