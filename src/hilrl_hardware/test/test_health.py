"""Every reading beyond its limits leads to what is said of it, after its time and no sooner."""

import math

import pytest
from servo_reports import (
    CALM,
    DT_S,
    EASE_OFF,
    ELBOW,
    ENCODER,
    GRIPPER,
    HOLD,
    HOT,
    OK,
    OVER_CURRENT,
    OVERLOAD,
    VOLTAGE,
    WARN,
    Arm,
)

from hilrl_ros.joints import JOINT_NAMES


def test_a_calm_arm_is_well():
    verdict = Arm().run(5.0)
    assert verdict.level is OK and verdict.findings == () and set(verdict.joint_levels) == {OK}
    assert not any(verdict.relieve + verdict.limp + verdict.untrusted)


@pytest.mark.parametrize(
    ("joint", "readings", "level", "after_s", "text"),
    [
        (ELBOW, {"temperature_c": 55}, WARN, 1.0, "is at 55 C, limit 55 C for 1 s; the arm holds at 62 C"),
        (
            ELBOW,
            {"temperature_c": 63},
            HOLD,
            1.0,
            "is at 63 C, limit 62 C for 1 s: the arm holds until it is below 59 C",
        ),
        (ELBOW, {"temperature_c": 67}, EASE_OFF, 1.0, "is at 67 C, limit 67 C for 1 s: the arm is let down"),
        (ELBOW, {"current_a": 1.4}, WARN, 2.0, "draws 1.4 A, limit 1.3 A for 2 s; the arm holds at 1.6 A"),
        (
            ELBOW,
            {"current_a": 2.5},
            HOLD,
            1.0,
            "draws 2.5 A, limit 1.6 A for 1 s: the arm holds and this joi",
        ),
        (ELBOW, {"current_a": 2.5}, EASE_OFF, 4.0, "draws 2.5 A, limit 1.6 A for 4 s: the arm is let down"),
        (GRIPPER, {"current_a": 1.25}, WARN, 10.0, "draws 1.2 A, limit 1.1 A for 10 s; the arm holds at 1.4"),
        (GRIPPER, {"current_a": 1.6}, HOLD, 2.0, "draws 1.6 A, limit 1.4 A for 2 s: the arm holds and this"),
        (GRIPPER, {"current_a": 1.6}, EASE_OFF, 8.0, "draws 1.6 A, limit 1.4 A for 8 s: the arm is let down"),
        (ELBOW, {"load": -0.75}, WARN, 1.0, "stands still under a load of 75 %, limit 70 % for 1 s"),
        (
            ELBOW,
            {"load": 0.85},
            HOLD,
            1.0,
            "stands still under a load of 85 %, limit 80 % for 1 s: the arm ho",
        ),
        (ELBOW, {"load": 0.85}, EASE_OFF, 5.0, "stands still under a load of 85 %, limit 80 % for 5 s"),
        (ELBOW, {"voltage_v": 4.5}, WARN, 0.5, "has 4.5 V, limit 4.5 V for 0.5 s; the arm holds at 4.3 V"),
        (
            ELBOW,
            {"voltage_v": 4.2},
            HOLD,
            0.3,
            "has 4.2 V, limit 4.3 V for 0.3 s: the arm holds until it is a",
        ),
        (ELBOW, {"voltage_v": 4.0}, EASE_OFF, 1.0, "has 4.0 V, limit 4.1 V for 1 s: the arm is let down"),
        (
            ELBOW,
            {"voltage_v": 12.0},
            WARN,
            1.0,
            "has 12.0 V, limit 8.6 V for 1 s; is the supply meant for th",
        ),
        (ELBOW, {"status": OVERLOAD}, HOLD, 0.03, "reports overload: the arm holds and this joint gives way"),
        (ELBOW, {"status": OVERLOAD}, EASE_OFF, 3.0, "reports overload for 3 s: the arm is let down"),
        (GRIPPER, {"status": OVERLOAD}, WARN, 0.03, "reports overload; it has lowered its torque"),
        (
            ELBOW,
            {"status": HOT},
            EASE_OFF,
            0.03,
            "reports over-temperature: the arm is let down and its torq",
        ),
        (
            ELBOW,
            {"status": OVER_CURRENT},
            HOLD,
            0.03,
            "reports over-current: the arm holds and this joint gi",
        ),
        (ELBOW, {"status": OVER_CURRENT}, EASE_OFF, 1.0, "reports over-current for 1 s: the arm is let down"),
        (ELBOW, {"status": VOLTAGE}, HOLD, 0.05, "reports a voltage fault: the arm holds until that is over"),
        (ELBOW, {"status": VOLTAGE}, EASE_OFF, 2.0, "reports a voltage fault for 2 s: the arm is let down"),
        (
            ELBOW,
            {"status": ENCODER},
            EASE_OFF,
            0.03,
            "reports an encoder fault, its position cannot be trust",
        ),
    ],
)
def test_each_reading_leads_to_its_level_after_its_time(joint, readings, level, after_s, text):
    arm = Arm()
    arm.run(1.0)
    arm.set(joint, **readings)
    assert arm.until(level, 20.0) == pytest.approx(after_s, abs=1.5 * DT_S)
    [finding] = arm.cycle().findings
    assert finding.level is level
    assert finding.text.startswith(f"servo {joint + 1} ({JOINT_NAMES[joint]}) {text}")
    supply = "voltage" in finding.key
    assert finding.joint == ("" if supply else JOINT_NAMES[joint])
    levels = arm.cycle().joint_levels
    assert levels[joint] is (OK if supply else level) and levels.count(OK) >= 5


