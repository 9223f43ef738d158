"""How the joint of an emulated servo moves."""

import itertools

import pytest
from servo_bench import LOADED, Bench

from hilrl_hardware import registers
from hilrl_hardware.emulator.motion import DROOP_TICKS, FALL_SPEED


def test_a_joint_goes_to_its_goal_with_torque_on_and_nowhere_without():
    bench = Bench()
    bench.write(registers.GOAL_POSITION, 2500)
    bench.wait(2.0)
    assert bench.read(registers.PRESENT_POSITION) == 2048
    bench.write(registers.TORQUE_ENABLE, 1)
    bench.wait(0.05)
    assert bench.read(registers.MOVING) == 1
    bench.wait(2.0)
    assert bench.read(registers.PRESENT_POSITION) == 2500
    assert bench.read(registers.MOVING) == bench.read(registers.PRESENT_VELOCITY) == 0


@pytest.mark.parametrize(("phase", "register_value"), [(12, 300), (8, 6)])
def test_no_joint_is_faster_than_its_goal_velocity(phase, register_value):
    bench = Bench(values={registers.PHASE: phase})
    bench.write(registers.GOAL_VELOCITY, register_value)
    bench.hold(3000)
    ticks = bench.watch(1.0)
    steps = [after - before for before, after in itertools.pairwise(ticks)]
    assert max(steps) == pytest.approx(0.3)
    assert ticks[-1] == pytest.approx(2048 + 300, abs=10)


def test_speed_grows_and_falls_no_faster_than_the_acceleration_says():
    bench = Bench()
    bench.write(registers.ACCELERATION, 50)
    bench.hold(2800)
    speeds = [0.0]
    for _ in range(2000):
        bench.wait(0.001)
        speeds.append(bench.servo.motion.speed)
    assert bench.servo.motion.encoder == pytest.approx(2800)
    gains = [after - before for before, after in itertools.pairwise(speeds)]
    assert max(gains) == pytest.approx(5.0)
    assert max(speeds) == pytest.approx((5000 * 752) ** 0.5, rel=0.05)


def test_velocity_0_means_full_speed_unless_the_phase_says_otherwise():
    for phase, travelled in ((12, 1500), (4, 0)):
        bench = Bench(values={registers.PHASE: phase})
        bench.hold(3548)
        bench.wait(2.0)
        assert bench.servo.motion.encoder - 2048 == pytest.approx(travelled)


@pytest.mark.parametrize(("goal", "reached"), [(3500, 3000), (100, 1000), (2000, 2000)])
def test_a_goal_outside_the_position_limits_ends_at_the_limit(goal, reached):
    bench = Bench(values={registers.MIN_POSITION_LIMIT: 1000, registers.MAX_POSITION_LIMIT: 3000})
    bench.hold(goal)
    bench.wait(3.0)
    assert bench.read(registers.PRESENT_POSITION) == reached


def test_looking_often_or_once_makes_no_difference():
    one, often = Bench(LOADED), Bench(LOADED)
    for bench in (one, often):
        bench.write(registers.ACCELERATION, 20)
        bench.hold(2600)
    one.wait(0.5)
    often.watch(0.5, period_s=0.0005)
    assert one.servo.motion.encoder == pytest.approx(often.servo.motion.encoder, abs=10)
    one.wait(5.0)
    often.watch(5.0, period_s=0.01)
    assert one.servo.motion.encoder == pytest.approx(often.servo.motion.encoder)


def test_a_joint_without_torque_stays_in_the_hand_and_falls_to_its_stop_when_let_go():
    bench = Bench(LOADED)
    bench.wait(5.0)
    assert bench.servo.motion.encoder == 2048
    bench.servo.motion.held = False
    bench.servo.disturb()
    bench.wait(1.0)
    assert bench.servo.motion.encoder == pytest.approx(2048 - FALL_SPEED)
    bench.wait(10.0)
    assert bench.servo.motion.encoder == LOADED.lower_stop


def test_a_hand_lets_go_when_the_motor_takes_over():
    bench = Bench(LOADED)
    bench.hold()
    bench.wait(1.0)
    assert bench.servo.motion.encoder == pytest.approx(2048, abs=DROOP_TICKS)
    bench.write(registers.TORQUE_ENABLE, 0)
    bench.wait(1.0)
    assert bench.servo.motion.encoder < 2048 - FALL_SPEED / 2


@pytest.mark.parametrize(("gain", "droop"), [(32, DROOP_TICKS / 4), (16, DROOP_TICKS / 2)])
def test_a_loaded_joint_droops_by_its_load_over_its_gain(gain, droop):
    bench = Bench(LOADED)
    bench.write(registers.P_COEFFICIENT, gain)
    bench.hold(2048)
    bench.wait(2.0)
    assert bench.servo.motion.encoder == pytest.approx(2048 - droop)
    assert bench.read(registers.PRESENT_LOAD) == 250


def test_a_joint_sags_the_faster_the_less_torque_it_is_left():
    drops = []
    for limit in (300, 200, 100):
        bench = Bench(LOADED)
        bench.hold(2048)
        bench.wait(0.5)
        before = bench.servo.motion.encoder
        bench.write(registers.TORQUE_LIMIT, limit)
        bench.wait(1.0)
        drops.append(before - bench.servo.motion.encoder)
    assert drops[0] == 0
    assert drops[1] == pytest.approx(FALL_SPEED * 0.2)
    assert drops[2] == pytest.approx(FALL_SPEED * 0.6)
