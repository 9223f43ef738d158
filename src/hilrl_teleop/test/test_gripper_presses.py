"""Invariant 3 in the mux: what is asked of the gripper between two ticks is executed once, or not at all."""

import numpy as np
import pytest

from hilrl_ros.ee_action import Gripper, Source
from hilrl_teleop.arbitration import Arbitration
from hilrl_teleop.ee_action import Action

TICK = 100_000_000


def policy(tick: int, gripper: int = Gripper.STAY, x: float = 0.1, **fields) -> Action:
    return Action(tick * TICK, np.array([x, 0, 0, 0, 0], np.float32), gripper, policy_version=7, **fields)


def human(tick: int, gripper: int = Gripper.STAY, x: float = -0.5, **fields) -> Action:
    fields = {"source": Source.INTERVENTION, "device": "keyboard", "frame_id": "", **fields}
    return Action(tick * TICK, np.array([x, 0, 0, 0, 0], np.float32), gripper, **fields)


def released(tick: int, **fields) -> Action:
    return human(tick, x=0.0, engaged=False, **fields)


@pytest.fixture
def arbitration() -> Arbitration:
    return Arbitration(["keyboard", "joy"], timeout_s=0.2, policy_timeout_s=0.5, control_hz=10.0)


@pytest.fixture
def lockstep() -> Arbitration:
    return Arbitration(["keyboard", "scripted"], ["scripted"], timeout_s=0.2, policy_timeout_s=0.5)


def test_a_press_shorter_than_a_tick_is_executed_exactly_once(arbitration):
    arbitration.on_device("keyboard", human(1), 0.0)
    arbitration.on_policy(policy(1), 0.01)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE), 0.03)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE), 0.05)
    arbitration.on_device("keyboard", human(1, Gripper.STAY, x=0.7), 0.07)
    executed = arbitration.on_policy(policy(2), 0.11)
    assert executed.gripper == Gripper.CLOSE and executed.delta[0] == pytest.approx(0.7)
    assert arbitration.on_policy(policy(2), 0.12) is executed
    assert arbitration.on_policy(policy(3), 0.21).gripper == Gripper.STAY


def test_a_press_that_a_tick_has_seen_is_not_executed_again_after_it_ends(arbitration):
    arbitration.on_device("keyboard", human(1, Gripper.OPEN), 0.0)
    assert arbitration.on_policy(policy(1), 0.01).gripper == Gripper.OPEN
    arbitration.on_device("keyboard", human(1, Gripper.OPEN), 0.05)
    arbitration.on_device("keyboard", human(1, Gripper.STAY), 0.1)
    assert arbitration.on_policy(policy(2), 0.11).gripper == Gripper.STAY


def test_of_two_presses_between_ticks_the_last_one_counts(arbitration):
    arbitration.on_device("keyboard", human(1), 0.0)
    arbitration.on_policy(policy(1), 0.01)
    for number, gripper in enumerate((Gripper.CLOSE, Gripper.STAY, Gripper.OPEN, Gripper.STAY)):
        arbitration.on_device("keyboard", human(1, gripper), 0.02 + 0.01 * number)
    assert arbitration.on_policy(policy(2), 0.11).gripper == Gripper.OPEN
    assert arbitration.on_policy(policy(3), 0.21).gripper == Gripper.STAY


def test_a_press_of_who_has_let_go_is_not_executed(arbitration):
    arbitration.on_policy(policy(0), 0.0)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE), 0.0)
    arbitration.on_device("keyboard", released(1), 0.01)
    assert arbitration.on_policy(policy(1, Gripper.STAY), 0.02).gripper == Gripper.STAY
    arbitration.on_device("keyboard", human(2), 0.03)
    assert arbitration.on_policy(policy(2), 0.04).gripper == Gripper.STAY, "nor when it takes over again"


def test_a_press_of_who_has_let_go_is_not_executed_when_they_come_back_within_the_tick(arbitration):
    arbitration.on_policy(policy(0), 0.0)
    for number, message in enumerate((human(1, Gripper.CLOSE), released(1), human(1))):
        arbitration.on_device("keyboard", message, 0.01 + 0.01 * number)
    executed = arbitration.on_policy(policy(1), 0.1)
    assert (executed.device, executed.gripper) == ("keyboard", Gripper.STAY)


def test_a_press_of_who_fell_silent_is_not_executed(arbitration):
    arbitration.on_policy(policy(0), 0.0)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE), 0.0)
    arbitration.on_device("keyboard", human(1, Gripper.STAY), 0.01)
    assert arbitration.on_policy(policy(1), 0.3).device == "policy"
    arbitration.on_device("keyboard", human(2), 0.31)
    assert arbitration.on_policy(policy(2), 0.32).gripper == Gripper.STAY


def test_a_press_of_who_does_not_have_the_arm_is_not_executed_later(arbitration):
    arbitration.on_policy(policy(0), 0.0)
    arbitration.on_device("keyboard", human(1), 0.0)
    arbitration.on_device("joy", human(1, Gripper.CLOSE), 0.0)
    arbitration.on_device("joy", human(1, Gripper.STAY), 0.01)
    assert arbitration.on_policy(policy(1), 0.02).device == "keyboard"
    arbitration.on_device("keyboard", released(1), 0.03)
    executed = arbitration.on_policy(policy(2), 0.04)
    assert (executed.device, executed.gripper) == ("joy", Gripper.STAY)


def test_a_press_without_a_policy_waits_for_the_control_rate(arbitration):
    assert arbitration.on_device("keyboard", human(1), 0.0).gripper == Gripper.STAY
    assert arbitration.on_device("keyboard", human(2, Gripper.CLOSE), 0.02) is None
    assert arbitration.on_device("keyboard", human(3, Gripper.STAY), 0.04) is None
    assert arbitration.on_device("keyboard", human(4), 0.1).gripper == Gripper.CLOSE
    assert arbitration.on_device("keyboard", human(5), 0.2).gripper == Gripper.STAY


def test_a_lockstep_device_speaks_for_one_tick_alone(lockstep):
    lockstep.on_device("scripted", human(1, Gripper.CLOSE), 0.0)
    lockstep.on_device("scripted", human(2), 0.0)
    assert lockstep.on_policy(policy(2), 0.0).gripper == Gripper.STAY


def test_the_gripper_goal_goes_with_its_command(arbitration):
    arbitration.on_device("keyboard", human(1), 0.0)
    arbitration.on_policy(policy(1), 0.01)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE, gripper_goal=0.5), 0.02)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE, gripper_goal=0.4), 0.03)
    arbitration.on_device("keyboard", human(1), 0.04)
    executed = arbitration.on_policy(policy(2), 0.11)
    assert (executed.gripper, executed.gripper_goal) == (Gripper.CLOSE, 0.4)
    following = arbitration.on_policy(policy(3), 0.21)
    assert (following.gripper, following.gripper_goal) == (Gripper.STAY, None)


def test_a_gripper_goal_that_is_no_number_is_refused(arbitration):
    with pytest.raises(ValueError, match="joy gripper_goal: expected a finite jaw angle .* got nan"):
        arbitration.on_device("joy", human(1, Gripper.CLOSE, gripper_goal=float("nan")), 0.0)
    assert arbitration.on_policy(policy(1), 0.0).device == "policy"
