"""The arm's core, cycle by cycle, on an emulated bus: what happens when two things come at once."""

import json
import time
from concurrent.futures import Future

import numpy as np
import pytest
from emulated_arm import connect

from hilrl_hardware.arm import EMERGENCY, RECONNECT_S, Arm, Mode
from hilrl_hardware.arm_settings import FOLLOWER, ArmSettings
from hilrl_hardware.bus import ServoBus
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.health_limits import HealthLimits

PERIOD_S = 0.01
PATIENCE_S = 20.0
SETTINGS = ArmSettings(ease_down_s=1.0, health=HealthLimits(state_timeout_s=PATIENCE_S))
"""What silence of a servo leads to is tested elsewhere; on a busy machine a reply is lost now and then."""


@pytest.fixture
def emulated(tmp_path):
    with EmulatedBus(tmp_path, FOLLOWER) as emulated:
        yield emulated


@pytest.fixture
def free_arm(emulated, tmp_path):
    """Held by a hand."""
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(emulated.calibration()))
    arm = Arm(ServoBus(emulated.port), load(path), FOLLOWER, SETTINGS, lambda *_: None)
    connect(arm)
    assert arm.mode is Mode.FREE
    yield arm
    arm.shut_down()


@pytest.fixture
def arm(free_arm):
    """Holding itself."""
    assert answer(free_arm, free_arm.request_torque(True, patience_s=5.0)) == ""
    assert free_arm.mode is Mode.ACTIVE
    return free_arm


def cycles(arm: Arm, count: int) -> None:
    for _ in range(count):
        arm.cycle()
        time.sleep(PERIOD_S)


def answer(arm: Arm, asked: Future[str]) -> str:
    """To a request, once there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while not asked.done():
        assert time.monotonic() < deadline
        cycles(arm, 1)
    return asked.result()


def poses(arm: Arm, count: int) -> None:
    """As many cycles as it takes to measure that many."""
    deadline = time.monotonic() + PATIENCE_S
    while count:
        assert time.monotonic() < deadline
        count -= arm.cycle() is not None
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


def test_torque_that_is_asked_for_with_patience_comes_on_once_a_silent_servo_answers(free_arm, emulated):
    emulated.fault("absent", servo_id=4)
    asked = free_arm.request_torque(True, patience_s=PATIENCE_S)
    cycles(free_arm, 20)
    assert not asked.done() and free_arm.mode is Mode.FREE and not any(torque(emulated))
    emulated.heal()
    assert answer(free_arm, asked) == ""
    assert free_arm.mode is Mode.ACTIVE and all(torque(emulated))


def test_patience_outlasts_the_hold_that_silence_leads_to(free_arm, emulated):
    free_arm.settings = ArmSettings(ease_down_s=1.0)
    emulated.fault("absent", servo_id=4)
    asked = free_arm.request_torque(True, patience_s=PATIENCE_S)
    cycles(free_arm, 20)
    assert free_arm.verdict.findings, "it holds for it"
    emulated.heal()
    assert answer(free_arm, asked) == ""
    assert all(torque(emulated))


def test_patience_has_an_end(free_arm, emulated):
    emulated.fault("absent", servo_id=4)
    asked = free_arm.request_torque(True, patience_s=0.3)
    assert "does not answer" in answer(free_arm, asked)
    emulated.heal()
    poses(free_arm, 5)
    assert free_arm.mode is Mode.FREE and not any(torque(emulated))


@pytest.mark.parametrize("by", [Arm.emergency_stop, lambda arm: arm.request_torque(False)])
def test_what_is_asked_for_later_ends_the_wait_for_torque(free_arm, emulated, by):
    emulated.fault("absent", servo_id=4)
    asked = free_arm.request_torque(True, patience_s=PATIENCE_S)
    cycles(free_arm, 5)
    assert not asked.done()
    by(free_arm)
    cycles(free_arm, 2)
    assert asked.result(0) != "", "refused"
    emulated.heal()
    poses(free_arm, 10)
    assert free_arm.mode is Mode.FREE and not any(torque(emulated))


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
