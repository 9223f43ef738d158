"""An arm that is driven through every fault of its bus and through mad commands, with all of it kept."""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from emulated_arm import connect

from hilrl_hardware import registers as r
from hilrl_hardware.arm import Arm, Mode
from hilrl_hardware.arm_settings import FOLLOWER, ArmSettings
from hilrl_hardware.bus import ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.calibration_files import load
from hilrl_hardware.emulator.client import EmulatedBus
from hilrl_hardware.emulator.recording import Event
from hilrl_hardware.feedback import Feedback
from hilrl_hardware.health_limits import HealthLimits
from hilrl_hardware.reports import Severity

PERIOD_S = 0.004
SETTINGS = ArmSettings(ease_down_s=0.4, health=HealthLimits(recover_s=0.2))
"""The defaults, but that the arm is soon ready for more."""
LATE_S = (0.005, 0.06)
LINE = {
    "drop_request": 0.002,
    "drop_reply": 0.003,
    "corrupt": 0.005,
    "corrupt_burst": 0.003,
    "truncate": 0.003,
    "noise": 0.005,
}
"""How often each strikes, per servo and request or reply, all the time."""
BEYOND_RAD = 0.15
"""How far beyond the limits commands of a sound mind may be."""
SPELLS_S = {
    "calm": (0.3, 1.5),
    "late": (0.1, 0.4),
    "absent": (0.02, 0.6),
    "overload": (0.1, 1.5),
    "hot": (0.3, 2.0),
    "stuck": (0.3, 2.0),
    "brownout": (0.1, 0.3),
    "unplugged": (0.05, 1.0),
}
"""What comes on top, for how long, one after the other."""


@dataclass(frozen=True)
class Cycle:
    """One cycle of the arm."""

    began_s: float
    ended_s: float
    ticks: tuple[int, ...] | None
    """Published, by servo; None: nothing was."""
    may_restart: bool
    """Whether goals may have been set to the measured pose: torque came on, the board came back, a stop."""


@dataclass(frozen=True)
class Sent:
    """Goals that the driver gave to the bus."""

    time_s: float
    read_s: float
    """When the feedback had come that preceded them."""
    ticks: dict[int, int]


@dataclass
class Story:
    """What happened."""

    calibration: Calibration
    max_speed: np.ndarray
    cycles: list[Cycle] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    reports: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    exchanges: int = 0
    refused: int = 0
    duration_s: float = 0.0


class WatchedBus(ServoBus):
    """Counts over all connections, and keeps the goals that it is given."""

    def __init__(self, port: str, sent: list[Sent]) -> None:
        super().__init__(port)
        self._sent, self._before, self._read_s = sent, 0, 0.0

    @property
    def exchanges(self) -> int:
        """Requests that were to be answered."""
        return self._before + self.statistics.requests

    def open(self) -> None:
        self._before += self.statistics.requests
        super().open()

    def read_feedback(self, ids: list[int]) -> dict[int, Feedback]:
        try:
            return super().read_feedback(ids)
        finally:
            self._read_s = time.monotonic()

    def sync_write_block(self, address: int, data: Mapping[int, list[int]]) -> None:
        if address == r.GOAL_POSITION.address:
            ticks = {servo_id: r.GOAL_POSITION.decode(bytes(block[:2])) for servo_id, block in data.items()}
            self._sent.append(Sent(time.monotonic(), self._read_s, ticks))
        super().sync_write_block(address, data)


class Weather(threading.Thread):
    """Faults, one spell after the other, at times that the arm knows nothing of."""

    def __init__(self, emulated: EmulatedBus, arm: Arm, rng: random.Random) -> None:
        super().__init__(name="weather", daemon=True)
        self._emulated, self._arm, self._rng = emulated, arm, rng
        self._end = threading.Event()
        self.error: Exception | None = None
        self.all_come = False
        """Whether there was a spell of every kind."""

    def stop(self) -> None:
        self._end.set()
        self.join()
        if self.error:
            raise self.error

    def run(self) -> None:
        try:
            kinds: list[str] = []
            while not self._end.is_set():
                # Each kind once in a while, in an order that is never the same.
                kinds = kinds or self._rng.sample(list(SPELLS_S), len(SPELLS_S))
                self._spell(kinds.pop())
                self.all_come |= not kinds
        except Exception as error:
            self.error = error

    def _spell(self, kind: str) -> None:
        emulated, rng, servo_id = self._emulated, self._rng, self._rng.randint(1, 6)
        for fault, probability in LINE.items():
            emulated.fault(fault, probability=probability)
        emulated.fault("corrupt", probability=LINE["corrupt"], where="request")
        if kind == "late":
            # One at a time: together they would come later than any bus is.
            for _ in range(rng.randint(1, 3)):
                emulated.fault(kind, servo_id, count=1, delay_s=rng.uniform(*LATE_S))
                self._end.wait(0.15)
        elif kind == "hot":
            emulated.fault(kind, servo_id, temperature_c=rng.randint(50, 75))
        elif kind == "brownout":
            emulated.fault(kind, servo_id, down_s=rng.uniform(0.01, 0.3))
        elif kind != "calm":
            emulated.fault(kind, None if kind == "unplugged" else servo_id)
        self._end.wait(rng.uniform(*SPELLS_S[kind]))
        emulated.heal()
        if self._arm.mode is Mode.FREE and rng.random() < 0.5:
            self._move_by_hand(servo_id)

    def _move_by_hand(self, servo_id: int) -> None:
        about = list(self._emulated.calibration().values())[servo_id - 1]
        tick = self._rng.uniform(about["range_min"], about["range_max"]) + about["homing_offset"]
        self._emulated.place(servo_id, tick)
        self._emulated.let_go()


