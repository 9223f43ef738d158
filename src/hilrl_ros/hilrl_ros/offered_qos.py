"""What publishers of a topic offer: what to ask for to hear them all, and how rosbag2 writes it down."""

from collections.abc import Iterable, Sequence

import yaml
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

DEPTH = 100
"""Messages of one topic that DDS keeps for a subscriber that is late."""
Offer = tuple[ReliabilityPolicy, DurabilityPolicy]
"""What decides who hears whom."""


def offer_of(profile: QoSProfile) -> Offer:
    """Of one publisher."""
    return profile.reliability, profile.durability


def request_for(offers: Iterable[Offer]) -> QoSProfile:
    """The most that all of them offer: a subscriber that asks for more than one offers does not hear it."""
    reliabilities, durabilities = zip(*offers, strict=True)
    is_reliable = set(reliabilities) == {ReliabilityPolicy.RELIABLE}
    is_latched = set(durabilities) == {DurabilityPolicy.TRANSIENT_LOCAL}
    return QoSProfile(
        reliability=ReliabilityPolicy.RELIABLE if is_reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if is_latched else DurabilityPolicy.VOLATILE,
        history=HistoryPolicy.KEEP_LAST,
        depth=DEPTH,
    )


def as_yaml(profiles: Sequence[QoSProfile]) -> str:
    """As `offered_qos_profiles` stands in a file of rosbag2, from version 9 of its metadata on."""
    return yaml.safe_dump(
        [
            {
                "history": profile.history.name.lower(),
                "depth": profile.depth,
                "reliability": profile.reliability.name.lower(),
                "durability": profile.durability.name.lower(),
                "deadline": _seconds(profile.deadline),
                "lifespan": _seconds(profile.lifespan),
                "liveliness": profile.liveliness.name.lower(),
                "liveliness_lease_duration": _seconds(profile.liveliness_lease_duration),
                "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
            }
            for profile in profiles
        ],
        sort_keys=False,
    )


def _seconds(duration: Duration) -> dict[str, int]:
    seconds, nanoseconds = divmod(duration.nanoseconds, 1_000_000_000)
    return {"sec": seconds, "nsec": nanoseconds}
