"""What the `arm` node says and takes, over real DDS, on an emulated arm in a process of its own."""

import itertools
import time
from dataclasses import dataclass

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from hilrl_hardware import registers as r
from hilrl_hardware.bus import ATTEMPTS
from hilrl_hardware.emulator.recording import PositionSent
from hilrl_hardware.joint_goals import MAX_DT_S
from hilrl_hardware.registers import TICK_RAD
from hilrl_ros.joints import JOINT_NAMES

TARGET = (0.4, -0.4, 0.3, 0.2, 0.5, 0.8)
GRIPPER = 5
RUN = 20
"""Goals in a row, to tell a speed by: from one to the next, rounding hides it."""


def test_it_publishes_all_joints_and_a_diagnosis_of_each(arm):
    arm.bring_up()
    state = arm.states[-1]
    assert tuple(state.name) == JOINT_NAMES
    assert len(state.position) == len(state.velocity) == len(state.effort) == 6
    assert arm.position == pytest.approx(arm.calibration.to_radians(arm.ticks()), abs=0.02)
    assert abs(state.effort[1]) > 0.1, "the shoulder carries the arm"
    arm.wait(lambda: len(arm.statuses) == 7)
    assert set(arm.statuses) == {"arm", *JOINT_NAMES}
    arm.wait(lambda: all(arm.statuses[name].level == DiagnosticStatus.OK for name in JOINT_NAMES))
    values = {pair.key: pair.value for pair in arm.statuses["elbow_flex"].values}
    assert {"temperature [C]", "voltage [V]", "current [A]", "load", "faults"} <= set(values)


def test_stamps_rise_and_come_at_the_rate_asked_for(arm):
    arm.bring_up("state_hz:=50.0")
    arm.spin(2.0)
    stamps = np.array([s.header.stamp.sec + 1e-9 * s.header.stamp.nanosec for s in arm.states])
    assert (np.diff(stamps) > 0).all()
    assert np.median(np.diff(stamps)) == pytest.approx(0.02, rel=0.2)


def test_it_goes_where_it_is_told(arm):
    arm.bring_up()
    arm.drive_to(TARGET)
    arm.drive(TARGET, 1.0)
    assert arm.position == pytest.approx(TARGET, abs=0.05), "and stays there"


def test_a_command_names_its_joints_in_any_order(arm):
    arm.bring_up()
    arm.drive_until(lambda: arm.is_at(TARGET), TARGET[::-1], names=JOINT_NAMES[::-1])


def usual_speed(arm, joint: int, since_s: float) -> float:
    """Of a joint's goals, most of the time [rad/s]: where the machine stalls, they stay for a moment."""
    goals = [(time_s, tick) for time_s, index, tick in arm.goals(since_s) if index == joint]
    times_s, ticks = np.array(goals).T
    return float(np.median((ticks[RUN:] - ticks[:-RUN]) / (times_s[RUN:] - times_s[:-RUN]))) * TICK_RAD


def test_a_command_may_say_how_fast(arm):
    arm.bring_up("ramp_speed:=2.0")
    start, since_s = arm.position[0], time.monotonic()
    arm.drive_until(lambda: len(arm.goals_of(0, since_s)) > 150, TARGET, velocity=[0.1] * 6)
    assert abs(usual_speed(arm, 0, since_s)) == pytest.approx(0.1, abs=0.02)
    goals = arm.goals_of(0, since_s)
    assert abs(arm.position[0] - start) == pytest.approx(abs(goals[-1] - goals[0]) * TICK_RAD, abs=0.05)


NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"position": (0.4, NAN, 0.3, 0.2, 0.5, 0.8)}, "joint_commands position: expected finite"),
        ({"position": TARGET[:5]}, "joint_commands position: expected 6 values, got 5"),
        ({"names": JOINT_NAMES[:5], "position": TARGET[:5]}, "joint_commands name: expected"),
        ({"names": (*JOINT_NAMES[:5], "jaw")}, "joint_commands name: expected"),
        ({"names": (*JOINT_NAMES, "seventh"), "position": (*TARGET, 0.0)}, "joint_commands name: expected"),
        ({"velocity": [1.0] * 5}, "joint_commands velocity: expected 6 values or none, got 5"),
        ({"velocity": [-1.0] * 6}, "joint_commands velocity: expected rad/s >= 0"),
        ({"velocity": [float("inf")] * 6}, "joint_commands velocity: expected finite"),
    ],
)
def test_a_command_that_makes_no_sense_moves_nothing_and_is_complained_of_once(arm, change, complaint):
    arm.bring_up()
    before = {joint: arm.goals_of(joint)[-1] for joint in range(6)}
    for _ in range(10):
        arm.command(**{"position": TARGET, **change})
        arm.spin(0.1)
    arm.wait_for_log(complaint)
    after = {joint: set(arm.goals_of(joint)) for joint in range(6)}
    assert all(after[joint] <= {before[joint]} for joint in range(6)), "no goal changed"
    assert arm.process.log.count("[ERROR]") == arm.process.log.count(complaint) == 1, arm.process.log
    arm.drive_to(TARGET)  # a good command is followed again


def test_a_command_beyond_the_limits_ends_at_the_limits(arm):
    arm.bring_up("ramp_speed:=2.0")
    arm.drive([9.0, -9.0, 9.0, -9.0, 9.0, 9.0], 4.0)
    assert "joint_commands position of shoulder_pan: 9.00 rad is beyond its limit" in arm.process.log
    for joint, name in enumerate(JOINT_NAMES):
        ranges = arm.calibration.joints[name]
        goals = arm.goals_of(joint)
        assert ranges.range_min <= min(goals) and max(goals) <= ranges.range_max
        radians = arm.calibration.to_radians([[tick] * 6 for tick in goals])[:, joint]
        assert arm.calibration.lower_rad[joint] <= radians.min()
        assert radians.max() <= arm.calibration.upper_rad[joint]


def test_motion_is_bounded_from_the_measured_pose_to_the_first_command_on(arm):
    """Invariant 9: whatever is commanded, goals begin at the measured pose and move by bounded steps."""
    arm.bring_up("max_joint_speed:=1.0", "gripper_speed:=1.0", "ramp_speed:=0.3")
    start = arm.ticks()
    for target in ([1.5] * 6, [-1.5] * 6, TARGET, [9.0] * 6):
        arm.drive(target, 1.0)
    for joint in range(6):
        goals = arm.goals_of(joint)
        tick_rad = abs(arm.calibration.radians_per_tick[joint])
        assert abs(goals[0] - start[joint]) * tick_rad < 0.06, "at the measured pose, before gravity took it"
        # 1 rad/s for at most 0.05 s, and the rounding of both ends.
        assert max(abs(np.diff(goals))) * tick_rad <= 0.05 + 2 * tick_rad


def test_a_bad_parameter_is_refused_with_its_reason(arm):
    assert arm.start("temperature_c:=[60.0, 55.0, 67.0]").wait() == 2
    assert "temperature_c: expected three values that do not fall" in arm.process.log


def test_a_limit_that_is_set_while_the_arm_moves_holds_from_the_next_cycle_on(arm):
    arm.bring_up("ramp_speed:=2.0", "max_joint_speed:=2.0")
    arm.drive_to([0.0] * 5 + [0.8])
    arm.wait(arm.is_still)
    assert arm.set_parameter("max_joint_speed", 0.2).successful
    slow_s = time.monotonic()
    arm.drive_until(lambda: len(arm.goals_of(0, slow_s)) > 100, [1.0, -1.0, 1.0, 1.0, 1.0, 0.8])
    moves = np.abs(np.diff(arm.goals_of(0, slow_s))) * TICK_RAD
    assert usual_speed(arm, 0, slow_s) == pytest.approx(0.2, abs=0.03)
    assert moves.max() <= 0.2 * MAX_DT_S + 2 * TICK_RAD
    refused = arm.set_parameter("max_joint_speed", 9.0)
    assert not refused.successful and "max_joint_speed" in refused.reason
    assert not arm.set_parameter("port", "/dev/other").successful


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        ("calibration_file:=/nowhere.yaml", "calibration"),
        ("port:=/dev/nowhere", "port /dev/nowhere: cannot be opened"),
        ("role:=boss", "role: expected one of ['follower', 'leader'], got 'boss'"),
        ("state_hz:=1000.0", "state_hz"),
    ],
)
def test_what_it_cannot_start_with_is_said_in_one_line(arm, parameter, complaint):
    assert arm.start(parameter).wait() == 2
    assert complaint in arm.process.log and "Traceback" not in arm.process.log


