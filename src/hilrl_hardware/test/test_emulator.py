"""The emulator as a process, seen through its port."""

import fcntl
import os
import random
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial
from bus_host import IDS, POSITIONS, REPLY_SIZE, WITNESS, Host, goals, sync_read

from hilrl_hardware import registers
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.line import TIOCGEXCL
from hilrl_hardware.emulator.protocol import BROADCAST, PARTIAL_FRAME_S, Instruction, frame
from hilrl_hardware.emulator.server import LOOK_S


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


def test_the_examples_of_the_protocol_come_out_as_printed():
    assert frame(1, Instruction.PING) == bytes.fromhex("FF FF 01 02 01 FB")
    assert frame(3, Instruction.READ, bytes((56, 2))) == bytes.fromhex("FF FF 03 04 02 38 02 BC")


def test_a_ping_is_answered_by_the_servo_it_is_for(host):
    assert host.ask(4, Instruction.PING) == frame(4, 0)
    assert host.answer_to(7, Instruction.PING) == b""


def test_a_broadcast_ping_is_answered_by_all_in_the_order_of_their_ids(tmp_path):
    with (
        EmulatedBus(tmp_path, servos=[{"id": 9}, {"id": 2}, {"id": 40}]) as emulated,
        Host(emulated.port) as host,
    ):
        host.send(BROADCAST, Instruction.PING)
        assert [host.reply() for _ in range(3)] == [frame(servo_id, 0) for servo_id in (2, 9, 40)]


def test_what_is_written_is_read_back(host):
    host.write(2, registers.GOAL_POSITION, 1234)
    assert host.read(2, registers.GOAL_POSITION) == 1234
    assert host.read(3, registers.GOAL_POSITION) == 0
    assert host.read(2, registers.MODEL_NUMBER) == registers.MODEL_STS3215


def test_at_response_level_0_writes_are_not_acknowledged(emulated, host):
    emulated.set(2, registers.RESPONSE_STATUS_LEVEL, 0)
    assert host.answer_to(2, Instruction.WRITE, bytes((registers.ACCELERATION.address, 7))) == b""
    assert host.read(2, registers.ACCELERATION) == 7
    assert host.ask(2, Instruction.PING) == frame(2, 0)


def test_registered_writes_take_effect_together_on_the_action(host):
    address = registers.ACCELERATION.address
    for servo_id in (1, 2):
        assert host.ask(servo_id, Instruction.REG_WRITE, bytes((address, 9))) == frame(servo_id, 0)
    assert [host.read(servo_id, registers.ACCELERATION) for servo_id in (1, 2)] == [0, 0]
    assert host.answer_to(BROADCAST, Instruction.ACTION) == b""
    assert [host.read(servo_id, registers.ACCELERATION) for servo_id in (1, 2, 3)] == [9, 9, 0]


def test_a_sync_read_is_answered_in_its_order_with_a_hole_for_a_missing_servo(host):
    host.send(*sync_read([5, 77, 2]))
    assert [host.reply()[2] for _ in range(2)] == [5, 2]
    assert host.said() == b""


def test_a_sync_write_reaches_those_it_names_and_nobody_answers(host):
    assert host.answer_to(*goals({2: 1500, 6: 2100, 77: 5})) == b""
    assert [host.read(servo_id, registers.GOAL_POSITION) for servo_id in (1, 2, 6)] == [0, 1500, 2100]


def test_a_broadcast_write_reaches_all_and_nobody_answers(host):
    assert host.answer_to(BROADCAST, Instruction.WRITE, bytes((registers.ACCELERATION.address, 3))) == b""
    assert [host.read(servo_id, registers.ACCELERATION) for servo_id in IDS] == [3] * 6


