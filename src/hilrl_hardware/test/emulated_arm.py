"""What tests share that have an emulated arm: what a hand does with it, and how it is found."""

import time
from collections.abc import Callable

import numpy as np

from hilrl_hardware import registers as r
from hilrl_hardware.arm import Arm
from hilrl_hardware.bus import NoReply
from hilrl_hardware.calibration import SERVO_IDS
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import PositionSent
from hilrl_ros.joints import JOINT_NAMES

STEP_TICKS = 700
READS = 3
"""Of all joints: the first may have begun before, the last may still be on its way."""
PATIENCE_S = 30.0
BEYOND = 200
"""A hand pushes a joint against its stops."""
KEPT = (r.PHASE, r.HOMING_OFFSET, r.MIN_POSITION_LIMIT, r.MAX_POSITION_LIMIT, r.LOCK, r.TORQUE_ENABLE)


class Hand:
    """Moves the joints of an arm about; `look` is called on the way, often enough to see the seam."""

    def __init__(self, bus: EmulatedBus, look: Callable[[], None]) -> None:
        self.bus, self.look = bus, look
        self._encoder = {}

    def middle(self, joint: str) -> float:
        """Of the travel, of the encoder [tick]."""
        has = self.bus.calibration()[joint]
        return (has["range_min"] + has["range_max"]) / 2 + has["homing_offset"]

    def ends(self, joint: str) -> tuple[float, float]:
        """Beyond the lower and the upper stop, of the encoder [tick]."""
        has = self.bus.calibration()[joint]
        offset = has["homing_offset"]
        return has["range_min"] + offset - BEYOND, has["range_max"] + offset + BEYOND

    def moves(self, joint: str, to: float) -> None:
        """A joint to an encoder tick; stops are stops."""
        begin = self._encoder.get(joint, self.middle(joint))
        steps = int(abs(to - begin) / STEP_TICKS) + 1
        for tick in np.linspace(begin, to, steps + 1)[1:]:
            self.bus.place(SERVO_IDS[joint], tick)
            self.look()
        self._encoder[joint] = to

    def centres(self, *joints: str) -> None:
        """Joints, all if none is named, into the middle of their travel."""
        for joint in joints or JOINT_NAMES:
            self.moves(joint, self.middle(joint))

    def sweeps(self, *joints: str) -> None:
        """Joints, all that have stops if none is named, from stop to stop and to the middle."""
        for joint in joints or [name for name in JOINT_NAMES if name != "wrist_roll"]:
            for end in self.ends(joint):
                self.moves(joint, end)
            self.moves(joint, self.middle(joint))


def connect(arm: Arm) -> None:
    """As the node does: again, where a servo just does not answer."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return arm.connect()
        except NoReply:
            if time.monotonic() > deadline:
                raise


def seen(bus: EmulatedBus) -> None:
    """Wait until a program that reads the arm all the time has seen it as it is now; `bus` must record."""
    enough = _reads(bus) + READS * len(SERVO_IDS)
    deadline = time.monotonic() + PATIENCE_S
    while _reads(bus) < enough:
        assert time.monotonic() < deadline, "the arm is not read"
        time.sleep(0.02)


def _reads(bus: EmulatedBus) -> int:
    return sum(isinstance(event, PositionSent) for event in bus.events())


def memory(bus: EmulatedBus) -> dict[int, dict[str, int]]:
    """What calibration may change in the servos."""
    return {i: {register.name: bus.get(i, register) for register in KEPT} for i in SERVO_IDS.values()}


def stops(bus: EmulatedBus, joint: str) -> tuple[int, int]:
    """Of the encoder [tick]."""
    has = bus.calibration()[joint]
    return has["range_min"] + has["homing_offset"] - 6, has["range_max"] + has["homing_offset"] + 6
