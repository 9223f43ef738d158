"""What a calibration and the servos each hold: compared and written, on an emulated arm."""

from dataclasses import replace

import pytest
from emulated_arm import memory

from hilrl_hardware import registers as r
from hilrl_hardware import servo_calibration
from hilrl_hardware.bus import BusError, NoReply, ServoBus
from hilrl_hardware.calibration import SERVO_IDS, Calibration, JointCalibration
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Written
from hilrl_hardware.servo_calibration import NotRestored


@pytest.fixture
def emulated(tmp_path):
    options = {"no_wire_time": True, "record": tmp_path / "record"}
    with EmulatedBus(tmp_path, "follower", **options) as emulated:
        yield emulated


@pytest.fixture
def bus(emulated):
    with ServoBus(emulated.port) as bus:
        yield bus


def written(emulated: EmulatedBus) -> list[Written]:
    return [event for event in emulated.events() if isinstance(event, Written)]


class FailingBus(ServoBus):
    """Servo 4 is lost for good when it is to be written."""

    lost = False

    def write(self, servo_id, register, value):
        self.lost = self.lost or (servo_id == 4 and register == r.MIN_POSITION_LIMIT)
        if self.lost and servo_id == 4:
            raise NoReply("servo 4 does not answer")
        super().write(servo_id, register, value)


@pytest.fixture
def other(emulated):
    """A calibration that the servos do not hold: every offset and limit differs."""
    held = {name: JointCalibration(*fields.values()) for name, fields in emulated.calibration().items()}
    return Calibration(
        {
            name: replace(
                joint,
                homing_offset=joint.homing_offset + 1,
                range_min=joint.range_min + 2,
                range_max=joint.range_max - 3,
            )
            for name, joint in held.items()
        }
    )


def test_verify_names_every_register_that_differs_and_writes_nothing(emulated, bus, other):
    count = len(written(emulated))
    differences = servo_calibration.verify(bus, other)
    assert len(differences) == 18
    assert str(differences[0]) == "shoulder_pan (servo 1): Homing_Offset: expected -311, found -312"
    assert len(written(emulated)) == count


def test_apply_makes_the_servos_hold_it_with_torque_off(emulated, bus, other):
    bus.write(2, r.TORQUE_ENABLE, 1)
    servo_calibration.apply(bus, other)
    assert servo_calibration.verify(bus, other) == []
    assert not any(servo["torque_enabled"] for servo in emulated.truth())


def test_apply_that_fails_midway_undoes_what_it_did_and_says_what_it_could_not(emulated, bus, other):
    before = memory(emulated)
    bus.close()
    with FailingBus(emulated.port) as failing, pytest.raises(NotRestored, match="servo 4 .*Homing_Offset 97"):
        servo_calibration.apply(failing, other)
    after = memory(emulated)
    assert {i: after[i] for i in after if i != 4} == {i: before[i] for i in before if i != 4}


def test_torque_goes_off_on_all_servos_that_answer(emulated, bus):
    for servo_id in SERVO_IDS.values():
        bus.write(servo_id, r.TORQUE_ENABLE, 1)
    emulated.fault("absent", servo_id=2)
    with pytest.raises(BusError, match="servo 2"):
        servo_calibration.torque_off(bus, SERVO_IDS.values())
    emulated.heal()
    assert [servo["id"] for servo in emulated.truth() if servo["torque_enabled"]] == [2]
