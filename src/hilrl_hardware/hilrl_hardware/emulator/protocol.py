"""Frames on the wire: requests found in a stream of bytes, and the replies to them."""

from dataclasses import dataclass
from enum import IntEnum

BROADCAST = 254
HEADER = b"\xff\xff"
FRAME_OVERHEAD = 6
"""Bytes of a frame besides its parameters."""
PARTIAL_FRAME_S = 0.02
"""A frame whose rest has not come by then never will."""


class Instruction(IntEnum):
    """What a request asks for."""

    PING = 1
    READ = 2
    WRITE = 3
    REG_WRITE = 4
    ACTION = 5
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83


@dataclass(frozen=True, slots=True)
class Request:
    """A frame from the host that came whole."""

    servo_id: int
    instruction: int
    parameters: bytes


def frame(servo_id: int, code: int, parameters: bytes = b"") -> bytes:
    """A frame; `code` is the instruction of a request or the error byte of a reply."""
    body = bytes((servo_id, len(parameters) + 2, code)) + parameters
    return HEADER + body + bytes((~sum(body) & 0xFF,))


def collide(frames: list[bytes]) -> bytes:
    """What is heard when several servos speak at once: a line that any of them pulls low is low."""
    heard = bytearray(b"\xff" * max(map(len, frames)))
    for one in frames:
        for index, byte in enumerate(one):
            heard[index] &= byte
    return bytes(heard)


class RequestReader:
    """Finds whole frames in what comes. Those that are damaged are dropped without a word, as servos do."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._last_s = 0.0

    def feed(self, data: bytes, now_s: float) -> list[Request]:
        """The frames that end in `data`."""
        if now_s - self._last_s > PARTIAL_FRAME_S:
            self._buffer.clear()
        self._last_s = now_s
        self._buffer += data
        requests = []
        while request := self._next():
            requests.append(request)
        return requests

    def _next(self) -> Request | None:
        buffer = self._buffer
        while (start := buffer.find(HEADER)) >= 0:
            del buffer[:start]
            if len(buffer) < 4:
                return None
            servo_id, length = buffer[2], buffer[3]
            if servo_id > BROADCAST or not 2 <= length <= 250:
                del buffer[0]
                continue
            if len(buffer) < length + 4:
                return None
            body, checksum = bytes(buffer[2 : length + 3]), buffer[length + 3]
            if ~sum(body) & 0xFF != checksum:
                del buffer[0]
                continue
            del buffer[: length + 4]
            return Request(servo_id, body[2], body[3:])
        del buffer[: max(0, len(buffer) - 1)]  # the last byte may be half a header
        return None
