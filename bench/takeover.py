"""Taking over and handing back: what the arm does then, what is recorded of it, and how long it takes.

    . .venv/ros.sh && python bench/takeover.py [--times 1000] [--edges 200] [--only lockstep|latency]

Real processes over DDS: the simulation, ee_controller, the mux and the operator's device. Here are a policy
that moves at random and the persons, see takeover_operators.py. First in lockstep, half of the times with the
leader, half with a gamepad. Then in real time the latency: from before the gamepad's message is published to
the arrival of the executed action that is the person's, and of the first joint command that it changes; the
policy keeps still meanwhile.
"""

import argparse
import random
import time
from contextlib import suppress

import numpy as np
from sensor_msgs.msg import JointState, Joy

import arm_world
from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos, stamps
from hilrl_ros.ee_action import Source
from hilrl_ros.testing import Probe
from takeover_graph import Loop, every, graph
from takeover_operators import MISSED_S, PERIOD_S, LeaderHand, Mood, Operator, Thumb
from takeover_verdict import judge

START_S = 90.0


# -- in lockstep --------------------------------------------------------------------------------


def take_over_and_hand_back(kind: type[Operator], times: int, seed: int) -> list[str]:
    with graph(kind.device, lockstep=True) as (probe, _):
        loop = Loop(probe, seed)
        loop.operator = operator = kind(probe.node, seed)
        probe.node.create_subscription(
            EeAction,
            f"intervention/{kind.device}",
            lambda message: operator.on_answer(stamps.to_ns(message.header.stamp), message),
            qos.EVENTS,
        )
        probe.spin_until(lambda: len(loop.ticks) > 5 and operator.answers, START_S)
        every(probe, PERIOD_S, operator.step)
        known, moved_s = 0, time.monotonic()
        while operator.taken + operator.missed < times or operator.mood is not Mood.OFF:
            probe.spin_for(0.5)
            if operator.taken + operator.missed > known:
                known, moved_s = operator.taken + operator.missed, time.monotonic()
            if time.monotonic() - moved_s > 60.0:
                print(f"  gave up after {operator.taken} times: {operator.mood}", flush=True)
                break
        return judge(loop, operator)


# -- in real time --------------------------------------------------------------------------------


class Edges:
    """Presses of the dead man's switch at random moments, with the stick half way over."""

    REST_S = (0.4, 0.7)

    def __init__(self, probe: Probe, loop: Loop) -> None:
        self.to_action_s: list[float] = []
        self.to_command_s: list[float] = []
        self.missed = 0
        self._probe, self._sign = probe, 1.0
        self._pad = probe.node.create_publisher(Joy, "joy", qos.EVENTS)
        self._held = False
        self._pressed_s = 0.0
        self._action_s: float | None = None
        self._action_ns = 0
        self._command_s: float | None = None
        self._changed: list[tuple[int, float]] = []
        """Stamp [ns] and time of arrival [s] of commands that differ from before the press."""
        self._still = np.zeros(6)
        self.is_policy = False
        loop.on_action, loop.on_command = self._on_action, self._on_command
        every(probe, 0.05, self._say)

    def _say(self) -> None:
        axes, buttons = [0.0] * 8, [0] * 11
        if self._held:
            axes[1], buttons[Thumb.deadman] = 0.45 * self._sign, 1
        self._pad.publish(Joy(axes=axes, buttons=buttons))

    def _on_action(self, message: EeAction) -> None:
        self.is_policy = message.source == Source.POLICY
        if self._held and self._action_s is None and not self.is_policy:
            self._action_s, self._action_ns = time.monotonic(), stamps.to_ns(message.header.stamp)

    def _on_command(self, message: JointState) -> None:
        q = np.array(message.position)
        if not self._held:
            self._still = q
        elif float(np.abs(q - self._still).max()) > 1e-4:
            self._changed.append((stamps.to_ns(message.header.stamp), time.monotonic()))

    def _has_moved(self) -> bool:
        """Whether a command answered the person's action: the way of the press before may have had an end."""
        if self._action_s is not None:
            own = (arrived_s for stamp_ns, arrived_s in self._changed if stamp_ns >= self._action_ns)
            self._command_s = next(own, None)
        return self._command_s is not None

    def press(self) -> None:
        self._probe.spin_for(random.uniform(*self.REST_S))
        self._action_s = self._command_s = None
        self._changed.clear()
        self._held, self._pressed_s = True, time.monotonic()
        self._say()
        with suppress(AssertionError):
            self._probe.spin_until(self._has_moved, MISSED_S)
        if self._action_s is None or self._command_s is None:
            self.missed += 1
        else:
            self.to_action_s.append(self._action_s - self._pressed_s)
            self.to_command_s.append(self._command_s - self._pressed_s)
        self._held, self._sign = False, -self._sign
        self._say()
        self._probe.spin_until(lambda: self.is_policy, 10.0)


def latency(control_hz: float, edges: int) -> list[str]:
    with graph("joy", lockstep=False, control_hz=control_hz) as (probe, _):
        loop = Loop(probe, 0)
        loop.answers_states = False
        presses = Edges(probe, loop)
        every(probe, 1.0 / control_hz, loop.keep_still)
        probe.spin_until(lambda: presses.is_policy, START_S)
        probe.spin_for(2.0)
        while len(presses.to_action_s) < edges and presses.missed < edges:
            presses.press()
    if presses.missed:
        print(f"  {presses.missed} presses had no effect: was the gamepad silent for too long?")
    if not presses.to_action_s:
        return []
    return [
        f"  {control_hz:>5.0f} Hz  {title:<34}{percentiles(times)}"
        for title, times in (
            ("to the executed action", presses.to_action_s),
            ("to the first changed joint command", presses.to_command_s),
        )
    ]


def percentiles(times_s: list[float]) -> str:
    middle, high = np.percentile(times_s, [50, 99]) * 1e3
    return f"{middle:>8.1f}{high:>9.1f}{max(times_s) * 1e3:>9.1f}{len(times_s):>8}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=1000, help="take-overs, half of them with each device")
    parser.add_argument("--edges", type=int, default=200, help="presses at each control rate")
    parser.add_argument("--only", choices=("lockstep", "latency"))
    parser.add_argument("--device", choices=("leader", "joy"), help="of the first part: all with this one")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    print(arm_world.machine(), flush=True)
    if arguments.only != "latency":
        kinds = [kind for kind in (LeaderHand, Thumb) if arguments.device in (None, kind.device)]
        for kind in kinds:
            print(f"\n{kind.device}: in lockstep, with a policy that moves at random", flush=True)
            for line in take_over_and_hand_back(kind, arguments.times // len(kinds), arguments.seed):
                print(line, flush=True)
    if arguments.only != "lockstep":
        print(f"\nfrom the button, in real time [ms]{'':<18}{'median':>8}{'p99':>9}{'most':>9}{'edges':>8}")
        for control_hz in (10.0, 30.0):
            for line in latency(control_hz, arguments.edges):
                print(line, flush=True)


if __name__ == "__main__":
    main()
