import pytest

from hilrl_hardware import registers as r
from hilrl_hardware.feedback import Feedback


@pytest.mark.parametrize(
    ("register", "value", "data"),
    [
        (r.HOMING_OFFSET, -412, [0x9C, 0x09]),  # the sign is bit 11
        (r.HOMING_OFFSET, 2047, [0xFF, 0x07]),
        (r.PRESENT_LOAD, -1000, [0xE8, 0x07]),  # bit 10
        (r.GOAL_POSITION, 4095, [0xFF, 0x0F]),
        (r.PRESENT_VELOCITY, -50, [0x32, 0x80]),  # bit 15
        (r.TORQUE_ENABLE, 128, [0x80]),
    ],
)
def test_a_value_is_little_endian_with_the_sign_in_its_bit(register, value, data):
    assert register.encode(value) == data
    assert register.decode(bytes(data)) == value


@pytest.mark.parametrize(
    ("register", "value"),
    [(r.HOMING_OFFSET, 2048), (r.HOMING_OFFSET, -2048), (r.GOAL_TIME, -1), (r.ID, 256), (r.GOAL_TIME, 65536)],
)
def test_a_value_that_does_not_fit_is_refused_by_name(register, value):
    with pytest.raises(ValueError, match=f"{register.name}: expected within .*, got {value}"):
        register.encode(value)


def test_feedback_is_read_from_the_block_that_begins_at_the_position():
    data = bytes([0x34, 0x02, 0x32, 0x80, 0x64, 0x04, 74, 31, 0, 32, 1, 0, 0, 100, 0])
    assert Feedback.decode(data) == Feedback(
        position=564,
        velocity=-50,
        load=pytest.approx(-0.1),
        voltage_v=pytest.approx(7.4),
        temperature_c=31,
        status=32,
        moving=True,
        current_a=pytest.approx(0.65),
    )
    assert r.fault_names(32 | 4) == ["over-temperature", "overload"]
