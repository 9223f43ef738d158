"""What was said on the bus, written down as it happens and read back by tests."""

import struct
from dataclasses import dataclass
from pathlib import Path

REPLY = struct.Struct("<dBBi")
"""Time, servo, `REPLY_MARK`, Present_Position."""
WRITE = struct.Struct("<dBBBB")
"""Time, servo, `WRITE_MARK`, address, count of the bytes that follow."""
REPLY_MARK, WRITE_MARK = 1, 2
BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class PositionSent:
    """A servo read its Present_Position for a reply. What became of the reply on its way is not told."""

    time_s: float
    """When the register was read, by time.monotonic()."""
    servo_id: int
    tick: int


@dataclass(frozen=True, slots=True)
class Written:
    """A write reached a servo."""

    time_s: float
    """When, by time.monotonic()."""
    servo_id: int
    address: int
    data: bytes


Event = PositionSent | Written


class Recorder:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=BUFFER_BYTES)

    def reply(self, time_s: float, servo_id: int, tick: int) -> None:
        """A servo sends its position."""
        self._file.write(REPLY.pack(time_s, servo_id, REPLY_MARK, tick))

    def write(self, time_s: float, servo_id: int, address: int, data: bytes) -> None:
        """A servo got bytes."""
        self._file.write(WRITE.pack(time_s, servo_id, WRITE_MARK, address, len(data)) + data)

    def flush(self) -> None:
        """Make all so far readable by others."""
        self._file.flush()

    def close(self) -> None:
        """End the recording."""
        self._file.close()


def read_events(path: Path) -> list[Event]:
    """What was recorded so far, in order. The last one may be missing where the emulator was killed."""
    content, start, events = path.read_bytes(), 0, list[Event]()
    while start + WRITE.size <= len(content):
        time_s, servo_id, mark, address, count = WRITE.unpack_from(content, start)
        if mark == REPLY_MARK:
            if start + REPLY.size > len(content):
                break
            events.append(PositionSent(time_s, servo_id, REPLY.unpack_from(content, start)[3]))
            start += REPLY.size
            continue
        data = content[start + WRITE.size : start + WRITE.size + count]
        if len(data) < count:
            break
        events.append(Written(time_s, servo_id, address, data))
        start += WRITE.size + count
    return events