@pytest.mark.parametrize(
    "request_bytes",
    [
        frame(2, Instruction.PING)[:-1] + b"\x00",
        frame(2, 0x55),
        frame(2, Instruction.READ, b"\x38"),
        frame(2, Instruction.READ, bytes((120, 20))),
        frame(BROADCAST, Instruction.READ, POSITIONS),
        frame(2, Instruction.WRITE, b"\x28"),
        frame(BROADCAST, Instruction.SYNC_READ, b"\x38"),
        frame(BROADCAST, Instruction.SYNC_WRITE, b"\x28\x00"),
        b"\xff" * 40,
        bytes(range(256)),
    ],
)
def test_a_request_that_is_damaged_or_makes_no_sense_is_ignored_and_the_next_one_answered(
    host, request_bytes
):
    host.port.write(request_bytes)
    time.sleep(5 * PARTIAL_FRAME_S)
    assert host.said() == b""
    assert host.ask(2, Instruction.PING) == frame(2, 0)


def test_no_request_brings_the_emulator_down(tmp_path):
    chance = random.Random(3)
    with EmulatedBus(tmp_path, "follower", no_wire_time=True) as emulated, Host(emulated.port) as host:
        for _ in range(3000):
            servo_id = chance.choice([*IDS, BROADCAST])
            instruction = chance.choice(list(Instruction))
            address = chance.choice([chance.randrange(registers.RETURN_DELAY_TIME.address, 90), 120])
            host.send(servo_id, instruction, bytes((address,)) + chance.randbytes(chance.randrange(20)))
            host.port.reset_input_buffer()
        assert len(emulated.truth()) == 6


def test_a_request_is_found_behind_junk(host):
    host.port.write(b"\x00\xff\x01\xff\xff\xff" + frame(3, Instruction.PING)[2:])
    assert host.said() == frame(3, 0)


def test_the_arms_come_calibrated_unless_told_otherwise(tmp_path):
    with EmulatedBus(tmp_path, "leader") as emulated:
        for entry in emulated.calibration().values():
            assert emulated.get(entry["id"], registers.HOMING_OFFSET) == entry["homing_offset"]
            assert emulated.get(entry["id"], registers.MIN_POSITION_LIMIT) == entry["range_min"]
            assert emulated.get(entry["id"], registers.MAX_POSITION_LIMIT) == entry["range_max"]
            middle = (entry["range_min"] + entry["range_max"]) / 2
            assert emulated.get(entry["id"], registers.PRESENT_POSITION) == pytest.approx(middle, abs=1)


def test_an_uncalibrated_arm_has_no_offsets_and_no_limits(tmp_path):
    with EmulatedBus(tmp_path, "follower", uncalibrated=True) as emulated:
        assert emulated.get(2, registers.HOMING_OFFSET) == 0
        assert emulated.get(2, registers.MAX_POSITION_LIMIT) == 4095


@pytest.mark.parametrize(
    ("index", "baud_rate"), [(1, 500_000), (2, 250_000), (3, 128_000), (4, 115_200), (7, 38_400)]
)
def test_a_servo_hears_its_own_baud_rate_only(tmp_path, index, baud_rate):
    with EmulatedBus(tmp_path, servos=[{"id": 1, "registers": {"Baud_Rate": index}}]) as emulated:
        with Host(emulated.port) as host:
            host.send(1, Instruction.PING)
            assert host.hears_nothing()
        with Host(emulated.port, baud_rate) as host:
            assert host.ask(1, Instruction.PING) == frame(1, 0)
            host.write(1, registers.BAUD_RATE, 0)
            host.send(1, Instruction.PING)
            assert host.hears_nothing()
        with Host(emulated.port) as host:
            assert host.ask(1, Instruction.PING) == frame(1, 0)


def test_a_servo_answers_to_its_new_id_after_it_was_given_one(tmp_path):
    with (
        EmulatedBus(tmp_path, servos=[{"id": 1}, WITNESS]) as emulated,
        Host(emulated.port, witness=99) as host,
    ):
        host.write(1, registers.LOCK, 0)
        host.write(1, registers.ID, 5)
        host.write(5, registers.LOCK, 1)
        emulated.fault("brownout", servo_id=5)
        time.sleep(0.1)
        assert host.answer_to(1, Instruction.PING) == b""
        assert host.ask(5, Instruction.PING) == frame(5, 0)


