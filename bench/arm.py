"""The arm's driver at work: rate, late cycles, CPU, and how old its messages are.

    . .venv/ros.sh && python bench/arm.py [--seconds 600] [--state-hz 100]

An emulated follower, the driver's node and this subscriber, each in a process of its own; commands go to the
driver ten times a second, by a hundredth of a radian each. Latency of the states: from when the servos took
their measurements, and from the last byte of their replies, whose way over the wire takes its time, to the
callback here. Of the commands: from before they are published to the arrival of the first goal that they
changed at a servo.
"""

import argparse
import itertools
import random
import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import mean

import numpy as np
import psutil

import arm_world
from arm_world import World
from hilrl_hardware import registers as r
from hilrl_hardware.bus import BAUD_RATE, BITS_PER_BYTE, FEEDBACK_BLOCKS
from hilrl_hardware.emulator.main import TURNAROUND_S
from hilrl_hardware.emulator.recording import PositionSent
from hilrl_hardware.replies import OVERHEAD

COMMAND_PERIOD_S = 0.1
STEP_RAD = 0.01
STEPS = 30
"""To either side."""
WARM_UP_S = 3.0
SERVO, LAST_SERVO = 1, 6
COUNTS = ("cycles", "late cycles", "overruns", "skipped cycles", "requests", "missing replies")
REQUEST_BYTES = 14
WIRE_S = REQUEST_BYTES * BITS_PER_BYTE / BAUD_RATE + 6 * (
    TURNAROUND_S + (OVERHEAD + mean(size for _, size in FEEDBACK_BLOCKS)) * BITS_PER_BYTE / BAUD_RATE
)
"""From the first byte of a request for all six servos to the last byte of their replies, on average."""


class Stream:
    """Commands to and fro, around where the arm is."""

    def __init__(self, arm: World) -> None:
        self._arm = arm
        self._start = arm.position
        self._lower, self._upper = arm.calibration.lower_rad, arm.calibration.upper_rad
        there = list(range(STEPS + 1))
        self._path = itertools.cycle(
            there + there[-2:0:-1] + [-step for step in there] + [-s for s in there[-2:0:-1]]
        )
        self.published_s: list[float] = []

    def run(self, seconds: float) -> None:
        """Take what comes meanwhile."""
        # From a thread: one that waits for messages too would publish after each, in step with the driver.
        thread = threading.Thread(target=self._publish, args=(time.monotonic() + seconds,))
        thread.start()
        self._arm.probe.spin_until(lambda: not thread.is_alive(), seconds + 10.0)

    def _publish(self, until_s: float) -> None:
        while (now_s := time.monotonic()) < until_s:
            target = np.clip(self._start + next(self._path) * STEP_RAD, self._lower, self._upper)
            self.published_s.append(now_s)
            self._arm.command(target)
            time.sleep(COMMAND_PERIOD_S * random.uniform(0.9, 1.1))


def counts(arm: World) -> dict[str, float]:
    """Of the newest diagnosis."""
    status = next(s for s in arm.diagnostics[-1].status if s.name.endswith(": arm"))
    values = {pair.key: pair.value for pair in status.values}
    return {name: float(values[name]) for name in (*COUNTS, "longest cycle [ms]", "mean cycle [ms]")}


def state_latencies(arm: World, from_s: float) -> dict[str, np.ndarray]:
    """Per message, by where it is counted from [s]."""
    told = [e.time_s for e in arm.bus.events() if isinstance(e, PositionSent) and e.servo_id == LAST_SERVO]
    rows = []
    for came_s, wall_s, message in arm.states:
        if came_s < from_s:
            continue
        stamp_age_s = wall_s - (message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec)
        # Stamped in the cycle that measured it: the last measurement before the stamp is its own.
        measured_s = told[bisect_right(told, came_s - stamp_age_s) - 1]
        rows.append((came_s - measured_s, came_s - measured_s - WIRE_S, stamp_age_s))
    measured, replied, stamped = np.transpose(rows)
    return {"the servos' measurement": measured, "the last reply": replied, "the stamp": stamped}


def goal_latencies(arm: World, published_s: Sequence[float]) -> np.ndarray:
    """Of commands that changed a goal before the next came [s]."""
    changed = [when_s for when_s, _ in arm_world.changes(arm.writes(r.GOAL_POSITION, SERVO))]
    found = []
    for from_s in published_s:
        at = bisect_left(changed, from_s)
        if at < len(changed) and changed[at] - from_s < COMMAND_PERIOD_S / 2:
            found.append(changed[at] - from_s)
    return np.array(found)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def show_latency(title: str, seconds: np.ndarray) -> None:
    middle, p99, longest = 1e3 * np.array([np.median(seconds), np.percentile(seconds, 99), seconds.max()])
    print(f"{title:<52}{middle:>10.2f}{p99:>10.2f}{longest:>10.2f}{len(seconds):>10,}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--state-hz", type=float, default=100.0)
    arguments = parser.parse_args()
    print(arm_world.machine(), flush=True)
    with arm_world.world("follower", f"state_hz:={arguments.state_hz}") as arm:
        stream = Stream(arm)
        stream.run(WARM_UP_S)
        processes = {"driver": arm.driver, "emulator": psutil.Process(arm.bus.pid), "this": psutil.Process()}
        used = {name: cpu_s(process) for name, process in processes.items()}
        before, from_s, first = counts(arm), time.monotonic(), len(stream.published_s)
        stream.run(arguments.seconds)
        ended_s = time.monotonic()
        took_s = ended_s - from_s
        used = {name: (cpu_s(process) - used[name]) / took_s for name, process in processes.items()}
        arm.probe.spin_for(1.1)  # a diagnosis of all of it
        after = counts(arm)
        arm.states = [state for state in arm.states if state[0] <= ended_s]
        states = state_latencies(arm, from_s)
        goals = goal_latencies(arm, stream.published_s[first:])
        received = [came_s for came_s, *_ in arm.states if came_s >= from_s]
    grown = {name: after[name] - before[name] for name in COUNTS}
    print(f"\n{took_s:.0f} s at {arguments.state_hz:g} Hz, a command about every {COMMAND_PERIOD_S} s")
    gaps = np.diff(received)
    print(f"states received: {len(received):,}, {len(received) / took_s:.2f} per second")
    middle, p99, longest = 1e3 * np.array([np.median(gaps), np.percentile(gaps, 99), gaps.max()])
    print(f"between two of them: median {middle:.2f} ms, p99 {p99:.2f} ms, max {longest:.2f} ms")
    cycles = grown["cycles"]
    for name in COUNTS[1:4]:
        print(f"{name}: {grown[name]:.0f} of {cycles:.0f} ({grown[name] / cycles:.3%})")
    mean_ms, longest_ms = after["mean cycle [ms]"], after["longest cycle [ms]"]
    print(f"cycle: mean {mean_ms:.2f} ms, longest {longest_ms:.2f} ms, since it began")
    print(f"replies that were missing: {grown['missing replies']:.0f} to {grown['requests']:.0f} requests")
    print("CPU, of one core: " + ", ".join(f"{name} {share:.1%}" for name, share in used.items()))
    print(f"\n{'latency [ms]':<52}{'median':>10}{'p99':>10}{'max':>10}{'count':>10}")
    for origin, seconds in states.items():
        show_latency(f"state: from {origin} to the subscriber", seconds)
    show_latency("goal: from the command to the servos", goals)


if __name__ == "__main__":
    main()
