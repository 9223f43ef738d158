"""What tests of the emulator talk to it with: frames over a serial port, and nothing that a driver adds."""

import time
from typing import Self

import serial

from hilrl_hardware import registers
from hilrl_hardware.emulator.protocol import BROADCAST, Instruction, frame
from hilrl_hardware.registers import Register

IDS = [1, 2, 3, 4, 5, 6]
REPLY_WAIT_S = 10.0
SILENCE_S = 0.3
POSITIONS = bytes((registers.PRESENT_POSITION.address, 2))
REPLY_SIZE = 8
"""With two bytes of data."""
WITNESS = {"id": 99}
"""A servo for a line that has no other that would answer."""


class Host:
    """The other end of the line, with no more than it takes."""

    def __init__(self, port: str, baud_rate: int = 1_000_000, witness: int = 1) -> None:
        self.port = serial.Serial(port, baud_rate, timeout=REPLY_WAIT_S)
        self._witness = witness

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()

    def send(self, servo_id: int, instruction: int, parameters: bytes = b"") -> None:
        self.port.write(frame(servo_id, instruction, parameters))

    def reply(self) -> bytes:
        """One whole reply."""
        head = self.port.read(4)
        assert len(head) == 4
        return head + self.port.read(head[3])

    def ask(self, servo_id: int, instruction: int, parameters: bytes = b"") -> bytes:
        """Send, and the one reply."""
        self.send(servo_id, instruction, parameters)
        return self.reply()

    def hears_nothing(self) -> bool:
        """Whether the line stays silent for a while, where no witness could tell."""
        time.sleep(SILENCE_S)
        return self.port.in_waiting == 0

    def said(self) -> bytes:
        """All that was said until the witness, a servo that is asked now, answers."""
        answer = frame(self._witness, 0)
        self.send(self._witness, Instruction.PING)
        said = self.port.read_until(answer)
        assert said.endswith(answer)
        return said.removesuffix(answer)

    def answer_to(self, servo_id: int, instruction: int, parameters: bytes = b"") -> bytes:
        """Send, and all that comes of it, which may be nothing."""
        self.send(servo_id, instruction, parameters)
        return self.said()

    def read(self, servo_id: int, register: Register) -> int:
        reply = self.ask(servo_id, Instruction.READ, bytes((register.address, register.size)))
        assert reply[:5] == bytes((0xFF, 0xFF, servo_id, register.size + 2, 0))
        return register.decode(reply[5:-1])

    def write(self, servo_id: int, register: Register, value: int) -> None:
        reply = self.ask(servo_id, Instruction.WRITE, bytes((register.address, *register.encode(value))))
        assert reply == frame(servo_id, 0)


def sync_read(ids=IDS, block=POSITIONS) -> tuple[int, int, bytes]:
    return BROADCAST, Instruction.SYNC_READ, block + bytes(ids)


def goals(values: dict[int, int]) -> tuple[int, int, bytes]:
    goal = registers.GOAL_POSITION
    data = b"".join(bytes((servo_id, *goal.encode(value))) for servo_id, value in values.items())
    return BROADCAST, Instruction.SYNC_WRITE, bytes((goal.address, goal.size)) + data
