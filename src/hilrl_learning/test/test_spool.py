"""The spool loses nothing, whenever its process dies (invariant 6)."""

import os
import signal
import subprocess
import sys

import pytest

from hilrl_learning.spool import Spool

SMALL = 2000


def payload(sequence: int) -> bytes:
    return sequence.to_bytes(4, "big") * 100


def fill(spool: Spool, count: int) -> None:
    for _ in range(count):
        sequence = spool.last_sequence + 1
        spool.append(sequence, 1 + sequence // 10, payload(sequence))


def test_what_was_appended_is_read_back_after_a_restart(tmp_path):
    spool = Spool(tmp_path, SMALL)
    fill(spool, 25)
    spool.close()
    spool = Spool(tmp_path, SMALL)
    assert (spool.first_sequence, spool.last_sequence, spool.last_episode) == (1, 25, 3)
    assert all(spool.read(sequence) == payload(sequence) for sequence in range(1, 26))
    fill(spool, 25)
    assert all(spool.read(sequence) == payload(sequence) for sequence in range(1, 51))


def test_acknowledged_segments_are_deleted_and_the_others_stay(tmp_path):
    spool = Spool(tmp_path, SMALL)
    fill(spool, 50)
    before = len(list(tmp_path.glob("*.steps")))
    for sequence in range(1, 31):
        spool.acknowledge(sequence)
        assert spool.read(sequence + 1) == payload(sequence + 1), "not before all of a segment is"
    assert len(list(tmp_path.glob("*.steps"))) < before
    assert 20 < spool.first_sequence <= 31
    assert all(spool.read(sequence) == payload(sequence) for sequence in range(31, 51))
    with pytest.raises(KeyError):
        spool.read(1)


def test_numbers_go_on_after_everything_was_acknowledged(tmp_path):
    for sequence in range(1, 40):
        spool = Spool(tmp_path, SMALL)
        assert spool.last_sequence == sequence - 1
        spool.append(sequence, 7 + sequence, payload(sequence))
        spool.acknowledge(sequence)
        spool.close()
    spool = Spool(tmp_path, SMALL)
    spool.acknowledge(39)
    spool.close()
    spool = Spool(tmp_path, SMALL)
    assert (spool.last_sequence, spool.last_episode, spool.first_sequence) == (39, 46, 40)
    assert len(list(tmp_path.glob("*.steps"))) == 1


def test_numbers_go_on_from_what_a_learner_knows_of_a_lost_spool(tmp_path):
    spool = Spool(tmp_path)
    spool.continue_from(500, 40)
    assert (spool.last_sequence, spool.last_episode, spool.first_sequence) == (500, 40, 501)
    spool.close()
    assert Spool(tmp_path).last_sequence == 500


def test_a_step_out_of_sequence_is_refused(tmp_path):
    spool = Spool(tmp_path)
    fill(spool, 2)
    with pytest.raises(ValueError, match="^sequence: expected 3, got 5"):
        spool.append(5, 1, b"")


@pytest.mark.parametrize("cut", [1, 9, 30, 200])
def test_a_torn_tail_is_ignored_and_written_anew(tmp_path, cut):
    spool = Spool(tmp_path)
    fill(spool, 10)
    spool.close()
    newest = max(tmp_path.glob("*.steps"))
    os.truncate(newest, newest.stat().st_size - cut)
    spool = Spool(tmp_path)
    assert spool.last_sequence == 9
    fill(spool, 1)
    spool.close()
    spool = Spool(tmp_path)
    assert [spool.read(sequence) for sequence in range(1, 11)] == [payload(s) for s in range(1, 11)]


def test_a_flipped_bit_ends_the_segment_instead_of_passing_as_data(tmp_path):
    spool = Spool(tmp_path)
    fill(spool, 10)
    spool.close()
    newest = max(tmp_path.glob("*.steps"))
    data = bytearray(newest.read_bytes())
    data[-150] ^= 1
    newest.write_bytes(data)
    assert Spool(tmp_path).last_sequence == 9


def test_steps_missing_between_two_segments_are_reported(tmp_path):
    """Invariant 13."""
    spool = Spool(tmp_path, SMALL)
    fill(spool, 30)
    spool.close()
    sorted(tmp_path.glob("*.steps"))[2].unlink()
    with pytest.raises(ValueError, match="expected to begin with step .* steps are lost"):
        Spool(tmp_path, SMALL)


def test_a_second_writer_is_refused(tmp_path):
    spool = Spool(tmp_path)
    with pytest.raises(ValueError, match="expected to be the only actor that writes here"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path)


def test_nothing_that_append_returned_from_is_lost_by_sigkill(tmp_path):
    """Invariant 6: a real process, killed while it writes."""
    program = f"""
from pathlib import Path
from hilrl_learning.spool import Spool
spool = Spool(Path({str(tmp_path)!r}), 200_000)
while True:
    sequence = spool.last_sequence + 1
    spool.append(sequence, 1, sequence.to_bytes(4, "big") * 5000)
    print(sequence, flush=True)
"""
    reported = 0
    for lines in (50, 173, 211):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
            for _ in range(lines):
                reported = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split("\n")[:-1]
            reported = int(rest[-1]) if rest else reported
        spool = Spool(tmp_path)
        assert spool.last_sequence >= reported
        for sequence in range(1, spool.last_sequence + 1):
            assert spool.read(sequence) == sequence.to_bytes(4, "big") * 5000
        spool.close()
