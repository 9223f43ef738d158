"""The bus against an emulated one in a process of its own, with every fault of the wire."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import serial

from hilrl_hardware import registers as r
from hilrl_hardware.bus import LATE_LIMIT_S, NoReply, PortGone, ServoBus
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.serial_port import WRITE_TIMEOUT_S, SerialPort

IDS = (1, 2, 3, 4, 5, 6)
PATIENCE_S = 20.0


@pytest.fixture
def emulated(tmp_path):
    with EmulatedBus(tmp_path, "follower") as emulated:
        yield emulated


@pytest.fixture
def bus(emulated):
    with ServoBus(emulated.port) as bus:
        yield bus


def ticks(emulated: EmulatedBus) -> list[float]:
    """What the servos would report, before rounding."""
    return [servo["tick"] for servo in emulated.truth()]


def complete(ask: Callable[[], Any]) -> Any:
    """What is asked until all servos answer at once: on a busy machine a reply is lost now and then."""
    deadline = time.monotonic() + PATIENCE_S
    while set(answers := ask()) != set(IDS):
        assert time.monotonic() < deadline, f"answers: {answers}"
    return answers


def test_it_finds_reads_and_writes_servos(bus, emulated):
    assert complete(lambda: bus.scan(range(9))) == list(IDS)
    assert bus.ping(4) == r.MODEL_STS3215
    bus.write(3, r.TORQUE_LIMIT, 321)
    assert bus.read(3, r.TORQUE_LIMIT) == emulated.get(3, r.TORQUE_LIMIT) == 321
    bus.sync_write(r.GOAL_POSITION, {1: 1000, 2: 2000})
    assert [bus.read(i, r.GOAL_POSITION) for i in (1, 2)] == [1000, 2000]
    feedback = complete(lambda: bus.read_feedback(IDS))
    assert [feedback[i].position for i in IDS] == pytest.approx(ticks(emulated), abs=0.5)
    assert feedback[6].voltage_v == pytest.approx(7.4)


def test_a_late_reply_is_not_taken_for_the_answer_to_another_question(bus, emulated):
    emulated.set(3, r.PRESENT_VOLTAGE, 74)
    emulated.set(3, r.PRESENT_TEMPERATURE, 30)
    for delay_s in (0.01, 0.02, 0.05, 0.06):
        emulated.fault("late", servo_id=3, count=1, delay_s=delay_s)
        assert bus.read(3, r.PRESENT_VOLTAGE) == 74
        assert bus.read(3, r.PRESENT_TEMPERATURE) == 30
    emulated.fault("late", servo_id=3, count=1, delay_s=0.03)
    with pytest.raises(NoReply):
        bus.read_block(3, r.PRESENT_VOLTAGE.address, 1, attempts=1)
    assert bus.read(3, r.PRESENT_TEMPERATURE) == 30


def test_a_late_receipt_is_not_taken_for_data_nor_for_another_receipt(bus, emulated):
    emulated.fault("late", servo_id=2, count=1, delay_s=0.03)
    bus.write(2, r.TORQUE_LIMIT, 500)
    assert bus.read(2, r.GOAL_POSITION) == emulated.get(2, r.GOAL_POSITION)
    assert bus.read(2, r.TORQUE_LIMIT) == 500


@pytest.mark.parametrize("delay_s", [0.012, 0.02, 0.03, 0.06])
def test_feedback_that_is_late_is_never_that_of_a_later_question(bus, emulated, delay_s):
    for tick in range(1000, 1100, 2):
        emulated.set(3, r.PRESENT_POSITION, tick)
        if tick % 20 == 0:
            emulated.fault("late", servo_id=3, count=1, delay_s=delay_s)
        feedback = bus.read_feedback(IDS)
        assert 3 not in feedback or feedback[3].position == tick
        time.sleep(0.002)


def test_a_lost_reply_costs_one_reading(bus, emulated):
    def costs_one() -> bool:
        emulated.fault("drop_reply", servo_id=3, count=1)
        assert 3 not in bus.read_feedback(IDS)
        return 3 in bus.read_feedback(IDS)

    assert any(costs_one() for _ in range(5)), "a busy machine may lose another one"


def test_a_servo_that_falls_silent_is_not_reported_and_the_others_are(bus, emulated):
    complete(lambda: bus.read_feedback(IDS))
    emulated.fault("absent", servo_id=4)
    heard = set()
    for _ in range(20):
        heard.update(bus.read_feedback(IDS))
    assert heard == {1, 2, 3, 5, 6}
    with pytest.raises(NoReply, match="servo 4 does not answer"):
        bus.read(4, r.PRESENT_POSITION)
    emulated.heal()
    time.sleep(LATE_LIMIT_S)
    complete(lambda: bus.read_feedback(IDS))


def test_noise_and_damage_lose_replies_at_most(bus, emulated):
    truth = dict(zip(IDS, ticks(emulated), strict=True))
    emulated.fault("corrupt", probability=0.1)
    emulated.fault("truncate", probability=0.05)
    emulated.fault("noise", probability=0.1)
    emulated.fault("drop_reply", probability=0.05)
    replies = 0
    for _ in range(300):
        feedback = bus.read_feedback(IDS)
        replies += len(feedback)
        assert all(abs(one.position - truth[servo_id]) <= 0.5 for servo_id, one in feedback.items())
    assert 300 < replies < 1800


def test_an_unplugged_board_is_said_to_be_gone_and_can_be_opened_when_it_is_back(bus, emulated):
    emulated.unplug()
    with pytest.raises(PortGone, match="gone"):
        bus.read_feedback(IDS)
    with pytest.raises(PortGone, match="cannot be opened"):
        bus.open()
    emulated.replug()
    bus.close()
    bus.open()
    complete(lambda: bus.read_feedback(IDS))


def test_a_process_that_is_held_up_while_it_sends_has_not_lost_the_board(bus, monkeypatch):
    write = os.write

    def held_up(descriptor: int, data: bytes) -> int:
        sent = write(descriptor, data)
        time.sleep(2 * WRITE_TIMEOUT_S)
        return sent

    monkeypatch.setattr(os, "write", held_up)
    bus.sync_write(r.TORQUE_ENABLE, dict.fromkeys(IDS, 0))
    monkeypatch.undo()
    complete(lambda: bus.read_feedback(IDS))


def test_a_board_that_takes_nothing_is_not_waited_for():
    reader, board = os.openpty()
    port = SerialPort(os.ttyname(board))
    port.setupPort(1_000_000)
    with pytest.raises(serial.SerialTimeoutException, match="it takes no more"):
        port.writePort([0] * 1_000_000)
    port.closePort()
    os.close(reader)
    os.close(board)


def test_a_second_process_is_kept_out(bus, emulated):
    program = f"from hilrl_hardware.bus import ServoBus; ServoBus({emulated.port!r}).open()"
    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "PortGone" in second.stderr and "no other program" in second.stderr
    complete(lambda: bus.read_feedback(IDS))
