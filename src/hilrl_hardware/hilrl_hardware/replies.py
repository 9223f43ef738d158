"""Status packets in a stream of bytes that may hold anything."""

from collections.abc import Collection

HEADER = b"\xff\xff"
OVERHEAD = 6
"""Header, id, length, error and checksum."""
MAX_ERROR = 0x7F


def checksum(packet: bytes) -> int:
    """Of a packet without its checksum."""
    return ~sum(packet[2:]) & 0xFF


def take_replies(
    buffer: bytearray, ids: Collection[int], size: int, complete: bool = False
) -> list[tuple[int, bytes]]:
    """(id, data) of every valid reply from one of `ids` with `size` bytes of data; they leave `buffer`.

    What precedes a reply and what cannot become one leaves too. With `complete` nothing more will come, so
    that a packet that lacks bytes is passed over: a whole one may lie behind.
    """
    found = []
    at = 0
    while (at := buffer.find(HEADER, at)) >= 0:
        frame = bytes(buffer[at : at + OVERHEAD + size])
        if len(frame) > 3 and (frame[2] not in ids or frame[3] != size + 2):
            at += 1
        elif len(frame) < OVERHEAD + size:
            if not complete:
                break
            at += 1
        elif frame[4] > MAX_ERROR or frame[-1] != checksum(frame[:-1]):
            at += 1
        else:
            found.append((frame[2], frame[5:-1]))
            at += len(frame)
            del buffer[:at]
            at = 0
    if at < 0:
        # The first half of a header may be the last byte.
        at = len(buffer) - (1 if buffer.endswith(HEADER[:1]) and not complete else 0)
    del buffer[:at]
    return found
