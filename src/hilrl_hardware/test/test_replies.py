import random

from hilrl_hardware.replies import checksum, take_replies


def packet(servo_id: int, data: bytes, error: int = 0) -> bytes:
    head = bytes([0xFF, 0xFF, servo_id, len(data) + 2, error]) + data
    return head + bytes([checksum(head)])


def test_a_reply_is_taken_in_whatever_pieces_it_comes():
    stream = packet(1, b"\x01\x02") + packet(2, b"\xff\xff")
    for cut in range(len(stream)):
        buffer = bytearray(stream[:cut])
        found = take_replies(buffer, (1, 2), 2)
        buffer += stream[cut:]
        found += take_replies(buffer, (1, 2), 2)
        assert found == [(1, b"\x01\x02"), (2, b"\xff\xff")], cut
        assert not buffer


def test_a_damaged_byte_anywhere_loses_its_reply_and_no_other():
    stream = packet(1, b"\x01\x02\x03") + packet(2, b"\x04\x05\x06")
    for at in range(9):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(stream)
            damaged[at] ^= flip
            assert take_replies(damaged, (1, 2), 3, complete=True) == [(2, b"\x04\x05\x06")], (at, flip)


def test_a_reply_of_another_length_or_servo_or_with_an_impossible_error_is_not_taken():
    stream = packet(3, b"\x01\x02") + packet(1, b"\x01\x02\x03") + packet(1, b"\x01\x02", error=0x80)
    assert take_replies(bytearray(stream), (1, 2), 2, complete=True) == []


def test_a_reply_that_lacks_bytes_does_not_hide_the_whole_one_behind_it():
    whole = packet(2, bytes(range(15)))
    for cut in range(1, 20):
        stream = bytearray(packet(1, bytes(15))[:-cut] + whole)
        assert take_replies(stream, (1, 2), 15, complete=True)[-1] == (2, bytes(range(15))), cut


def test_among_random_bytes_every_intact_reply_is_found():
    rng = random.Random(1)
    for _ in range(3000):
        sent, stream = [], bytearray()
        for servo_id in (1, 2, 3):
            # No header in the noise: what looks like one may swallow what follows, as on a real bus.
            stream += bytes(rng.randrange(255) for _ in range(rng.randrange(6)))
            data = bytes(rng.randrange(256) for _ in range(15))
            sent.append((servo_id, data))
            stream += packet(servo_id, data)
        assert take_replies(stream, (1, 2, 3), 15, complete=True) == sent
