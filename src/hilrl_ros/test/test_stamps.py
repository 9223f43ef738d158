"""Stamps name ticks, so they are exact integers."""

import pytest
from builtin_interfaces.msg import Time

from hilrl_ros import stamps


@pytest.mark.parametrize("stamp_ns", [0, 1, 999_999_999, 1_000_000_000, 1_764_000_000_123_456_789])
def test_a_stamp_survives_the_way_to_nanoseconds_and_back(stamp_ns: int) -> None:
    assert stamps.to_ns(stamps.from_ns(stamp_ns)) == stamp_ns


def test_seconds_and_nanoseconds_are_split_at_the_second() -> None:
    assert stamps.from_ns(3_000_000_007) == Time(sec=3, nanosec=7)
    assert stamps.to_ns(Time(sec=3, nanosec=7)) == 3_000_000_007


def test_a_thousand_ticks_of_a_tenth_of_a_second_do_not_drift() -> None:
    stamp = Time(sec=1_764_000_000)
    for _ in range(1000):
        stamp = stamps.from_ns(stamps.to_ns(stamp) + 100_000_000)
    assert stamp == Time(sec=1_764_000_100)
