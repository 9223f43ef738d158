"""The two sets of gears in an SO-101: a follower that is strong, a leader that a hand can turn.

Ratings of the 1:345 part at 7.4 V are the vendor's (19.5 kg cm at stall, 52 rpm free); the others follow from
the ratio of their gears. To software all are alike: the encoder sits behind the gears.
"""

import math
from dataclasses import dataclass

STALL_TORQUE_345_NM = 1.91
FREE_SPEED_345 = 52 * 2 * math.pi / 60


@dataclass(frozen=True)
class Gear:
    """The gearbox of one servo."""

    ratio: int
    """Turns of the motor per turn of the joint."""

    @property
    def stall_torque_nm(self) -> float:
        """Of the joint [N m]."""
        return STALL_TORQUE_345_NM * self.ratio / 345

    @property
    def free_speed(self) -> float:
        """Of the joint without load [rad/s]."""
        return FREE_SPEED_345 * 345 / self.ratio


GEARS = {
    "follower": tuple(Gear(ratio) for ratio in (345, 345, 345, 345, 345, 345)),
    "leader": tuple(Gear(ratio) for ratio in (191, 345, 191, 147, 147, 147)),
}
"""By role, in `JOINT_NAMES` order."""