def test_a_servo_that_does_not_answer_makes_the_arm_hold_until_it_does():
    arm = Arm()
    arm.run(0.5)
    arm.ages_s[ELBOW] = 0.1
    arm.ages_s[0] = 0.09
    assert arm.cycle().findings[0].text == (
        "servo 3 (elbow_flex) does not answer for 0.10 s, limit 0.10 s: the arm holds until it does"
    )
    for age_s in (0.12, 5.0, math.nan, math.inf):
        arm.ages_s[ELBOW] = age_s
        verdict = arm.cycle()
        assert verdict.level is HOLD and "0.10 s, limit" in verdict.findings[0].text, "worded as it began"
    arm.ages_s[ELBOW] = 0.002
    assert arm.until(OK, 2.0) == pytest.approx(1.0, abs=1.5 * DT_S)


def test_a_servo_that_never_answered_makes_the_arm_hold():
    arm = Arm()
    arm.reports[ELBOW], arm.ages_s[ELBOW] = None, math.inf
    arm.cycle()
    [finding] = arm.run(5.0).findings
    assert finding.text == "servo 3 (elbow_flex) has not answered yet: the arm holds until it does"
    assert finding.level is HOLD


def test_readings_that_are_no_numbers_neither_worsen_nor_heal():
    arm = Arm()
    arm.set(temperature_c=63)
    arm.run(1.1)
    arm.set(temperature_c=math.nan)
    assert arm.run(5.0).level is HOLD
    arm = Arm()
    arm.ages_s[ELBOW] = math.nan
    assert arm.cycle().level is HOLD, "an age that is no number is silence"


def test_an_old_report_neither_worsens_nor_heals_a_joint():
    arm = Arm()
    arm.set(temperature_c=63)
    arm.run(0.9)
    arm.ages_s[ELBOW] = 1.0
    assert [finding.key for finding in arm.run(5.0).findings] == ["elbow_flex silence"]
    arm.ages_s[ELBOW] = 0.0
    arm.run(1.5)
    arm.set(temperature_c=30)
    arm.ages_s[ELBOW] = 1.0
    assert "elbow_flex temperature" in [finding.key for finding in arm.run(5.0).findings]


@pytest.mark.parametrize(
    "readings", [{"current_a": 2.5}, {"load": 1.0}, {"temperature_c": 255}, {"voltage_v": 0.0}]
)
def test_a_peak_of_some_cycles_is_normal(readings):
    arm = Arm()
    for _ in range(20):
        arm.set(**readings)
        assert arm.run(0.2).level is OK
        arm.reports[ELBOW] = CALM
        assert arm.run(0.2).level is OK


@pytest.mark.parametrize("status", [VOLTAGE, ENCODER, HOT, OVER_CURRENT, OVERLOAD, 255])
def test_a_fault_bit_in_two_readings_is_not_one_yet(status):
    arm = Arm()
    for _ in range(20):
        arm.set(status=status)
        assert arm.run(2 * DT_S).level is OK
        arm.set(status=0)
        arm.cycle()


def test_bits_without_a_meaning_mean_nothing():
    arm = Arm()
    arm.set(status=16 | 64 | 128)
    assert arm.run(5.0).level is OK


def test_full_power_while_moving_is_no_overload():
    arm = Arm()
    arm.set(load=1.0, velocity=2500)
    assert arm.run(5.0).level is OK


def test_a_gripper_may_hold_an_object_for_minutes():
    arm = Arm()
    arm.set(GRIPPER, current_a=1.25, load=0.9, status=OVERLOAD)
    verdict = arm.run(300.0)
    assert verdict.level is WARN
    assert not any(verdict.relieve + verdict.limp)
