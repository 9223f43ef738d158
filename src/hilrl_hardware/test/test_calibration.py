"""Ticks to radians and to LeRobot's units; ranges that cannot be right."""

import math
import random
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xacro

from hilrl_hardware.calibration import (
    SERVO_IDS,
    URDF_LOWER_RAD,
    URDF_UPPER_RAD,
    Calibration,
    JointCalibration,
    expected_span,
)
from hilrl_ros.joints import JOINT_NAMES

URDF = Path(__file__).parents[3] / "urdf" / "so101.urdf.xacro"

LEROBOT = {
    "shoulder_pan": {"id": 1, "drive_mode": 0, "homing_offset": -312, "range_min": 792, "range_max": 3295},
    "shoulder_lift": {"id": 2, "drive_mode": 0, "homing_offset": 1150, "range_min": 905, "range_max": 3181},
    "elbow_flex": {"id": 3, "drive_mode": 0, "homing_offset": -412, "range_min": 871, "range_max": 3094},
    "wrist_flex": {"id": 4, "drive_mode": 0, "homing_offset": 97, "range_min": 960, "range_max": 3122},
    "wrist_roll": {"id": 5, "drive_mode": 0, "homing_offset": 1203, "range_min": 0, "range_max": 4095},
    "gripper": {"id": 6, "drive_mode": 0, "homing_offset": -655, "range_min": 1421, "range_max": 2673},
}


def calibration_of(data: dict[str, dict[str, int]]) -> Calibration:
    return Calibration({name: JointCalibration(*joint.values()) for name, joint in data.items()})


def changed(joint: str, **fields: object) -> dict[str, dict]:
    return {**LEROBOT, joint: {**LEROBOT[joint], **fields}}


@pytest.fixture
def calibration() -> Calibration:
    return calibration_of(LEROBOT)


# LeRobot's conversions once more, from the description of its format.


def lerobot_normalise(mode: str, mn: int, mx: int, drive_mode: int, tick: int) -> float:
    bounded = max(mn, min(mx, tick))
    if mode == "RANGE_M100_100":
        value = (bounded - mn) / (mx - mn) * 200 - 100
        return -value if drive_mode else value
    if mode == "RANGE_0_100":
        value = (bounded - mn) / (mx - mn) * 100
        return 100 - value if drive_mode else value
    return (tick - (mn + mx) / 2) * 360 / 4095


def lerobot_unnormalise(mode: str, mn: int, mx: int, drive_mode: int, value: float) -> int:
    if mode == "RANGE_M100_100":
        value = max(-100.0, min(100.0, -value if drive_mode else value))
        return math.trunc((value + 100) / 200 * (mx - mn) + mn)
    if mode == "RANGE_0_100":
        value = max(0.0, min(100.0, 100 - value if drive_mode else value))
        return math.trunc(value / 100 * (mx - mn) + mn)
    return math.trunc(value * 4095 / 360 + (mn + mx) / 2)


OURS = {
    "RANGE_M100_100": (JointCalibration.normalised, JointCalibration.tick_of_normalised, (-130, 130)),
    "RANGE_0_100": (JointCalibration.percent, JointCalibration.tick_of_percent, (-30, 130)),
    "DEGREES": (JointCalibration.degrees, JointCalibration.tick_of_degrees, (-400, 400)),
}


@pytest.mark.parametrize("mode", OURS)
def test_lerobots_units_are_met_to_the_bit_on_10000_ticks_both_ways(mode):
    to_value, to_tick, values = OURS[mode]
    draw = random.Random(mode)
    for _ in range(10_000):
        mn, mx = sorted(draw.sample(range(4096), 2))
        drive_mode, tick = draw.randrange(2), draw.randrange(-100, 4200)
        joint = JointCalibration(1, drive_mode, 0, mn, mx)
        value = to_value(joint, tick)
        assert value == lerobot_normalise(mode, mn, mx, drive_mode, tick)
        assert to_tick(joint, value) == lerobot_unnormalise(mode, mn, mx, drive_mode, value)
        value = draw.uniform(*values)
        assert to_tick(joint, value) == lerobot_unnormalise(mode, mn, mx, drive_mode, value)


