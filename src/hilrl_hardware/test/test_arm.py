"""The arm's core, cycle by cycle, on an emulated bus: what happens when two things come at once."""

import json
import time

import numpy as np
import pytest

from hilrl_hardware.arm import EMERGENCY, RECONNECT_S, Arm, Mode
from hilrl_hardware.arm_settings import FOLLOWER, ArmSettings
from hilrl_hardware.bus import ServoBus
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus

PERIOD_S = 0.01


@pytest.fixture
def emulated(tmp_path):
    with EmulatedBus(tmp_path, FOLLOWER) as emulated:
        yield emulated


@pytest.fixture
def arm(emulated, tmp_path):
    """Holding itself."""
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(emulated.calibration()))
    arm = Arm(ServoBus(emulated.port), load(path), FOLLOWER, ArmSettings(ease_down_s=1.0), lambda *_: None)
    arm.connect()
    asked = arm.request_torque(True)
    cycles(arm, 3)
    assert asked.result(0) == "" and arm.mode is Mode.ACTIVE
    yield arm
    arm.shut_down()


def cycles(arm: Arm, count: int) -> None:
    for _ in range(count):
        arm.cycle()
        time.sleep(PERIOD_S)


def come_back(arm: Arm) -> None:
    deadline = time.monotonic() + 10
    while arm.mode is Mode.DISCONNECTED:
        assert time.monotonic() < deadline
        arm.cycle()
        time.sleep(RECONNECT_S / 5)


def torque(emulated: EmulatedBus) -> list[bool]:
    return [servo["torque_enabled"] for servo in emulated.truth()]


def test_torque_that_was_asked_for_before_an_emergency_stop_does_not_come_on_after_it(arm, emulated):
    arm.request_torque(False)
    cycles(arm, 2)
    asked = arm.request_torque(True)
    arm.emergency_stop()
    cycles(arm, 5)
    assert asked.result(0) == EMERGENCY
    assert arm.mode is Mode.FREE and not any(torque(emulated))


def test_an_emergency_stop_that_meets_a_lost_board_is_not_forgotten(arm, emulated):
    emulated.unplug()
    arm.emergency_stop()
    cycles(arm, 3)
    assert arm.mode is Mode.DISCONNECTED
    emulated.replug()
    come_back(arm)
    cycles(arm, 3)
    assert arm.stopped == EMERGENCY and arm.mode in (Mode.EASING, Mode.FREE)


def test_an_arm_that_was_being_let_down_when_its_board_was_lost_is_let_down_when_it_is_back(arm, emulated):
    arm.request_torque(False)
    cycles(arm, 5)
    assert arm.mode is Mode.EASING
    emulated.unplug()
    cycles(arm, 2)
    emulated.replug()
    come_back(arm)
    for _ in range(10):
        arm.command(np.zeros(6), None)
        cycles(arm, 1)
        assert arm.mode in (Mode.EASING, Mode.FREE)
