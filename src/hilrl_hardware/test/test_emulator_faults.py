"""What goes wrong on the emulated bus, and the recording that tells what was right."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from bus_host import IDS, POSITIONS, REPLY_SIZE, Host, goals, sync_read

from hilrl_hardware import registers
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.protocol import Instruction, frame
from hilrl_hardware.emulator.recording import PositionSent, Written


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[EmulatedBus]:
    """A follower arm, and its recording."""
    with EmulatedBus(tmp_path, "follower", record=tmp_path / "recording") as emulated:
        yield emulated


@pytest.fixture
def host(emulated: EmulatedBus) -> Iterator[Host]:
    """On its bus."""
    with Host(emulated.port) as host:
        yield host


@pytest.mark.parametrize("kind", ["drop_request", "drop_reply", "absent"])
def test_a_servo_with_a_fault_is_silent_as_often_as_told_and_the_others_are_not(emulated, host, kind):
    emulated.fault(kind, servo_id=3, count=4)
    silent = 0
    for _ in range(8):
        assert host.ask(2, Instruction.PING) == frame(2, 0)
        silent += host.answer_to(3, Instruction.PING) == b""
    assert silent == 4
    assert emulated.struck() == {kind: 4}


def test_a_lost_request_is_not_carried_out_and_a_lost_reply_says_nothing_about_that(emulated, host):
    emulated.fault("drop_request", servo_id=3, count=1)
    assert host.answer_to(3, Instruction.WRITE, bytes((registers.ACCELERATION.address, 5))) == b""
    assert emulated.get(3, registers.ACCELERATION) == 0
    emulated.fault("drop_reply", servo_id=3, count=1)
    assert host.answer_to(3, Instruction.WRITE, bytes((registers.ACCELERATION.address, 5))) == b""
    assert emulated.get(3, registers.ACCELERATION) == 5


def test_a_lost_sync_write_misses_one_servo(emulated, host):
    emulated.fault("drop_request", servo_id=3)
    host.send(*goals({2: 1500, 3: 1500}))
    assert host.read(2, registers.GOAL_POSITION) == 1500
    assert emulated.get(3, registers.GOAL_POSITION) == 0


@pytest.mark.parametrize(
    ("kind", "length"), [("corrupt", 0), ("corrupt_burst", 0), ("truncate", -1), ("noise", 1)]
)
def test_a_damaged_reply_differs_from_a_whole_one_in_the_way_it_should(emulated, host, kind, length):
    whole = host.ask(2, Instruction.READ, POSITIONS)
    emulated.fault(kind, servo_id=2, count=10)
    for _ in range(10):
        said = host.answer_to(2, Instruction.READ, POSITIONS)
        assert said != whole
        assert (len(said) > len(whole)) - (len(said) < len(whole)) == length
        if kind == "noise":
            assert said.endswith(whole)
        if kind == "truncate":
            assert whole.startswith(said)
        if kind == "corrupt":
            assert sum(a != b for a, b in zip(said, whole, strict=True)) == 1
    assert host.ask(2, Instruction.READ, POSITIONS) == whole
    assert emulated.struck() == {kind: 10}


def test_a_damaged_request_is_heard_by_nobody(emulated, host):
    emulated.fault("corrupt", where="request", count=1)
    host.send(*sync_read())
    while not emulated.struck():
        time.sleep(0.01)
    assert host.said() == b""
    assert len(host.answer_to(*sync_read())) == 6 * REPLY_SIZE


def test_a_late_reply_holds_up_all_that_come_after_it(emulated, host):
    emulated.fault("late", servo_id=3, count=1, delay_s=0.1)
    start_s = time.monotonic()
    host.send(*sync_read())
    assert [host.reply()[2] for _ in range(2)] == [1, 2]
    host.send(1, Instruction.PING)
    assert [host.reply()[2] for _ in range(5)] == [3, 4, 5, 6, 1]
    assert time.monotonic() - start_s >= 0.1


def test_faults_strike_at_random_as_often_as_their_probability_says(emulated, host):
    emulated.fault("corrupt", probability=0.2)
    damaged = 0
    for _ in range(500):
        host.send(2, Instruction.READ, POSITIONS)
        said = host.port.read(REPLY_SIZE)
        damaged += said[-1] != ~sum(said[2:-1]) & 0xFF or said[:4] != bytes((255, 255, 2, 4))
    assert 60 < damaged < 140
    assert emulated.struck() == {"corrupt": damaged}


def test_healing_ends_all_faults(emulated, host):
    emulated.fault("absent", servo_id=2)
    emulated.fault("stuck", servo_id=1)
    emulated.fault("hot", servo_id=4)
    emulated.fault("overload", servo_id=5)
    assert host.answer_to(2, Instruction.PING) == b""
    assert host.ask(4, Instruction.PING) == frame(4, 4)
    assert host.ask(5, Instruction.PING) == frame(5, 32)
    emulated.heal()
    assert [host.ask(servo_id, Instruction.PING)[4] for servo_id in IDS] == [0] * 6


def test_a_blocked_joint_stays_where_it_is_with_torque_on(emulated, host):
    emulated.fault("stuck", servo_id=1)
    before = host.read(1, registers.PRESENT_POSITION)
    host.write(1, registers.GOAL_POSITION, before + 200)
    host.write(1, registers.TORQUE_ENABLE, 1)
    time.sleep(0.3)
    assert host.read(1, registers.PRESENT_POSITION) == before
    assert host.read(1, registers.PRESENT_LOAD) == 1000


def test_a_brownout_restarts_a_servo(emulated, host):
    host.write(2, registers.ACCELERATION, 9)
    host.write(2, registers.TORQUE_ENABLE, 1)
    offset = host.read(2, registers.HOMING_OFFSET)
    emulated.fault("brownout", servo_id=2, down_s=0.5)
    assert host.answer_to(2, Instruction.PING) == b""
    time.sleep(0.5)
    assert host.read(2, registers.ACCELERATION) == host.read(2, registers.TORQUE_ENABLE) == 0
    assert host.read(2, registers.HOMING_OFFSET) == offset


def test_an_unplugged_port_is_gone_and_comes_back_under_its_name_with_the_servos_as_they_were(emulated, host):
    host.write(2, registers.ACCELERATION, 9)
    device = os.path.realpath(emulated.port)
    emulated.unplug()
    assert not os.path.lexists(emulated.port)
    with pytest.raises(serial.SerialException):
        host.read(2, registers.ACCELERATION)
    with pytest.raises(serial.SerialException):
        Host(emulated.port)
    emulated.replug()
    assert os.path.realpath(emulated.port).startswith(os.path.dirname(device))
    with Host(emulated.port) as again:
        assert again.read(2, registers.ACCELERATION) == 9
    emulated.unplug()
    emulated.heal()
    with Host(emulated.port) as again:
        assert again.read(2, registers.ACCELERATION) == 9


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"kind": "earthquake"}, "kind: expected one of"),
        ({"kind": "late", "delay": 3}, r"late: expected details among \['delay_s'\], got \['delay'\]"),
        ({"kind": "corrupt", "where": "request", "servo_id": 2}, "corrupt: where: expected 'reply'"),
        ({"kind": "stuck", "probability": 0.5}, "stuck: happens at once"),
        ({"kind": "absent", "servo_id": 9}, "servo_id: expected one of"),
    ],
)
def test_a_fault_that_does_not_exist_is_refused_with_a_reason(emulated, arguments, reason):
    with pytest.raises(RuntimeError, match=reason):
        emulated.fault(**arguments)


def test_the_recording_has_every_position_sent_and_every_write_that_reached_a_servo(emulated, host):
    goal = registers.GOAL_POSITION
    seen, written, spans = [], [], []
    emulated.place(1, 1700)
    for count in range(200):
        begun_s = time.monotonic()
        host.send(*sync_read())
        for reply in (host.reply() for _ in IDS):
            seen.append((reply[2], registers.PRESENT_POSITION.decode(reply[5:7])))
        spans.append((begun_s, time.monotonic()))
        host.send(*goals({1: 1000 + count, 5: 2000 + count}))
        written += [(1, goal.address, bytes(goal.encode(1000 + count)))]
        written += [(5, goal.address, bytes(goal.encode(2000 + count)))]
    host.write(1, registers.TORQUE_ENABLE, 1)
    host.read(1, registers.PRESENT_TEMPERATURE)
    written.append((1, registers.TORQUE_ENABLE.address, b"\x01"))
    emulated.fault("drop_request", servo_id=2, count=1)
    host.send(*goals({2: 1, 3: 2}))
    written.append((3, goal.address, b"\x02\x00"))
    host.ask(4, Instruction.REG_WRITE, b"\x29\x07")
    host.ask(4, Instruction.ACTION)
    written.append((4, 0x29, b"\x07"))
    events = emulated.events()
    sent = [event for event in events if isinstance(event, PositionSent)]
    assert [(event.servo_id, event.tick) for event in sent] == seen
    for event, (begun_s, ended_s) in zip(sent[::6], spans, strict=True):
        assert begun_s <= event.time_s <= ended_s
    writes = [event for event in events if isinstance(event, Written)]
    assert [(event.servo_id, event.address, event.data) for event in writes] == written
    assert [event.time_s for event in events] == sorted(event.time_s for event in events)


def test_the_recording_has_the_position_as_it_was_before_the_line_spoilt_it(emulated, host):
    emulated.place(1, 1700)
    emulated.fault("corrupt_burst")
    host.send(1, Instruction.READ, POSITIONS)
    host.port.read(REPLY_SIZE)
    (event,) = emulated.events()
    assert (event.servo_id, event.tick) == (1, emulated.get(1, registers.PRESENT_POSITION))
