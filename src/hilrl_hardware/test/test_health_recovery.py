"""What ends a hold, what does not, and who decides for the whole arm."""

import math
from dataclasses import replace

import numpy as np
import pytest
from servo_reports import (
    CALM,
    DT_S,
    EASE_OFF,
    ELBOW,
    ENCODER,
    HOLD,
    HOT,
    OK,
    OVERLOAD,
    VOLTAGE,
    WARN,
    Arm,
)

from hilrl_hardware.health import MAX_ELAPSED_S
from hilrl_hardware.health_limits import NEVER, HealthLimits, Steps


def test_a_hold_ends_after_a_while_below_its_limit_by_the_hysteresis():
    arm = Arm()
    arm.set(temperature_c=62)
    arm.run(2.0)
    arm.set(temperature_c=59)
    assert arm.run(60.0).level is HOLD, "not cool enough"
    for _ in range(10):
        arm.set(temperature_c=58)
        assert arm.run(0.9).level is HOLD, "not for long enough"
        arm.set(temperature_c=59)
        arm.cycle()
    arm.set(temperature_c=58)
    assert arm.run(1.1).level is WARN
    arm.set(temperature_c=51)
    assert arm.run(1.1).level is OK


def test_a_reading_that_jitters_about_its_limit_repeats_one_text():
    rng = np.random.default_rng(0)
    arm, texts = Arm(), []
    for _ in range(3000):
        arm.set(temperature_c=int(rng.choice([62, 63, 64])), current_a=rng.uniform(1.35, 1.55))
        texts += [finding.text for finding in arm.cycle().findings]
    assert len(set(texts)) == 2 and len(texts) > 5000


def test_torque_goes_off_for_good_until_somebody_resets():
    arm = Arm()
    arm.set(status=HOT)
    arm.run(0.1)
    arm.set(status=0)
    assert arm.run(600.0).level is EASE_OFF
    arm.health.reset()
    assert arm.cycle().level is OK


def test_a_reset_does_not_help_while_the_cause_is_there():
    arm = Arm()
    arm.set(temperature_c=70)
    arm.run(1.5)
    arm.health.reset()
    assert arm.cycle().level is EASE_OFF
    arm.set(temperature_c=64)
    arm.run(5.0)
    arm.health.reset()
    assert arm.cycle().level is EASE_OFF, "not cool enough"
    arm.set(temperature_c=63)
    arm.run(5.0)
    arm.health.reset()
    assert arm.cycle().level is HOLD


def test_the_worst_joint_decides_and_is_named_first():
    arm = Arm()
    arm.set(0, temperature_c=56)
    arm.set(ELBOW, temperature_c=68)
    arm.set(4, current_a=1.7)
    verdict = arm.run(2.0)
    assert verdict.level is EASE_OFF
    assert [finding.key for finding in verdict.findings] == [
        "elbow_flex temperature",
        "wrist_roll current",
        "shoulder_pan temperature",
    ]
    assert verdict.joint_levels == (WARN, OK, EASE_OFF, OK, HOLD, OK)


def test_a_supply_that_sags_is_one_cause_not_six():
    arm = Arm()
    for joint in range(6):
        arm.set(joint, voltage_v=4.3 - 0.01 * joint, status=VOLTAGE)
    verdict = arm.run(0.4)
    texts = {finding.key: finding.text for finding in verdict.findings}
    assert set(texts) == {"supply low voltage", "supply voltage fault"}
    assert texts["supply low voltage"].startswith("servo 6 (gripper) has 4.2 V")


def test_joints_that_push_are_relieved_and_those_that_let_go_are_followed():
    arm = Arm()
    arm.set(0, current_a=1.8)
    arm.set(1, status=OVERLOAD)
    arm.set(2, status=ENCODER)
    arm.set(3, load=0.9)
    arm.set(4, temperature_c=65)
    verdict = arm.run(1.5)
    assert verdict.relieve == (True, False, False, True, False, False)
    assert verdict.limp == (False, True, False, False, False, False)
    assert verdict.untrusted == (False, False, True, False, False, False)
    arm.reports = [CALM] * 6
    assert arm.run(5.0).untrusted[2], "until somebody has looked at it"