def test_a_second_driver_on_the_port_is_refused(arm):
    arm.bring_up()
    first = arm.process
    assert arm.start("state_hz:=50.0").wait() == 2
    assert "no other program on it" in arm.process.log
    seen = len(arm.states)
    arm.wait(lambda: len(arm.states) > seen + 10)
    assert first.stop() == 0


def test_servos_that_hold_another_calibration_than_the_file_are_refused(arm):
    arm.bus.set(3, r.HOMING_OFFSET, 7)
    assert arm.start().wait() == 2
    assert "elbow_flex (servo 3): Homing_Offset: expected -412, found 7" in arm.process.log
    assert arm.is_limp()


def test_a_calibration_that_cannot_be_right_is_refused(arm):
    arm.calibrate_again("shoulder_lift", range_max=1500)
    assert arm.start().wait() == 2
    assert "shoulder_lift: range: expected" in arm.process.log


def test_a_missing_servo_is_named(arm):
    arm.bus.fault("absent", servo_id=4)
    assert arm.start().wait() == 2
    assert "no answer from wrist_flex (4)" in arm.process.log


def test_a_servo_that_misses_the_first_questions_is_asked_again(arm):
    arm.bus.fault("absent", servo_id=4, count=ATTEMPTS + 1)
    arm.bring_up()


def test_torque_is_refused_where_the_pose_is_outside_the_limits(arm):
    arm.calibrate_again("elbow_flex", range_max=2200)
    arm.bus.place(3, 2400 + arm.calibration.joints["elbow_flex"].homing_offset)
    arm.bring_up("torque_on_start:=false")
    assert "elbow_flex is at" in arm.refusal()
    assert arm.is_limp()


@dataclass(frozen=True)
class Step:
    """From one goal of a joint to the next."""

    time_s: float
    at_most_s: float
    """Longest that the driver may have taken from one to the other."""
    rad: float


def steps_of(arm, joint: int) -> list[Step]:
    """The driver makes a goal after it has read the joint, and before the servo gets it."""
    steps, read_s, before = [], 0.0, None
    for event in arm.bus.events():
        if event.servo_id != arm.calibration.ids[joint]:
            continue
        if isinstance(event, PositionSent):
            read_s = event.time_s
        elif event.address == r.GOAL_POSITION.address:
            tick = r.GOAL_POSITION.decode(event.data)
            if before is not None:
                before_read_s, before_tick = before
                move = (tick - before_tick) * TICK_RAD
                steps.append(Step(event.time_s, event.time_s - before_read_s, move))
            before = read_s, tick
    return steps


def test_goals_are_smooth_between_commands(arm):
    """A command ten times a second with the speed that takes it there makes one motion, not ten."""
    arm.bring_up("ramp_speed:=1.0")
    arm.drive_to([0.0] * 5 + [0.8])
    begun_s = time.monotonic()
    while (elapsed_s := time.monotonic() - begun_s) < 2.0:
        arm.command([0.4 * (elapsed_s + 0.1), 0, 0, 0, 0, 0.8], velocity=[0.4] * 6)
        arm.spin(0.1)
    steady = [step for step in steps_of(arm, 0) if begun_s + 0.5 < step.time_s < begun_s + 1.9]
    assert all(0.0 <= step.rad <= 0.4 * min(step.at_most_s, MAX_DT_S) + TICK_RAD for step in steady)
    assert sum(step.rad > 0 for step in steady) > 0.7 * len(steady)


def test_log_lines_do_not_repeat(arm):
    arm.bring_up()
    for _ in range(20):
        arm.command([9.0] * 6)
        arm.spin(0.05)
    lines = [line.partition("]: ")[2] for line in arm.process.log.splitlines()]
    assert all(count == 1 for count in (len(list(g)) for _, g in itertools.groupby(sorted(lines))))
