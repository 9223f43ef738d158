"""The memory of an emulated servo, and how it protects itself."""

import pytest
from servo_bench import LOADED, Bench

from hilrl_hardware import registers
from hilrl_hardware.emulator.motion import DROOP_TICKS, FALL_SPEED, Mechanics
from hilrl_hardware.emulator.protection import OVER_CURRENT, OVER_TEMPERATURE, OVERLOAD, VOLTAGE, Supply
from hilrl_hardware.emulator.servo import CENTRE_HERE, CENTRED_TICK, PENDING_WRITE


@pytest.mark.parametrize(
    ("encoder", "offset", "present"),
    [(2000, 0, 2000), (2000, 412, 1588), (2000, -412, 2412), (100, 500, 3696)],
)
def test_present_position_is_the_encoder_less_the_homing_offset_within_one_turn(encoder, offset, present):
    bench = Bench(encoder=encoder)
    bench.write(registers.HOMING_OFFSET, offset)
    assert bench.read(registers.HOMING_OFFSET) == offset
    assert bench.read(registers.PRESENT_POSITION) == present


def test_negative_values_are_sign_and_magnitude_on_the_wire():
    bench = Bench(encoder=100, values={registers.PHASE: 12 | registers.PHASE_MULTI_TURN})
    bench.write(registers.HOMING_OFFSET, 500)
    assert bench.servo.read(registers.HOMING_OFFSET.address, 2, bench.now_s) == bytes((0xF4, 0x01))
    assert bench.servo.read(registers.PRESENT_POSITION.address, 2, bench.now_s) == bytes((0x90, 0x81))


def test_torque_enable_128_makes_the_present_position_the_centre_for_good():
    bench = Bench(encoder=3000)
    bench.write(registers.TORQUE_ENABLE, CENTRE_HERE)
    assert bench.read(registers.PRESENT_POSITION) == CENTRED_TICK
    assert bench.read(registers.TORQUE_ENABLE) == 0
    bench.servo.power_up()
    assert bench.read(registers.HOMING_OFFSET) == 3000 - CENTRED_TICK


@pytest.mark.parametrize(("lock", "kept"), [(0, 1234), (1, 4095)])
def test_eeprom_keeps_what_was_written_with_lock_0_only(lock, kept):
    bench = Bench()
    bench.write(registers.LOCK, lock)
    bench.write(registers.MAX_POSITION_LIMIT, 1234)
    assert bench.read(registers.MAX_POSITION_LIMIT) == 1234
    bench.servo.power_up()
    assert bench.read(registers.MAX_POSITION_LIMIT) == kept
    assert bench.read(registers.LOCK) == 1


def test_the_maximum_torque_limit_reaches_the_running_limit_at_power_up():
    bench = Bench()
    bench.write(registers.LOCK, 0)
    bench.write(registers.MAX_TORQUE_LIMIT, 500)
    assert bench.read(registers.TORQUE_LIMIT) == 1000
    bench.hold()
    bench.servo.power_up()
    assert bench.read(registers.TORQUE_LIMIT) == 500
    assert bench.read(registers.TORQUE_ENABLE) == bench.read(registers.GOAL_POSITION) == 0


def test_a_servo_may_power_up_with_torque_on_and_then_stays_where_it_is():
    bench = Bench(LOADED, encoder=1500.0, supply=Supply(torque_at_power_up=True))
    bench.wait(2.0)
    assert bench.read(registers.TORQUE_ENABLE) == 1
    assert bench.servo.motion.encoder == pytest.approx(1500, abs=DROOP_TICKS)


@pytest.mark.parametrize("register", [registers.MODEL_NUMBER, registers.PRESENT_POSITION, registers.STATUS])
def test_what_a_servo_measures_or_is_cannot_be_written(register):
    bench = Bench()
    before = bench.read(register)
    bench.write(register, before + 1)
    assert bench.read(register) == before


def test_a_pending_write_waits_for_the_action():
    bench = Bench()
    bench.servo.hold_write(registers.ACCELERATION.address, b"\x32")
    assert bench.read(registers.ACCELERATION) == 0
    assert bench.servo.read(PENDING_WRITE, 1, bench.now_s) == b"\x01"
    assert bench.servo.act(bench.now_s) == (registers.ACCELERATION.address, b"\x32")
    assert bench.read(registers.ACCELERATION) == 50
    assert bench.servo.act(bench.now_s) is None