def test_two_servos_of_the_same_id_speak_over_each_other(tmp_path):
    with (
        EmulatedBus(tmp_path, servos=[{"id": 1, "encoder": 1111}, {"id": 1, "encoder": 2222}]) as emulated,
        Host(emulated.port) as host,
    ):
        said = host.ask(1, Instruction.READ, POSITIONS)
        assert len(said) == REPLY_SIZE
        assert said[-1] != ~sum(said[2:-1]) & 0xFF
        assert host.ask(1, Instruction.PING) == frame(1, 0)  # the same bits at once are no collision


def test_the_motor_takes_the_joint_to_the_goal_that_came_over_the_bus(emulated, host):
    host.write(1, registers.GOAL_POSITION, 2400)
    host.write(1, registers.TORQUE_ENABLE, 1)
    deadline_s = time.monotonic() + 10
    while host.read(1, registers.PRESENT_POSITION) != 2400:
        assert time.monotonic() < deadline_s
    assert emulated.truth()[0]["tick"] == pytest.approx(2400, abs=0.5)


def test_replies_take_the_time_of_their_bytes_on_the_wire(tmp_path):
    with EmulatedBus(tmp_path, "follower", turnaround_s=0.002) as emulated, Host(emulated.port) as host:
        start_s = time.monotonic()
        host.send(*sync_read())
        assert len(host.port.read(6 * REPLY_SIZE)) == 6 * REPLY_SIZE
        assert time.monotonic() - start_s >= 6 * (REPLY_SIZE * 10e-6 + 0.002)


def test_a_hand_moves_joints_as_far_as_their_stops(emulated):
    entry = emulated.calibration()["shoulder_lift"]
    emulated.place(2, 2000 + entry["homing_offset"])
    assert emulated.get(2, registers.PRESENT_POSITION) == 2000
    emulated.place(2, entry["homing_offset"] + 100)
    assert entry["range_min"] - 20 < emulated.get(2, registers.PRESENT_POSITION) < entry["range_min"]


def test_a_measurement_that_was_set_stays_until_released(emulated, host):
    emulated.set(3, registers.PRESENT_TEMPERATURE, 61)
    assert host.read(3, registers.PRESENT_TEMPERATURE) == 61
    emulated.release(3)
    assert host.read(3, registers.PRESENT_TEMPERATURE) == 30


def exclusive(port: str) -> bool:
    """Whether the port is closed to others but root."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        return fcntl.ioctl(descriptor, TIOCGEXCL, bytes(4)) != bytes(4)
    finally:
        os.close(descriptor)


def test_a_port_is_exclusive_for_as_long_as_its_client_is_there(emulated):
    client = serial.Serial(emulated.port, exclusive=True)
    fcntl.ioctl(client.fileno(), termios.TIOCEXCL)
    time.sleep(3 * LOOK_S)
    assert exclusive(emulated.port)
    with pytest.raises(serial.SerialException):
        serial.Serial(emulated.port, exclusive=True)
    client.close()
    deadline_s = time.monotonic() + 10
    while exclusive(emulated.port):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


CLIENT = """
import os, sys, time
from pathlib import Path
from hilrl_hardware.emulator.client import EmulatedBus
with EmulatedBus(Path(sys.argv[1]), "follower") as emulated:
    child = os.fork() if sys.argv[2] == "forks" else -1
    if child != 0:
        print(emulated.pid, child, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("client", ["alone", "forks"])
def test_the_emulator_ends_with_a_client_that_was_killed(tmp_path, client):
    command = [sys.executable, "-c", CLIENT, str(tmp_path), client]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        emulator, child = map(int, process.stdout.readline().split())
        try:
            os.kill(emulator, 0)
            process.kill()
            deadline_s = time.monotonic() + 10
            while os.path.lexists(tmp_path / "bus"):
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
        finally:
            if child > 0:
                os.kill(child, signal.SIGKILL)


def test_the_emulator_runs_by_itself_until_a_signal(tmp_path):
    options = ["--folder", str(tmp_path), "--role", "leader"]
    command = [sys.executable, "-m", "hilrl_hardware.emulator.main", *options]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert str(tmp_path / "bus").encode() in process.stdout.readline()
        with Host(str(tmp_path / "bus")) as host:
            assert host.ask(1, Instruction.PING) == frame(1, 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert not os.path.lexists(tmp_path / "bus")
