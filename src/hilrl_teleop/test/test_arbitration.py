"""Who has the arm, decided without ROS. Times are invented wall times [s]."""

import numpy as np
import pytest

from hilrl_ros.ee_action import Gripper, Source
from hilrl_teleop.arbitration import LOCKSTEP_WAIT_S, Arbitration
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


def test_without_an_operator_the_policy_acts(arbitration):
    executed = arbitration.on_policy(policy(1, Gripper.CLOSE), 0.0)
    assert (executed.source, executed.device, executed.policy_version) == (Source.POLICY, "policy", 7)
    assert executed.delta[0] == pytest.approx(0.1) and executed.gripper == Gripper.CLOSE
    assert arbitration.state(0.0) == "policy"


def test_only_the_mux_says_intervention(arbitration):
    liar = arbitration.on_policy(policy(1, source=Source.INTERVENTION, device="keyboard"), 0.0)
    assert (liar.source, liar.device) == (Source.POLICY, "policy")
    arbitration.on_device("joy", human(0, source=Source.POLICY, device="policy"), 0.05)
    modest = arbitration.on_policy(policy(2), 0.1)
    assert (modest.source, modest.device, modest.policy_version) == (Source.INTERVENTION, "joy", 0)


def test_a_demonstration_stays_a_demonstration(arbitration):
    arbitration.on_device("joy", human(0, source=Source.DEMONSTRATION), 0.0)
    assert arbitration.on_policy(policy(1), 0.0).source == Source.DEMONSTRATION
    assert arbitration.state(0.0) == "demonstration: joy"


def test_an_operator_is_executed_whole_with_the_policys_stamp(arbitration):
    arbitration.on_device("keyboard", human(3, x=-1.0), 0.0)
    executed = arbitration.on_policy(policy(8, Gripper.OPEN, x=1.0), 0.1)
    assert executed.stamp_ns == 8 * TICK and executed.frame_id == "base_link" and executed.engaged
    assert executed.delta.tolist() == [-1, 0, 0, 0, 0] and executed.gripper == Gripper.STAY
    assert arbitration.state(0.1) == "intervention: keyboard"


def test_take_over_and_hand_back_never_move_the_gripper(arbitration):
    """Invariant 3, with the gripper of ee_controller: STAY leaves the goal, the others set it."""
    goal, goals = "open", []

    def execute(executed: Action) -> None:
        nonlocal goal
        goal = {Gripper.CLOSE: "closed", Gripper.OPEN: "open"}.get(executed.gripper, goal)
        goals.append(goal)

    execute(arbitration.on_policy(policy(1, Gripper.CLOSE), 0.0))
    arbitration.on_device("keyboard", human(1), 0.05)
    execute(arbitration.on_policy(policy(2, Gripper.OPEN), 0.1))  # taken over while the policy says open
    arbitration.on_device("keyboard", human(2), 0.15)
    execute(arbitration.on_policy(policy(3, Gripper.OPEN), 0.2))
    arbitration.on_device("keyboard", released(3), 0.25)
    execute(arbitration.on_policy(policy(4, Gripper.STAY), 0.3))  # what it said before is not said again
    assert goals == ["closed"] * 4


def test_what_the_operator_asked_of_the_gripper_is_not_undone_by_letting_go(arbitration):
    arbitration.on_policy(policy(1, Gripper.OPEN), 0.0)
    arbitration.on_device("keyboard", human(1, Gripper.CLOSE), 0.05)
    assert arbitration.on_policy(policy(2, Gripper.STAY), 0.1).gripper == Gripper.CLOSE
    arbitration.on_device("keyboard", released(2), 0.15)
    assert arbitration.on_policy(policy(3, Gripper.STAY), 0.2).gripper == Gripper.STAY


def test_the_first_device_has_priority(arbitration):
    arbitration.on_device("joy", human(0, x=0.2), 0.0)
    arbitration.on_device("keyboard", human(0, x=0.3), 0.0)
    assert arbitration.on_policy(policy(1), 0.0).device == "keyboard"
    arbitration.on_device("keyboard", released(2), 0.1)
    assert arbitration.on_policy(policy(2), 0.1).device == "joy"


def test_a_silent_device_hands_back(arbitration):
    arbitration.on_device("keyboard", human(1), 0.0)
    assert arbitration.on_policy(policy(1), 0.2).device == "keyboard"
    assert arbitration.on_policy(policy(2), 0.21).device == "policy"


def test_a_repeated_stamp_gives_the_same_output_again(arbitration):
    first = arbitration.on_policy(policy(1), 0.0)
    arbitration.on_device("keyboard", human(1), 0.05)
    assert arbitration.on_policy(policy(1, x=0.9), 0.1) is first
    second = arbitration.on_policy(policy(2), 0.1)
    assert second.device == "keyboard"
    arbitration.on_device("keyboard", released(2), 0.15)
    assert arbitration.on_policy(policy(2), 0.2) is second


def test_a_clock_that_starts_anew_is_served_anew(arbitration):
    for tick in range(1, 30):
        arbitration.on_policy(policy(tick), tick / 10)
    assert arbitration.on_policy(policy(1, x=0.9), 3.0).delta[0] == pytest.approx(0.9)


