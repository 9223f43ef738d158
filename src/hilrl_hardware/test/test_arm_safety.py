"""What the driver does by itself, whatever the rest of the graph says: each reaction, and the way back."""

import signal
import time
from collections import deque

import numpy as np
import pytest

from hilrl_hardware import registers as r
from hilrl_hardware.emulator.recording import PositionSent, Written
from hilrl_hardware.registers import TICK_RAD

TARGET = (0.4, -0.4, 0.3, 0.2, 0.5, 0.8)
READINGS = 10
"""As many as there can be while a pose counts as fresh."""


def moving(goals: list[int]) -> bool:
    return len(set(goals)) > 1


def goals_from_last_readings(arm) -> list[int]:
    """How far the last goal of each joint is from what its servo had reported before that [tick].

    From the nearest of its last reports: some are lost, and a pose may be a little old when it is stopped at.
    """
    distances = {}
    seen = {servo_id: deque(maxlen=READINGS) for servo_id in arm.calibration.ids}
    for event in arm.bus.events():
        if isinstance(event, PositionSent):
            seen[event.servo_id].append(event.tick)
        elif event.address == r.GOAL_POSITION.address:
            goal = r.GOAL_POSITION.decode(event.data)
            distances[event.servo_id] = min(abs(goal - tick) for tick in seen[event.servo_id])
    return list(distances.values())


def stays(arm, since_s: float) -> bool:
    return not any(moving(arm.goals_of(joint, since_s)) for joint in range(6))


def test_silence_stops_the_arm(arm):
    """Invariant 10: no command within `command_timeout_s`: the goals stay, and the arm does not sink."""
    arm.bring_up("command_timeout_s:=0.3", "ramp_speed:=0.2")
    arm.drive(TARGET, 1.0)
    arm.wait(lambda: any("holding: no joint_commands" in s.message for s in arm.statuses.values()))
    arm.wait(arm.is_still)
    arm.wait_for_states()
    silent_s = time.monotonic()
    pose = arm.position
    arm.spin(2.0)
    assert stays(arm, silent_s) and arm.holds()
    assert arm.position == pytest.approx(pose, abs=0.02)
    arm.drive_to(TARGET)
    assert moving(arm.goals_of(0, silent_s)), "and goes on when it is spoken to"


def test_an_emergency_stop_stops_where_it_is_and_lets_go_until_torque_is_asked_for(arm):
    arm.bring_up("ease_down_s:=1.0", "ramp_speed:=0.4")
    arm.drive(TARGET, 0.5)
    arm.wait_for_states()  # an arm whose pose is not known lets go at once
    arm.emergency_stop()
    arm.wait_for_log("emergency stop: the arm goes down gently")
    arm.wait_for_states()
    stopped_s = time.monotonic()
    arm.drive(TARGET, 0.5)
    assert stays(arm, stopped_s), "commands are not followed"
    assert max(goals_from_last_readings(arm)) <= 1, "the last goals are where the arm was, not ahead"
    arm.wait(arm.is_limp)
    arm.drive(TARGET, 1.0)
    assert arm.is_limp()
    arm.wait(arm.is_still)
    pose, asked_s = arm.ticks(), time.monotonic()
    arm.switch_on()
    back = {joint: tick for _, joint, tick in arm.goals(asked_s)}
    assert len(back) == 6
    assert all(abs(tick - pose[joint]) * TICK_RAD < 0.1 for joint, tick in back.items()), "where it is"
    arm.drive_to(TARGET)


def test_the_stop_goal_is_where_the_arm_was_so_that_it_squeezes_nothing(arm):
    arm.bring_up("ramp_speed:=2.0", "on_emergency_stop:=hold")
    arm.bus.fault("stuck", servo_id=6)
    arm.drive_until(lambda: abs(arm.goals_of(5)[-1] - arm.ticks()[5]) > 50, (0.0,) * 5 + (0.2,))  # it presses
    arm.wait_for_states()  # an arm whose pose is not known lets go at once
    arm.emergency_stop()
    arm.wait_for_log("emergency stop: the arm holds")
    arm.wait_for_states()
    assert abs(arm.goals_of(5)[-1] - arm.ticks()[5]) <= 1 and arm.holds()
    stopped_s = time.monotonic()
    arm.drive(TARGET, 0.5)
    assert stays(arm, stopped_s)
    arm.emergency_stop()
    arm.wait(arm.is_limp)