def test_nothing_is_read_beyond_the_end_of_memory():
    assert Bench().servo.read(120, 9, 100.0) is None


def test_a_blocked_joint_trips_on_overload_and_keeps_the_protective_torque_until_switched():
    bench = Bench()
    bench.servo.motion.stuck = True
    bench.hold(2500)
    bench.wait(1.9)
    assert bench.read(registers.STATUS) == 0
    assert bench.read(registers.PRESENT_LOAD) == 1000
    assert bench.read(registers.PRESENT_POSITION) == 2048
    bench.wait(0.2)
    bench.wait(0.01)
    assert bench.read(registers.STATUS) == OVERLOAD
    assert bench.read(registers.PRESENT_LOAD) == 200
    bench.servo.motion.stuck = False
    bench.write(registers.TORQUE_ENABLE, 0)
    bench.hold(2500)
    bench.wait(2.0)
    assert bench.read(registers.STATUS) == 0
    assert bench.read(registers.PRESENT_POSITION) == 2500


def test_pushing_against_a_stop_is_a_load_like_any_other():
    bench = Bench(Mechanics(lower_stop=0.0, upper_stop=2500.0))
    bench.hold(3000)
    bench.wait(1.0)
    assert bench.read(registers.PRESENT_POSITION) == 2500
    assert bench.read(registers.PRESENT_LOAD) == 1000


def test_a_hot_motor_is_switched_off_by_its_servo_until_it_has_cooled():
    bench = Bench(LOADED)
    bench.hold()
    bench.servo.forced[registers.PRESENT_TEMPERATURE] = 70
    bench.wait(0.1)
    bench.wait(0.9)
    assert bench.read(registers.STATUS) == OVER_TEMPERATURE
    assert bench.read(registers.PRESENT_TEMPERATURE) == 70
    fallen = bench.servo.motion.encoder
    assert fallen < 2048 - FALL_SPEED / 2
    bench.servo.forced.clear()
    bench.wait(2.0)
    assert bench.read(registers.STATUS) == 0
    assert bench.servo.motion.encoder > fallen


def test_a_wrong_voltage_is_told_but_does_not_unload():
    bench = Bench(LOADED, supply=Supply(voltage_v=12.0))
    bench.hold()
    bench.wait(1.0)
    assert bench.read(registers.STATUS) == VOLTAGE
    assert bench.servo.motion.encoder == pytest.approx(2048, abs=DROOP_TICKS)


def test_too_much_current_for_too_long_unloads():
    bench = Bench(values={registers.PROTECTION_CURRENT: 250, registers.OVERLOAD_TORQUE: 200})
    bench.servo.motion.stuck = True
    bench.hold(2500)
    bench.wait(1.0)
    assert bench.read(registers.PRESENT_CURRENT) > 250
    bench.wait(1.5)
    bench.wait(0.01)
    assert bench.read(registers.STATUS) == OVER_CURRENT
    assert bench.read(registers.PRESENT_LOAD) == 0


def test_a_loaded_motor_heats_up_draws_the_supply_down_and_cools_when_off():
    bench = Bench(
        values={registers.UNLOADING_CONDITION: 0, registers.OVERLOAD_TORQUE: 200}, supply=Supply(heating=10.0)
    )
    bench.servo.motion.stuck = True
    bench.hold(2500)
    bench.watch(20.0, period_s=0.1)
    hot = bench.servo.protection.temperature_c
    assert hot > 50
    assert bench.read(registers.PRESENT_VOLTAGE) == 70
    bench.write(registers.TORQUE_ENABLE, 0)
    bench.watch(60.0, period_s=0.1)
    assert 30 < bench.servo.protection.temperature_c < hot
    assert bench.read(registers.PRESENT_VOLTAGE) == 74


def test_load_velocity_and_current_have_the_sign_of_the_motion():
    for goal, sign in ((3000, 1), (1000, -1)):
        bench = Bench()
        bench.hold(goal)
        bench.wait(0.1)
        for register in (registers.PRESENT_VELOCITY, registers.PRESENT_LOAD, registers.PRESENT_CURRENT):
            assert bench.read(register) * sign > 0
