"""From which readings on the driver reacts to a servo, and how.

The servo protects itself as well, without regard to what hangs from it: at 70 C, below 4.0 V, above 3.25 A
for 2 s, or above 80 % of its power for 2 s, it lets go. The limits here come first, so that the arm is let
down slowly instead of falling. Ratings: an STS3215 stalls at 2.5 A and 1.9 N m at 7.4 V, and at about 1.7 A
at 5 V; a 12 V part at 2.7 A.
"""

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

NEVER = math.inf


class Level(IntEnum):
    """What the driver does, the worst last."""

    OK = 0
    WARN = 1
    """Says so."""
    HOLD = 2
    """Goals stay, until the cause is gone."""
    EASE_OFF = 3
    """The arm is let down and its torque goes off, until someone enables it again."""


@dataclass(frozen=True)
class Steps:
    """The limits of one quantity: a level is entered at its limit, or beyond, for its time without a break.

    It is left when the quantity has been `hysteresis` on the good side of the limit for `recover_s`. Raises
    ValueError where a worse level would come before a milder one, or a number is not one.
    """

    warn: float
    hold: float
    off: float
    """NEVER: the quantity does not lead to this level."""
    warn_s: float = 1.0
    hold_s: float = 1.0
    off_s: float = 1.0
    hysteresis: float = 0.0
    falling: bool = False
    """Small values are the bad ones; then what is never entered is at -NEVER."""

    def __post_init__(self) -> None:
        sign = -1.0 if self.falling else 1.0
        limits = [sign * limit for limit in (self.warn, self.hold, self.off) if sign * limit != NEVER]
        if not all(milder <= worse for milder, worse in pairwise([-NEVER, *limits, NEVER])):
            raise ValueError(f"warn, hold, off: expected each to come after the one before, got {self}")
        for name in ("warn_s", "hold_s", "off_s", "hysteresis"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a finite number >= 0, got {getattr(self, name)}")

    def limit(self, level: Level) -> float:
        """Where `level` begins."""
        return (math.nan, self.warn, self.hold, self.off)[level]

    def after_s(self, level: Level) -> float:
        """How long the limit must be reached."""
        return (0.0, self.warn_s, self.hold_s, self.off_s)[level]

    def release(self, level: Level) -> float:
        """Where `level` ends."""
        return self.limit(level) + (self.hysteresis if self.falling else -self.hysteresis)


@dataclass(frozen=True)
class HealthLimits:
    """The limits of one arm. The defaults suit 7.4 V parts on supplies of 5 to 7.4 V."""

    temperature_c: Steps = Steps(55, 62, 67, hysteresis=3)
    """A busy arm is at 40 to 50 [C]."""
    current_a: Steps = Steps(1.3, 1.6, 1.6, warn_s=2.0, hold_s=1.0, off_s=4.0, hysteresis=0.2)
    """Of an arm joint [A]. A stretched arm draws about 1; starting and braking draw more for some hundredths
    of a second. On hold the joint gives way to what blocks it, and torque goes off where that is no use."""
    gripper_current_a: Steps = Steps(1.1, 1.4, 1.4, warn_s=10.0, hold_s=2.0, off_s=8.0, hysteresis=0.2)
    """Of the gripper [A]. With half its torque, as is usual, it grips with up to 1.25 and may for minutes;
    its own protection is set to 1.6."""
    stalled_load: Steps = Steps(0.7, 0.8, 0.8, warn_s=1.0, hold_s=1.0, off_s=5.0, hysteresis=0.1)
    """Share of its power that an arm joint stands still under. The servo trips at 0.8 after 2 s, and then
    holds with a fifth of its torque. Not for the gripper, which is meant to press."""
    low_voltage_v: Steps = Steps(4.5, 4.3, 4.1, 0.5, 0.3, 1.0, hysteresis=0.2, falling=True)
    """Lowest of the six [V]. A supply of 5 V sags to 4.7 as the arm moves."""
    high_voltage_v: Steps = Steps(8.6, NEVER, NEVER, hysteresis=0.2)
    """Highest of the six [V]. A full battery of two cells has 8.4."""
    state_timeout_s: float = 0.1
    """A servo that does not answer for longer makes the arm hold [s]."""
    recover_s: float = 1.0
    """How long a cause must be gone before its level is left [s]."""
    # Three readings at 100 Hz at the least: a single one may be wrong in spite of its checksum.
    overload_bit: Steps = Steps(NEVER, 1, 1, hold_s=0.03, off_s=3.0, hysteresis=0.5)
    """1 where it is set. The servo has lowered its torque to a fifth: the joint sinks."""
    gripper_overload_bit: Steps = Steps(1, NEVER, NEVER, warn_s=0.03, hysteresis=0.5)
    """A gripper reports it that holds something, where its overload limit is set to 25 %, as is usual."""
    temperature_bit: Steps = Steps(NEVER, NEVER, 1, off_s=0.03, hysteresis=0.5)
    current_bit: Steps = Steps(NEVER, 1, 1, hold_s=0.03, off_s=1.0, hysteresis=0.5)
    voltage_bit: Steps = Steps(NEVER, 1, 1, hold_s=0.05, off_s=2.0, hysteresis=0.5)
    encoder_bit: Steps = Steps(NEVER, NEVER, 1, off_s=0.03, hysteresis=0.5)
    """The servo does not know where it is: no goal for it makes sense."""

    def __post_init__(self) -> None:
        for name in ("state_timeout_s", "recover_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a finite number > 0 s, got {getattr(self, name)}")

    def for_12_v(self) -> "HealthLimits":
        """The same for 12 V parts on a 12 V supply, or a battery of three cells."""
        return replace(
            self,
            low_voltage_v=Steps(10.5, 9.5, 9.0, 0.5, 0.3, 1.0, hysteresis=0.3, falling=True),
            high_voltage_v=Steps(13.2, NEVER, NEVER, hysteresis=0.2),
        )
