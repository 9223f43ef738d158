"""`hilrl setup-servos`: new servos, one after the other, on an emulated bus."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from person import Person

from hilrl_hardware import bus as bus_module
from hilrl_hardware import registers as r
from hilrl_hardware import setup_servos
from hilrl_hardware.bus import BusError, NoReply, ServoBus
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.setup_servos import BAUD_RATES, FoundServo, assign, refusal, search

IDS = (0, 1, 2, 3, 6, 7)
"""Of a quick search."""
PATIENCE_S = 20.0
ATTEMPTS = 5
NEW = FoundServo(servo_id=1, baud_rate=1_000_000, model=777, firmware="3.10")


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """How long a reply may take is tested elsewhere; a busy machine takes its time."""
    monkeypatch.setattr(bus_module, "REPLY_TIMEOUT_S", 0.03)


def with_servos(folder: Path, *servos: dict) -> EmulatedBus:
    return EmulatedBus(folder, servos=list(servos), no_wire_time=True)


def new(servo_id: int = 1, **registers: int) -> dict:
    return {"id": servo_id, "registers": registers}


def searched(emulated: EmulatedBus) -> list[FoundServo]:
    """What answers, each id being asked once at each baud rate."""
    return [servo for baud_rate in BAUD_RATES for servo in search(emulated.port, baud_rate, IDS)]


def found_on(emulated: EmulatedBus, count: int = 1) -> list[FoundServo]:
    """That many at least: on a busy machine a reply is lost now and then."""
    deadline = time.monotonic() + PATIENCE_S
    while len(found := searched(emulated)) < count:
        assert time.monotonic() < deadline, f"found: {found}"
    return found


def connects_it(person: Person, answer: str) -> None:
    """Again where no servo was found: each id is asked once."""
    for _ in range(ATTEMPTS):
        person.answers("Enter when it is connected, or skip: ")
        if person.waits_for(answer, "No servo answers.") == answer:
            return
    raise AssertionError(f"never found: {person.read}")


def setting_up(emulated: EmulatedBus, *arguments: str) -> Person:
    return Person("hilrl_hardware.setup_servos", "--port", emulated.port, *arguments)


@pytest.mark.parametrize("index", range(len(BAUD_RATES)))
def test_a_servo_is_found_and_set_up_whatever_its_baud_rate(tmp_path, index):
    with with_servos(tmp_path, new(3, Baud_Rate=index)) as emulated:
        (found,) = found_on(emulated)
        assert str(found) == f"id 3 at {BAUD_RATES[index]} baud, STS3215, firmware 3.10"
        assign(emulated.port, found, 6)
        emulated.fault("brownout")
        with ServoBus(emulated.port) as bus:
            assert bus.ping(6) == r.MODEL_STS3215
            assert (bus.read(6, r.ID), bus.read(6, r.BAUD_RATE), bus.read(6, r.LOCK)) == (6, 0, 1)
            with pytest.raises(NoReply):
                bus.ping(3)
        emulated.heal()
        assert [(servo.servo_id, servo.baud_rate) for servo in found_on(emulated)] == [(6, 1_000_000)]


def test_several_servos_are_found_also_at_different_baud_rates(tmp_path):
    with with_servos(tmp_path, new(1), new(7, Baud_Rate=4)) as emulated:
        found = [(servo.servo_id, servo.baud_rate) for servo in found_on(emulated, 2)]
    assert found == [(1, 1_000_000), (7, 115_200)]


def test_the_torque_of_a_servo_that_is_set_up_is_off(tmp_path):
    with with_servos(tmp_path, new(1)) as emulated:
        with ServoBus(emulated.port) as bus:
            bus.write(1, r.TORQUE_ENABLE, 1)
        (found,) = found_on(emulated)
        assign(emulated.port, found, 2)
        assert not emulated.truth()[0]["torque_enabled"]


class DeafBus(ServoBus):
    """Does not get the receipts of what changes who answers, and how."""

    def write(self, servo_id, register, value):
        super().write(servo_id, register, value)
        if register in (r.ID, r.BAUD_RATE):
            raise NoReply("lost")


def test_a_lost_receipt_does_not_lose_the_servo(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_servos, "ServoBus", DeafBus)
    with with_servos(tmp_path, new(1, Baud_Rate=4)) as emulated:
        (found,) = found_on(emulated)
        assign(emulated.port, found, 2)
        assert [(servo.servo_id, servo.baud_rate) for servo in found_on(emulated)] == [(2, 1_000_000)]


def test_a_servo_that_falls_silent_is_told(tmp_path):
    with with_servos(tmp_path, new(1)) as emulated:
        (found,) = found_on(emulated)
        emulated.fault("absent", servo_id=1)
        with pytest.raises(BusError, match="servo 1 does not answer"):
            assign(emulated.port, found, 2)
        assert searched(emulated) == []


def test_a_person_sets_up_a_servo_and_is_told_when_it_is_still_connected_for_the_next(tmp_path):
    with with_servos(tmp_path, new(1, Baud_Rate=3)) as emulated:
        with setting_up(
            emulated, "--joint", "gripper", "--joint", "wrist_roll", "--role", "leader"
        ) as person:
            person.waits_for("gripper, id 6, gear 1:147: connect this servo alone")
            connects_it(person, "Found id 1 at 128000 baud, STS3215, firmware 3.10.")
            assert emulated.get(1, r.ID) == 1
            person.answers("Make it gripper, id 6 at 1000000 baud? [y/N] ", "y")
            person.waits_for("It is gripper now")
            person.waits_for("wrist_roll, id 5, gear 1:147")
            connects_it(person, "This is gripper, set up just now.")
            person.answers("or skip: ", "skip")
            assert person.sees_the_end() == 0
        assert emulated.get(6, r.ID) == 6 and emulated.get(6, r.BAUD_RATE) == 0


def test_nothing_is_written_without_a_yes(tmp_path):
    with with_servos(tmp_path, new(1)) as emulated, setting_up(emulated, "--joint", "elbow_flex") as person:
        connects_it(person, "Make it elbow_flex, id 3 at 1000000 baud? [y/N] ")
        person.types("n")
        person.waits_for("or skip: ")
        assert emulated.get(1, r.ID) == 1
        person.presses_ctrl_c()
        assert person.sees_the_end() == 130
        assert emulated.get(1, r.ID) == 1


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "No servo answers. Is the board powered"),
        (
            [NEW, NEW],
            "Expected one servo, found 2: id 1 at 1000000 baud, STS3215, firmware 3.10; id 1 .* alone",
        ),
        (
            [replace(NEW, model=1029)],
            "Expected an STS3215, model 777, found model 1029. Nothing was written.",
        ),
        ([replace(NEW, servo_id=6)], "This is gripper, set up just now. Connect the next one instead."),
    ],
)
def test_what_is_not_one_new_sts3215_is_refused_with_advice(found, reason):
    assert re.match(reason, refusal(found, {6: "gripper"}))
    assert refusal([NEW], {6: "gripper"}) is None


def test_a_servo_that_is_as_it_should_be_is_left_alone(tmp_path):
    with (
        with_servos(tmp_path, new(2)) as emulated,
        setting_up(emulated, "--joint", "shoulder_lift") as person,
    ):
        connects_it(person, "It is set up already.")
        assert person.sees_the_end() == 0


def test_a_port_that_is_not_there_ends_it_with_one_line():
    with Person("hilrl_hardware.setup_servos", "--port", "/dev/nowhere") as person:
        person.answers("or skip: ")
        assert person.sees_the_end() == 1
        assert "error: port /dev/nowhere: cannot be opened" in person.read and "Traceback" not in person.read
