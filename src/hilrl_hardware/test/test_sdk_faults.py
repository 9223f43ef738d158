"""The vendor's SDK on the emulated bus: it works, and its known faults show.

A driver that is tested on this bus has met what it will meet on the real one.
"""

import termios
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import scservo_sdk as sdk

from hilrl_hardware import registers
from hilrl_hardware.emulator.client import EmulatedBus

LATE_S = 0.5
"""Later than the SDK waits, also on a busy machine."""
PATIENCE_S = 2.0
TEMPERATURE_C = 30
VOLTAGE = 74
IDS = range(1, 7)


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[EmulatedBus]:
    """A follower arm."""
    with EmulatedBus(tmp_path, "follower") as emulated:
        yield emulated


@pytest.fixture
def port(emulated: EmulatedBus) -> Iterator[sdk.PortHandler]:
    """Opened by the SDK."""
    port = sdk.PortHandler(emulated.port)
    assert port.openPort() and port.setBaudRate(1_000_000)
    with closing(port.ser):
        yield port


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits 34 ms for a reply, too short for a busy machine; it waits twice what it is told here."""
    monkeypatch.setattr(sdk.port_handler, "LATENCY_TIMER", 1e3 * PATIENCE_S / 2)


@pytest.fixture
def packets() -> sdk.PacketHandler:
    """Little endian, as the STS series is."""
    return sdk.PacketHandler(0)


def group_of_all(port, packets) -> sdk.GroupSyncRead:
    group = sdk.GroupSyncRead(port, packets, registers.PRESENT_POSITION.address, 2)
    assert all(group.addParam(servo_id) for servo_id in IDS)
    return group


def wait_for_input(port) -> None:
    """Until the late reply is there."""
    deadline = time.monotonic() + PATIENCE_S + LATE_S
    while not port.getBytesAvailable():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_sdk_reads_writes_and_pings_all_servos(emulated, port, packets, patient):
    for servo_id in IDS:
        assert packets.ping(port, servo_id) == (registers.MODEL_STS3215, sdk.COMM_SUCCESS, 0)
    address = registers.GOAL_POSITION.address
    assert packets.write2ByteTxRx(port, 3, address, 1999) == (sdk.COMM_SUCCESS, 0)
    assert packets.read2ByteTxRx(port, 3, address) == (1999, sdk.COMM_SUCCESS, 0)
    write = sdk.GroupSyncWrite(port, packets, address, 2)
    assert all(write.addParam(servo_id, [0xD0, 0x07]) for servo_id in IDS)
    assert write.txPacket() == sdk.COMM_SUCCESS
    group = sdk.GroupSyncRead(port, packets, address, 2)
    assert all(group.addParam(servo_id) for servo_id in IDS)
    assert group.txRxPacket() == sdk.COMM_SUCCESS
    assert [group.getData(servo_id, address, 2) for servo_id in IDS] == [2000] * 6
    assert packets.regWriteTxRx(port, 2, address, 2, [0xD1, 0x07]) == (sdk.COMM_SUCCESS, 0)
    assert packets.action(port, sdk.BROADCAST_ID) == sdk.COMM_SUCCESS
    assert packets.read2ByteTxRx(port, 2, address) == (2001, sdk.COMM_SUCCESS, 0)


def test_a_late_reply_is_taken_for_the_next_register(emulated, port, packets):
    emulated.fault("late", servo_id=2, count=1, delay_s=LATE_S)
    _, result, _ = packets.read1ByteTxRx(port, 2, registers.PRESENT_VOLTAGE.address)
    assert result == sdk.COMM_RX_TIMEOUT
    wait_for_input(port)
    value, result, _ = packets.read1ByteTxRx(port, 2, registers.PRESENT_TEMPERATURE.address)
    assert result == sdk.COMM_SUCCESS
    assert value == VOLTAGE != TEMPERATURE_C


def test_a_late_acknowledgement_makes_the_next_read_raise_an_index_error(emulated, port, packets):
    emulated.fault("late", servo_id=2, count=1, delay_s=LATE_S)
    result, _ = packets.write1ByteTxRx(port, 2, registers.ACCELERATION.address, 50)
    assert result == sdk.COMM_RX_TIMEOUT
    wait_for_input(port)
    with pytest.raises(IndexError):
        packets.read2ByteTxRx(port, 2, registers.PRESENT_POSITION.address)


def test_servos_behind_one_that_vanished_keep_old_data_that_is_said_to_be_available(
    emulated, port, packets, patient
):
    group = group_of_all(port, packets)
    assert group.txRxPacket() == sdk.COMM_SUCCESS
    address = registers.PRESENT_POSITION.address
    before = group.getData(5, address, 2)
    emulated.fault("absent", servo_id=4)
    emulated.place(5, emulated.truth()[4]["encoder"] + 300)
    assert emulated.get(5, registers.PRESENT_POSITION) == before + 300
    assert group.txRxPacket() != sdk.COMM_SUCCESS
    assert group.isAvailable(5, address, 2)
    assert group.getData(5, address, 2) == before
    assert group.getData(4, address, 2) == 0


def test_an_absent_servo_costs_34_ms(emulated, port, packets):
    emulated.fault("absent", servo_id=6)
    start_s = time.monotonic()
    _, result, _ = packets.read2ByteTxRx(port, 6, registers.PRESENT_POSITION.address)
    assert result == sdk.COMM_RX_TIMEOUT
    assert time.monotonic() - start_s >= 0.03


def test_a_broadcast_ping_is_refused(port, packets):
    assert packets.ping(port, sdk.BROADCAST_ID)[1] == sdk.COMM_NOT_AVAILABLE


def test_an_exception_while_sending_leaves_the_port_busy_for_good(emulated, port, packets):
    emulated.unplug()
    with pytest.raises((OSError, termios.error)):
        packets.read2ByteTxRx(port, 1, registers.PRESENT_POSITION.address)
    assert packets.read2ByteTxRx(port, 1, registers.PRESENT_POSITION.address)[1] == sdk.COMM_PORT_BUSY
