"""The QoS profiles of the graph, one per kind of stream."""

from rclpy.duration import Duration
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)

SENSOR_DATA = qos_profile_sensor_data


def _reliable(depth: int) -> QoSProfile:
    return QoSProfile(reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=depth)


# Cameras publish reliably so that a lockstep loop does not wait for a dropped frame; subscribers on a
# real camera's topic use SENSOR_DATA.
IMAGES = _reliable(2)
JOINT_STATES = _reliable(10)
ACTIONS = _reliable(1)
EVENTS = _reliable(10)

# At least one episode; what is lost beyond it is sent again from the actor's spool.
STEPS = _reliable(512)

# For what a late joiner needs. One publisher per topic, or one replay evicts another.
LATCHED = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
)


def actions_with_deadline(period_s: float) -> QoSProfile:
    """`ACTIONS` with a deadline, so that DDS itself reports a stream that went quiet."""
    profile = _reliable(1)
    profile.deadline = Duration(seconds=period_s)
    return profile