def test_letting_go_lowers_the_arm_instead_of_dropping_it(arm):
    arm.bring_up("ease_down_s:=4.0")
    assert arm.enable_torque(False).success
    seen, start, lifts = len(arm.states), arm.position[1], []
    while (lift := arm.bus.truth()[1])["torque_enabled"]:
        lifts.append((lift["torque_limit"], len(arm.states)))
        arm.spin(0.02)
    limits, seen_then = zip(*lifts, strict=True)
    assert list(limits) == sorted(limits, reverse=True) and len(set(limits)) > 10
    eased = arm.states[seen : seen_then[-1]]
    assert start - eased[-1].position[1] > 0.05, "it has begun to sink while it still had torque"
    speeds = [state.velocity[1] for state in eased]
    assert np.abs(np.diff(speeds)).max() < 0.4, "faster and faster: a fall begins at once"


def test_a_hot_servo_holds_the_arm_and_a_hotter_one_lets_it_down(arm):
    arm.bring_up()
    arm.drive(TARGET, 0.5)
    arm.bus.set(2, r.PRESENT_TEMPERATURE, 63)
    arm.wait(lambda: (arm.command(TARGET), "shoulder_lift" in arm.process.log)[1])
    held_s = time.monotonic() + 0.2
    arm.drive(TARGET, 1.0)
    assert stays(arm, held_s) and arm.holds()
    arm.bus.set(2, r.PRESENT_TEMPERATURE, 68)
    arm.wait(arm.is_limp)
    arm.bus.set(2, r.PRESENT_TEMPERATURE, 65)
    assert "shoulder_lift" in arm.refusal()
    arm.bus.set(2, r.PRESENT_TEMPERATURE, 40)
    arm.switch_on()


@pytest.mark.parametrize(
    ("servo_id", "register", "value", "word"),
    [
        (3, r.PRESENT_CURRENT, 300, "elbow_flex"),
        (6, r.PRESENT_CURRENT, 230, "gripper"),
        (2, r.STATUS, 32, "shoulder_lift"),
        (1, r.STATUS, 8, "shoulder_pan"),
        (4, r.STATUS, 4, "wrist_flex"),
        (5, r.STATUS, 2, "wrist_roll"),
        (1, r.PRESENT_VOLTAGE, 40, "4.0 V"),
    ],
)
def test_a_fault_that_stays_ends_with_the_torque_off(arm, servo_id, register, value, word):
    arm.bring_up("ease_down_s:=0.5")
    arm.bus.set(servo_id, register, value)
    arm.wait(arm.is_limp, 30.0)
    assert word in arm.process.log


def test_a_servo_that_restarts_is_noticed_and_the_arm_let_down(arm):
    arm.bring_up()
    arm.bus.fault("brownout", servo_id=3)
    arm.wait(arm.is_limp)
    assert "elbow_flex has lost its torque" in arm.process.log


def test_a_servo_that_falls_silent_stops_the_arm_and_the_states(arm):
    arm.bring_up("ramp_speed:=0.2", "state_timeout_s:=0.1")
    arm.drive(TARGET, 0.5)
    arm.bus.fault("absent", servo_id=4)
    arm.wait_for_log("servo 4 (wrist_flex)")
    arm.drive(TARGET, 0.5)
    silent_s, seen = time.monotonic(), len(arm.states)
    arm.drive(TARGET, 0.5)
    assert stays(arm, silent_s) and len(arm.states) == seen
    arm.bus.heal()
    arm.drive_to(TARGET)


def test_an_unplugged_board_is_said_to_be_out_of_reach_and_comes_back_without_a_jump(arm):
    arm.bring_up("ramp_speed:=0.2")
    arm.drive(TARGET, 0.5)
    arm.bus.unplug()
    arm.drive(TARGET, 0.5)
    arm.wait_for_log("the arm can be neither held nor stopped from here")
    assert not arm.enable_torque(True).success
    seen, gone_s = len(arm.states), time.monotonic()
    arm.drive(TARGET, 0.5)
    assert len(arm.states) == seen
    pose = arm.ticks()
    arm.bus.replug()
    arm.wait(lambda: len(arm.states) > seen)
    arm.wait_for_log("the arm is back")
    first = {joint: tick for _, joint, tick in reversed(arm.goals(gone_s))}
    assert all(abs(first[joint] - pose[joint]) < 30 for joint in range(6))
    arm.drive(TARGET, 1.0)
    for joint in range(6):
        assert max(np.abs(np.diff(arm.goals_of(joint, gone_s))), default=0) * TICK_RAD < 0.03