def test_a_tick_waits_for_its_lockstep_device_and_for_no_other(lockstep):
    assert lockstep.on_policy(policy(1), 0.0) is None
    assert lockstep.on_device("keyboard", released(1), 0.01) is None
    assert lockstep.on_device("scripted", human(0), 0.02) is None, "an answer to another tick"
    executed = lockstep.on_device("scripted", human(1), 0.03)
    assert (executed.device, executed.stamp_ns) == ("scripted", TICK)
    assert lockstep.late.total() == 0


def test_an_answer_that_came_before_the_policy_counts(lockstep):
    assert lockstep.on_device("scripted", released(1), 0.0) is None
    assert lockstep.on_policy(policy(1), 0.01).device == "policy"


def test_a_lockstep_device_acts_for_its_own_tick_only(lockstep):
    lockstep.on_device("scripted", human(1), 0.0)
    assert lockstep.on_policy(policy(1), 0.0).device == "scripted"
    assert lockstep.on_policy(policy(2), 0.01) is None
    assert lockstep.poll(0.01 + LOCKSTEP_WAIT_S).device == "policy"


def test_a_tick_goes_without_a_lockstep_device_that_does_not_answer(lockstep):
    assert lockstep.on_policy(policy(1), 0.0) is None
    assert lockstep.on_policy(policy(1), 0.06) is None, "a repeat does not restart the wait"
    assert lockstep.poll(LOCKSTEP_WAIT_S - 0.01) is None
    executed = lockstep.poll(LOCKSTEP_WAIT_S)
    assert executed.device == "policy" and lockstep.late == {"scripted": 1}
    assert lockstep.on_device("scripted", human(1), 0.15) is None, "too late, the tick is decided"
    assert lockstep.on_policy(policy(1), 0.2) is executed


def test_a_person_gets_through_without_a_policy(arbitration):
    executed = arbitration.on_device("keyboard", human(1), 0.0)
    assert (executed.device, executed.stamp_ns, executed.source) == ("keyboard", TICK, Source.INTERVENTION)
    assert arbitration.on_device("keyboard", released(2), 0.1) is None


def test_a_person_passes_directly_only_once_the_policy_is_silent(arbitration):
    arbitration.on_policy(policy(1), 0.0)
    assert arbitration.on_device("keyboard", human(2), 0.5) is None
    assert arbitration.on_device("keyboard", human(3), 0.51).device == "keyboard"


def test_a_person_alone_moves_at_the_control_rate(arbitration):
    passed = [arbitration.on_device("keyboard", human(i), 0.05 * i) is not None for i in range(20)]
    assert sum(passed) == 10


def test_of_two_persons_alone_the_first_device_drives(arbitration):
    assert arbitration.on_device("joy", human(1), 0.0).device == "joy"
    assert arbitration.on_device("keyboard", human(2), 0.2).device == "keyboard"
    assert arbitration.on_device("joy", human(3), 0.35) is None


def test_a_lockstep_device_never_acts_without_a_policy(lockstep):
    assert lockstep.on_device("scripted", human(1), 10.0) is None
    assert lockstep.on_policy(policy(1), 10.0).device == "scripted"


def test_with_nobody_there_nothing_is_executed(arbitration):
    assert arbitration.poll(0.0) is None
    assert arbitration.state(0.0).startswith("holding: no policy_action for 0.5 s")
    arbitration.on_policy(policy(1), 1.0)
    assert arbitration.state(1.5) == "policy"
    assert arbitration.poll(1.6) is None and arbitration.state(1.6).startswith("holding")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (policy(1, x=float("nan")), "policy_action delta x: expected a number in [-1, 1], got nan"),
        (policy(1, x=float("inf")), "policy_action delta x: expected a number in [-1, 1], got inf"),
        (policy(1, x=1.5), "policy_action delta x: expected a number in [-1, 1], got 1.5"),
        (policy(1, gripper=3), "policy_action gripper: expected 0 (stay), 1 (close) or 2 (open), got 3"),
        (policy(1, source=9), "policy_action source: expected 0 (policy), 1 (intervention)"),
        (
            Action(TICK, np.zeros(3, np.float32)),
            "policy_action delta: expected 5 values (x, y, z, pitch, roll), got shape (3,)",
        ),
    ],
)
def test_a_malformed_policy_action_is_refused_and_the_policy_is_silent(arbitration, bad, reason):
    with pytest.raises(ValueError) as refusal:
        arbitration.on_policy(bad, 0.0)
    assert reason in str(refusal.value)
    assert reason in arbitration.state(0.0)
    assert arbitration.on_device("keyboard", human(1), 0.0).device == "keyboard"


def test_a_malformed_device_message_hands_back(lockstep):
    lockstep.on_device("keyboard", human(0), 0.0)
    with pytest.raises(ValueError, match="intervention/keyboard delta x: .* got nan"):
        lockstep.on_device("keyboard", human(1, x=float("nan")), 0.01)
    with pytest.raises(ValueError, match="intervention/scripted gripper"):
        lockstep.on_device("scripted", human(1, gripper=4), 0.01)
    assert lockstep.on_policy(policy(1), 0.02).device == "policy", "a refused answer is not waited for"


def test_device_lists_are_checked():
    with pytest.raises(ValueError, match="lockstep_devices: expected some of .*'joy'.* got also .*'wand'"):
        Arbitration(["joy"], ["wand"])
    with pytest.raises(ValueError, match="devices: expected each name once"):
        Arbitration(["joy", "joy"])
