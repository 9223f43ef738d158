"""An arm that sweeps to and fro, so that every cycle has new goals; and when it stopped, and why."""

import time
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

import numpy as np

from arm_world import World, changes
from hilrl_hardware import registers as r
from hilrl_hardware.arm_settings import ArmSettings

END_RAD = 0.7
SPEED = 0.5
"""Of the sweep [rad/s]: slow enough to be no ramp, fast enough for new ticks in every cycle."""
COMMAND_PERIOD_S = 0.02
STILL_S = 0.25
"""Goals that stay for this long are held."""
RECOVERY_S = 1.3
SETTINGS = ArmSettings()
CYCLE_S = 0.01


@dataclass
class Row:
    """One reaction; times in seconds."""

    trigger: str
    reaction: str
    expected: str
    times_s: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, from_s: float, to_s: float | None) -> None:
        """A try; None: it did not happen."""
        if to_s is None:
            self.notes.append("DID NOT HAPPEN")
        else:
            self.times_s.append(max(0.0, to_s - from_s))

    def __str__(self) -> str:
        times_ms = [1e3 * t for t in self.times_s]
        timing = f"{median(times_ms):8.1f} {max(times_ms):8.1f}" if times_ms else " " * 17
        notes = "; ".join(dict.fromkeys(self.notes))
        figures = f"{timing}  {len(times_ms):>2}  {self.expected:<20}"
        return f"{self.trigger:<36} {self.reaction:<42} {figures} {notes}".rstrip()


HEAD = (
    f"{'trigger':<36} {'reaction':<42} {'median':>8} {'max':>8}   n  {'expected':<20} notes\n"
    f"{'':<79} {'[ms]':>8} {'[ms]':>8}"
)


class Sweep:
    """Commands that take the shoulder to and fro."""

    def __init__(self, arm: World) -> None:
        self.arm = arm
        self._pose = arm.position
        self._side = 1.0

    @property
    def target(self) -> np.ndarray:
        target = self._pose.copy()
        target[0] = self._side * END_RAD
        return target

    def run(self, seconds: float) -> float:
        """When the last command was sent."""
        until_s = time.monotonic() + seconds
        while True:
            if abs(self.arm.position[0] - self._side * END_RAD) < 0.05:
                self._side = -self._side
            sent_s = time.monotonic()
            self.arm.command(self.target, [SPEED] * 6)
            if sent_s >= until_s:
                return sent_s
            self.arm.probe.spin_for(COMMAND_PERIOD_S)

    def get_going(self) -> None:
        """Until half of the way from one end to the other is left."""
        if not self.arm.holds() or self.arm.torque(True):
            self.recover()
        began_s, middle = time.monotonic(), False
        while not middle:
            before = self.arm.position[0]
            self.run(0.1)
            now = self.arm.position[0]
            middle = abs(now) < 0.15 and (now - before) * self._side > 0.02
            if time.monotonic() - began_s > 20.0:
                raise TimeoutError(f"the arm does not move: {self.arm.said[-3:]}")

    def recover(self) -> None:
        """Nothing is wrong any more, and torque is on."""
        self.arm.bus.heal()
        self.arm.bus.release()
        for _ in range(8):
            self.arm.probe.spin_for(RECOVERY_S)
            if not (reason := self.arm.torque(True)):
                return
        raise TimeoutError(f"no torque: {reason}")

    def held_since(self, from_s: float, until_s: float) -> float | None:
        """The last new goal of the shoulder before it stayed."""
        moved = [when_s for when_s, _ in changes(self.arm.writes(r.GOAL_POSITION, 1, from_s - 1.0))]
        moved = [from_s, *(when_s for when_s in moved if from_s < when_s < until_s), until_s]
        return next((one for one, other in pairwise(moved) if other - one > STILL_S), None)


def eased_since(arm: World, from_s: float) -> float | None:
    """The first time that the servos are given less torque than before."""
    limits = arm.writes(r.TORQUE_LIMIT, 1)
    pairs = pairwise(limits)
    return next((b[0] for a, b in pairs if b[0] >= from_s and b[1] < a[1]), None)


def off_since(arm: World, from_s: float) -> float | None:
    """When torque went off."""
    return next((when_s for when_s, on in arm.writes(r.TORQUE_ENABLE, 1, from_s) if not on), None)