def test_a_stalled_loop_counts_as_a_tenth_of_a_second():
    arm = Arm()
    arm.set(temperature_c=70)
    arm.cycle()
    arm.now_s += 3600.0
    assert arm.cycle().level is OK
    assert arm.until(EASE_OFF, 2.0) >= 1.0 - MAX_ELAPSED_S - 3 * DT_S


@pytest.mark.parametrize("jump_s", [-1e6, math.nan, math.inf])
def test_a_clock_that_makes_no_sense_delays_at_most(jump_s):
    arm = Arm()
    arm.set(temperature_c=70)
    arm.run(0.5)
    arm.health.update(arm.reports, arm.ages_s, arm.now_s + jump_s)
    arm.now_s += jump_s if math.isfinite(jump_s) else 0.0
    assert arm.until(EASE_OFF, 2.0) == pytest.approx(0.5, abs=MAX_ELAPSED_S)


def test_new_limits_count_from_the_next_update_on():
    arm = Arm()
    arm.set(temperature_c=50)
    assert arm.run(2.0).level is OK
    arm.health.limits = replace(HealthLimits(), temperature_c=Steps(45, 48, NEVER, hysteresis=1))
    assert arm.run(1.5).level is HOLD
    arm.health.limits = HealthLimits()
    assert arm.run(2.5).level is OK


def test_12_v_parts_have_their_own_limits():
    arm = Arm(HealthLimits().for_12_v())
    for joint in range(6):
        arm.set(joint, voltage_v=12.0)
    assert arm.run(2.0).level is OK
    arm.set(voltage_v=9.4)
    assert arm.run(0.5).level is HOLD


@pytest.mark.parametrize("seed", range(10))
def test_no_sequence_of_reports_is_taken_lightly_or_breaks_anything(seed):
    """Against a plain second opinion: how long each reading has been beyond its worst limit."""
    rng = np.random.default_rng(seed)
    arm, lasting_s, off = Arm(), 0.0, False
    for _ in range(4000):
        hot = rng.uniform() < 0.995
        arm.set(
            temperature_c=int(rng.integers(67, 256) if hot else rng.integers(0, 67)),
            current_a=float(rng.choice([0.0, 1.7, 200.0, math.nan])),
            load=float(rng.choice([-1.0, 0.0, 1.0, math.nan])),
            voltage_v=float(rng.choice([0.0, 5.0, 25.5, math.nan])),
            velocity=int(rng.integers(-32767, 32768)),
            status=int(rng.integers(0, 256)) if rng.uniform() < 0.2 else 0,
        )
        arm.ages_s = [float(rng.choice([0.0, 0.0, 0.05])) for _ in range(6)]
        verdict = arm.cycle()
        lasting_s = lasting_s + DT_S if hot else 0.0
        off = off or lasting_s > 1.0 + 1.5 * DT_S
        assert verdict.level is EASE_OFF or not off
        assert verdict.level == max((finding.level for finding in verdict.findings), default=OK)
        assert list(verdict.findings) == sorted(verdict.findings, key=lambda finding: -finding.level)
        assert len({finding.key for finding in verdict.findings}) == len(verdict.findings)
    assert off


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda: Steps(62, 55, 67), "warn, hold, off: expected each to come after the one before"),
        (lambda: Steps(4.1, 4.3, 4.5, falling=True), "warn, hold, off: expected each to come after"),
        (lambda: Steps(1, 2, math.nan), "warn, hold, off: expected"),
        (lambda: Steps(1, 2, 3, hold_s=-1.0), "hold_s: expected a finite number >= 0"),
        (lambda: HealthLimits(recover_s=0.0), "recover_s: expected a finite number > 0 s"),
    ],
)
def test_limits_that_make_no_sense_are_refused(change, text):
    with pytest.raises(ValueError, match=text):
        change()