def test_an_arm_that_lost_its_power_meanwhile_stays_limp_until_torque_is_asked_for(arm):
    arm.bring_up()
    arm.bus.unplug()
    for servo_id in arm.calibration.ids:
        arm.bus.fault("brownout", servo_id=servo_id)
    arm.wait_for_log("neither held nor stopped")
    answer = arm.emergency_stop()
    assert not answer.success and "pull its power plug" in answer.message
    arm.bus.replug()
    arm.wait_for_log("the arm is back")
    arm.drive(TARGET, 0.5)
    assert arm.is_limp()
    arm.switch_on()
    arm.drive_to(TARGET)


def test_a_blocked_joint_does_not_wind_up(arm):
    arm.bring_up("ramp_speed:=2.0", "leash_rad:=0.2", "current_a:=[3.0, 3.1, 3.2]")
    arm.bus.fault("stuck", servo_id=1)
    at = arm.ticks()[0]
    arm.drive((1.5, 0.0, 0.0, 0.0, 0.0, 0.8), 1.0)
    assert max(abs(tick - at) for tick in arm.goals_of(0)) * TICK_RAD < 0.22


def test_torque_comes_on_only_after_every_goal_is_where_its_joint_is(arm):
    arm.bring_up()
    goals: dict[int, int] = {}
    for event in arm.bus.events():
        if not isinstance(event, Written):
            continue
        if event.address == r.GOAL_POSITION.address:
            goals[event.servo_id] = r.GOAL_POSITION.decode(event.data)
        elif event.address == r.TORQUE_ENABLE.address and event.data[0] == 1:
            joint = arm.calibration.ids.index(event.servo_id)
            assert abs(goals[event.servo_id] - arm.ticks()[joint]) < 40
    assert len(goals) == 6


@pytest.mark.parametrize(
    ("policy", "ends"), [("ease_down", "is_limp"), ("limp", "is_limp"), ("hold", "holds")]
)
def test_at_its_end_the_driver_leaves_the_torque_as_told(arm, policy, ends):
    arm.bring_up(f"on_shutdown:={policy}", "ease_down_s:=0.5")
    assert arm.process.stop(signal.SIGTERM) == 0
    assert getattr(arm, ends)()


def test_a_killed_driver_leaves_an_arm_that_holds_and_the_next_one_takes_it_over(arm):
    arm.bring_up("ramp_speed:=0.5")
    arm.drive(TARGET, 1.0)
    arm.process.stop(signal.SIGKILL)
    at = arm.ticks()
    time.sleep(0.5)
    assert arm.holds() and np.abs(arm.ticks() - at).max() < 60
    for _ in range(2):
        killed_s, at = time.monotonic(), arm.ticks()
        arm.states.clear()
        arm.bring_up()
        assert all(abs(arm.goals_of(joint, killed_s)[0] - at[joint]) < 30 for joint in range(6))
        arm.spin(0.5)
        assert np.abs(arm.ticks() - at).max() < 2, "nor does it sag a little each time"
        arm.process.stop(signal.SIGKILL)


def test_a_leader_is_free_until_it_mirrors_and_lets_go_when_nobody_speaks(leader):
    leader.bring_up("command_timeout_s:=2.0")
    assert leader.is_limp()
    pose = leader.position
    leader.switch_on()
    mirrored = pose + [0.1, 0.1, -0.1, 0.1, 0.1, 0.1]
    leader.drive_to(mirrored)
    assert max(servo["torque_limit"] for servo in leader.bus.truth()) == pytest.approx(0.3), "soft"
    leader.wait(leader.is_limp)
    leader.drive(pose, 0.5)
    assert leader.is_limp(), "it is in somebody's hand now"


def test_a_leader_lets_go_at_once_when_told_to(leader):
    leader.bring_up("command_timeout_s:=10.0")
    leader.switch_on()
    leader.drive(leader.position, 0.3)
    assert leader.holds()
    assert leader.enable_torque(False).success
    assert leader.is_limp()
