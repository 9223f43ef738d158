"""How fast the whole loop runs in lockstep, and what each process takes of a core.

    . .venv/ros.sh && python bench/loop.py

Simulator, cropper, controller, mux, operator and actor at full speed, the learner storing but not training:
the demonstrations that it waits for never come to an end.
"""

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock

from hilrl import graph
from hilrl.run_config import new_config
from hilrl.run_folder import RunFolder
from hilrl.session import environment, run_graph
from hilrl.supervisor import Health


class LoopWatch:
    """Measures over `duration_s` of wall time, from `warm_up_s` after the first tick on."""

    period_s = 0.1

    def __init__(self, node: RosNode, duration_s: float, warm_up_s: float) -> None:
        self.messages = 0
        self.sim_s = 0.0
        self.wall_s = 0.0
        self.cpu: dict[str, float] = {}
        """Share of one core by node [%]."""
        self._duration_s, self._begin_s, self._warm_up_s = duration_s, 0.0, warm_up_s
        self._now_sim_s = 0.0
        self._start: tuple[float, float, dict[str, float]] | None = None
        node.create_subscription(Clock, "/clock", self._on_clock, QoSProfile(depth=1))

    def tick(self, health: Mapping[str, Health]) -> bool:
        """True when the measurement is complete."""
        now = time.monotonic()
        if not self._begin_s or now < self._begin_s:
            return False
        busy = {name: _cpu_s(h.pid) for name, h in health.items() if h.pid is not None}
        if self._start is None:
            self._start = (now, self._now_sim_s, busy)
        since, sim_then, busy_then = self._start
        if now - since < self._duration_s:
            return False
        self.wall_s, self.sim_s = now - since, self._now_sim_s - sim_then
        self.cpu = {name: 100 * (busy[name] - busy_then[name]) / self.wall_s for name in busy_then}
        return True

    def _on_clock(self, message: Clock) -> None:
        self.messages += 1
        self._now_sim_s = message.clock.sec + message.clock.nanosec * 1e-9
        # The clock goes at all only once every node of the loop answers.
        if not self._begin_s and self._now_sim_s > 1.0:
            self._begin_s = time.monotonic() + self._warm_up_s


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--duration-s", type=float, default=20.0)
    chosen = parser.parse_args()
    config = new_config({"demonstrations": 1_000_000, "duration_s": 0.0}, [])
    watches: list[LoopWatch] = []

    def look(node: RosNode) -> LoopWatch:
        watches.append(LoopWatch(node, chosen.duration_s, warm_up_s=3.0))
        return watches[0]

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        nodes = graph.train(config.options, config.parameters, run.path)
        with environment(run) as env:
            run_graph(nodes, run, env, look)
    watch = watches[0]
    steps_per_s = watch.sim_s * config.options["control_hz"] / watch.wall_s
    print(f"{steps_per_s:.1f} steps/s, {1000 / steps_per_s:.1f} ms per step, resets included")
    for name, share in sorted(watch.cpu.items(), key=lambda item: -item[1]):
        print(f"  {name:<20}{share:5.0f} % of a core")
    print(f"machine: {psutil.cpu_count()} cores, load average {psutil.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