class Commander:
    """A person, or a network, that is out of its mind now and then."""

    def __init__(self, calibration: Calibration, rng: np.random.Generator, counts: Counter[str]) -> None:
        self._low, self._high = calibration.lower_rad, calibration.upper_rad
        self._rng, self._counts = rng, counts
        self._target = (self._low + self._high) / 2
        self._way = np.full(6, 0.3)
        self._silent_until_s = 0.0

    def give(self, arm: Arm, now_s: float) -> None:
        """A command, or none."""
        chance = self._rng.random()
        if now_s < self._silent_until_s or chance > 0.3:
            return
        if chance < 0.0005:
            self._silent_until_s = now_s + 0.8
        elif chance < 0.02:
            self._mad(arm)
            if chance < 0.01:
                self._silent_until_s = now_s + self._rng.uniform(0.0, 0.4)  # and it is not taken back
        else:
            if chance < 0.04:
                self._go_on(span=0.7 if chance < 0.039 else 6.0)
            arm.command(self._target, self._rng.uniform(0.0, 6.0, 6) if chance < 0.15 else None)
            self._counts["sane"] += 1

    def _go_on(self, span: float) -> None:
        """Mostly the same way for some time, so that joints come to their limits."""
        if span > 1.0 or self._rng.random() < 0.2:
            self._way = self._rng.uniform(-span, span, 6)
        self._target = np.clip(self._target + self._way, self._low - BEYOND_RAD, self._high + BEYOND_RAD)

    def _mad(self, arm: Arm) -> None:
        kind = str(self._rng.choice(["NaN", "infinite", "beyond limits", "miles away", "shape", "speed"]))
        position, velocity = self._target.copy(), None
        joint, sign = self._rng.integers(6), self._rng.choice([-1.0, 1.0])
        if kind == "NaN":
            position[joint] = np.nan
        elif kind == "infinite":
            position[joint] = sign * np.inf
        elif kind == "beyond limits":
            position[joint] = sign * self._rng.uniform(2.0, 4.0)
        elif kind == "miles away":
            position = sign * self._rng.uniform(10.0, 1e12, 6)
        elif kind == "shape":
            position = position[:joint]
        else:
            velocity = self._rng.choice([-1.0, np.nan, np.inf, 1e9], 6)
        arm.command(position, velocity)
        self._counts[kind] += 1


def live_through(folder: Path, exchanges: int, seed: int) -> Story:
    """An arm in bad weather until its bus had so many requests, and every kind of fault its turn.

    Raises what the driver raised.
    """
    rng = random.Random(seed)
    with EmulatedBus(folder, FOLLOWER, record=folder / "record", seed=seed) as emulated:
        file = folder / "calibration.json"
        file.write_text(json.dumps(emulated.calibration()))
        calibration = load(file)
        story = Story(calibration, SETTINGS.max_speed)
        bus = WatchedBus(emulated.port, story.sent)

        def report(severity: Severity, text: str) -> None:
            subject = re.sub(r"\d+(\.\d+)?", "#", text.partition(": ")[0].partition(" /")[0])
            story.reports[f"{severity.name.lower()}: {subject}"] += 1

        arm = Arm(bus, calibration, FOLLOWER, SETTINGS, report)
        connect(arm)
        emulated.let_go()
        weather = Weather(emulated, arm, rng)
        began_s = time.monotonic()
        weather.start()
        try:
            _drive(arm, bus, story, exchanges, rng, weather)
        finally:
            weather.stop()
            emulated.heal()
            story.duration_s = time.monotonic() - began_s
        arm.shut_down()
        story.exchanges = bus.exchanges
        story.struck.update(emulated.struck())
        story.events = emulated.events()
    return story


def _drive(
    arm: Arm, bus: WatchedBus, story: Story, exchanges: int, rng: random.Random, weather: Weather
) -> None:
    commander = Commander(story.calibration, np.random.default_rng(rng.randrange(1 << 30)), story.commands)
    due_s = time.monotonic()
    refused = 0
    while bus.exchanges < exchanges or not (weather.all_come or weather.error):
        commander.give(arm, due_s)
        asked = stopped = False
        if (arm.mode is not Mode.ACTIVE or arm.stopped) and rng.random() < 0.02:
            arm.request_torque(True)
            asked = True
            story.commands["torque on"] += 1
        elif rng.random() < 0.0005:
            arm.request_torque(False)
            story.commands["torque off"] += 1
        elif rng.random() < 0.0005:
            arm.emergency_stop()
            stopped = True
            story.commands["emergency stop"] += 1
        before = arm.mode, arm.stopped
        began_s = time.monotonic()
        reading = arm.cycle()
        ended_s = time.monotonic()
        ticks = None if reading is None else tuple(story.calibration.to_ticks(reading.position).tolist())
        changed = before != (arm.mode, arm.stopped)
        away = Mode.DISCONNECTED in (before[0], arm.mode)
        story.cycles.append(Cycle(began_s, ended_s, ticks, asked or stopped or changed or away))
        # A filter counts from nothing again after each connection.
        story.refused += max(0, arm.reader.refused - refused)
        refused = arm.reader.refused
        due_s = max(due_s + PERIOD_S, ended_s)
        time.sleep(max(0.0, due_s - time.monotonic()))
