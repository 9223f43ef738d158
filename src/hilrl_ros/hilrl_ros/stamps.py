"""Stamps as integers. A stamp names a control tick, so equality must be exact."""

from builtin_interfaces.msg import Time

NANOSECONDS_PER_SECOND = 1_000_000_000


def to_ns(stamp: Time) -> int:
    """Nanoseconds since the clock's zero."""
    return stamp.sec * NANOSECONDS_PER_SECOND + stamp.nanosec


def from_ns(stamp_ns: int) -> Time:
    """Inverse of `to_ns`."""
    seconds, nanoseconds = divmod(int(stamp_ns), NANOSECONDS_PER_SECOND)
    return Time(sec=seconds, nanosec=nanoseconds)