def test_ticks_are_cut_off_towards_zero_also_below_it():
    joint = JointCalibration(1, 0, 0, 0, 3)
    assert joint.tick_of_degrees(0.0) == 1  # 1.5
    assert joint.tick_of_degrees(-2 * 360 / 4095) == 0  # -0.5


def test_a_lerobot_file_gives_lerobots_angles_but_for_its_4095_ticks_in_a_turn(calibration):
    ticks = np.random.default_rng(5).integers(0, 4096, (10_000, 6))
    radians = calibration.to_radians(ticks)
    for index, (name, joint) in enumerate(LEROBOT.items()):
        mn, mx = joint["range_min"], joint["range_max"]
        if name != "gripper":
            degrees = [lerobot_normalise("DEGREES", mn, mx, 0, tick) for tick in ticks[:, index]]
            expected = np.radians(degrees) * 4095 / 4096
            np.testing.assert_allclose(radians[:, index], expected, rtol=0, atol=1e-12)
            continue
        inside = ticks[:, index].clip(mn, mx)
        percent = np.array([lerobot_normalise("RANGE_0_100", mn, mx, 0, tick) for tick in inside])
        expected = -0.174533 + percent / 100 * (1.74533 + 0.174533)
        within = inside == ticks[:, index]
        np.testing.assert_allclose(radians[within, index], expected[within], rtol=0, atol=1e-12)


def test_every_tick_comes_back_from_radians():
    draw = random.Random(3)
    for _ in range(30):
        joints = {}
        for name, servo_id in SERVO_IDS.items():
            mn, mx = sorted(draw.sample(range(4096), 2))
            turned = name != "gripper" and draw.random() < 0.5
            joints[name] = JointCalibration(servo_id, draw.randrange(2), 0, mn, mx, turned)
        calibration = Calibration(joints)
        ticks = np.tile(np.arange(4096)[:, None], 6)
        np.testing.assert_array_equal(calibration.to_ticks(calibration.to_radians(ticks)), ticks)


def test_arm_joints_ignore_drive_mode_as_lerobots_degrees_do(calibration):
    mirrored = calibration_of({name: {**joint, "drive_mode": 1} for name, joint in LEROBOT.items()})
    ticks = [1000, 1200, 1400, 1600, 1800, 2000]
    np.testing.assert_array_equal(
        mirrored.to_radians(ticks)[:-1], calibration.to_radians(ticks)[:-1], strict=True
    )


def test_a_reversed_joint_turns_the_other_way_about_the_same_middle(calibration):
    joints = {**calibration.joints, "elbow_flex": replace(calibration.joints["elbow_flex"], reversed=True)}
    turned = Calibration(joints)
    ticks = [2000] * 6
    expected = calibration.to_radians(ticks) * [1, 1, -1, 1, 1, 1]
    np.testing.assert_array_equal(turned.to_radians(ticks), expected)
    assert turned.lower_rad[2] == calibration.lower_rad[2] and turned.upper_rad[2] == calibration.upper_rad[2]


@pytest.mark.parametrize(("drive_mode", "closed", "opened"), [(0, 1421, 2673), (1, 2673, 1421)])
def test_the_gripper_goes_from_the_urdfs_closed_to_its_open_in_the_direction_of_drive_mode(
    drive_mode, closed, opened
):
    calibration = calibration_of(changed("gripper", drive_mode=drive_mode))
    assert calibration.joints["gripper"].percent(closed) == 0.0
    assert calibration.to_radians([2047] * 5 + [closed])[-1] == pytest.approx(-0.174533, abs=1e-12)
    assert calibration.to_radians([2047] * 5 + [opened])[-1] == pytest.approx(1.74533, abs=1e-12)
    assert calibration.lower_rad[-1] == pytest.approx(-0.174533, abs=1e-12)
    assert calibration.upper_rad[-1] == pytest.approx(1.74533, abs=1e-12)


def test_limits_are_the_ranges_and_the_urdfs_for_the_wrist_that_has_no_stops(calibration):
    assert calibration.upper_rad[2] == pytest.approx((3094 - 871) / 2 * 2 * math.pi / 4096)
    assert calibration.lower_rad[2] == -calibration.upper_rad[2]
    assert (calibration.lower_rad[4], calibration.upper_rad[4]) == (-2.74385, 2.84121)
    ticks = calibration.to_ticks([calibration.lower_rad, calibration.upper_rad])
    assert ticks.min() >= 0 and ticks.max() <= 4095
    assert ticks[:, 2].tolist() == [871, 3094]


def test_a_wrist_that_was_swept_is_limited_by_its_own_range():
    calibration = calibration_of(changed("wrist_roll", range_min=500, range_max=3000))
    assert calibration.upper_rad[4] == pytest.approx(1250 * 2 * math.pi / 4096)


def test_the_limits_known_here_are_those_of_the_description():
    robot = ElementTree.fromstring(xacro.process_file(str(URDF)).toxml())
    limits = {joint.get("name"): joint.find("limit") for joint in robot.iter("joint")}
    for name in JOINT_NAMES:
        assert float(limits[name].get("lower")) == URDF_LOWER_RAD[name]
        assert float(limits[name].get("upper")) == URDF_UPPER_RAD[name]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_angle_that_is_no_number_has_no_tick(calibration, value):
    with pytest.raises(ValueError, match="expected finite numbers"):
        calibration.to_ticks([0, 0, value, 0, 0, 0])


def test_the_grippers_width_follows_its_map_and_back(calibration):
    measured = replace(calibration, gripper_width_mm=((0.0, 2.0), (50.0, 60.0), (100.0, 90.0)))
    lower, upper = URDF_LOWER_RAD["gripper"], URDF_UPPER_RAD["gripper"]
    assert measured.gripper_width_m(lower) == pytest.approx(0.002)
    assert measured.gripper_width_m(lower + (upper - lower) / 4) == pytest.approx(0.031)
    for width_m in (0.002, 0.02, 0.06, 0.09):
        assert measured.gripper_width_m(measured.gripper_radians(width_m)) == pytest.approx(width_m)


# What is odd, and what is wrong.


def test_a_plausible_arm_has_no_problems(calibration):
    assert calibration.problems() == []


@pytest.mark.parametrize(
    ("joint", "low", "high", "reason"),
    [
        ("shoulder_pan", 20, 4080, "at most 3900 ticks"),
        ("elbow_flex", 2100, 4095, "2047, inside"),
        ("elbow_flex", 1600, 2600, "1102..2974 ticks"),
        ("wrist_flex", 500, 3600, "1081..2919 ticks"),
        ("gripper", 1900, 2300, "626..1690 ticks"),
        ("wrist_roll", 1500, 3000, "1820..4095 ticks"),
    ],
)
def test_an_unlikely_range_is_a_problem_with_its_reason(joint, low, high, reason):
    (problem,) = calibration_of(changed(joint, range_min=low, range_max=high)).problems()
    assert (
        problem.startswith(f"{joint}: range: expected")
        and reason in problem
        and f"({low}..{high})" in problem
    )


def test_a_leaders_trigger_may_turn_less_than_a_jaw():
    short = calibration_of(changed("gripper", range_min=1900, range_max=2300))
    assert short.problems() and not replace(short, role="leader").problems()


def test_expected_spans_are_those_of_the_urdf():
    assert [expected_span(name) for name in JOINT_NAMES] == [2503, 2276, 2203, 2162, 3641, 1252]
