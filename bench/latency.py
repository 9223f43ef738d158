"""Camera stamp to joint command, through all nodes, in a real-time simulation with a trained policy.

As separate processes and composed, at each control rate, with the learner elsewhere:

    . .venv/ros.sh && python bench/latency.py RUN [--rates 10 30] [--window-s 60]

RUN is the folder of a trained run. The stamp is that of the newest camera frames that the action was chosen
from, or older; the simulation stamps a frame before it renders it. Simulated time runs at the pace of the
wall clock: the offset between the two is that of the fastest joint state in the window. All times are those
at which a node published.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from rclpy.node import Node as RosNode
from sensor_msgs.msg import Image, JointState

from hilrl import graph
from hilrl.composition import composed
from hilrl.run_folder import RunFolder
from hilrl.session import environment, run_graph
from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos
from hilrl_ros.stamps import to_ns
from table import header

CAMERA_HZ = 30.0
INFERENCE_S = 0.001
"""A crop published less than this before the action was not seen by it: the network alone takes longer."""
SETTLE_S = 8.0


class Probe:
    """Ends the run after a while; keeps when frames, actions and commands were stamped and came."""

    period_s = 0.001

    def __init__(self, node: RosNode, window_s: float) -> None:
        self.messages = 0
        self.crops: dict[str, list[tuple[int, float]]] = {"front": [], "wrist": []}
        self.joints: list[tuple[int, float]] = []
        self.actions: list[tuple[int, float]] = []
        self.commands: list[tuple[int, float]] = []
        self.cpu_s: dict[str, float] = {}
        self._window_s = window_s
        self._begin_s: float | None = None
        for camera, seen in self.crops.items():
            self._keep(node, Image, f"/so101/camera/{camera}/image_crop", qos.IMAGES, seen)
        self._keep(node, JointState, "/so101/joint_states", qos.JOINT_STATES, self.joints)
        self._keep(node, EeAction, "/so101/policy_action", qos.EVENTS, self.actions)
        self._keep(node, JointState, "/so101/joint_commands", qos.EVENTS, self.commands)

    def _keep(self, node: RosNode, kind: type, topic: str, profile: object, seen: list) -> None:
        def on_message(message: object, info: dict[str, int]) -> None:
            # Both of the publisher's making: how fast this process takes messages plays no part.
            self.messages += 1
            seen.append((to_ns(message.header.stamp), 1e-9 * info["source_timestamp"]))

        node.create_subscription(kind, topic, on_message, profile)

    def tick(self, health: dict) -> bool:
        """True at the end of the window."""
        now_s = time.monotonic()
        if self._begin_s is None:
            if self.commands:
                self._begin_s = now_s + SETTLE_S
            return False
        if now_s < self._begin_s:
            for seen in (*self.crops.values(), self.joints, self.actions, self.commands):
                seen.clear()
            self._cpu_before = cpu_s(health)
        if now_s > self._begin_s + self._window_s:
            self.cpu_s = {name: used - self._cpu_before[name] for name, used in cpu_s(health).items()}
            return True
        return False

    def latencies_s(self) -> tuple[np.ndarray, np.ndarray]:
        """Stamp of the older camera's frame to command, and how old that frame was when the action came."""
        offset_s = min(came_s - stamp_ns * 1e-9 for stamp_ns, came_s in self.joints)
        commands = sorted(self.commands, key=lambda command: command[1])
        whole, ages = [], []
        for stamp_ns, came_s in self.actions:
            frames = [newest_before(seen, came_s - INFERENCE_S) for seen in self.crops.values()]
            # The controller's ticks in between bear stamps of their own, and some are the same by chance.
            answers = (at_s for of_ns, at_s in commands if of_ns == stamp_ns and at_s > came_s)
            commanded_s = next(answers, None)
            if commanded_s is not None and None not in frames:
                seen_s = min(frames) * 1e-9 + offset_s
                whole.append(commanded_s - seen_s)
                ages.append(came_s - seen_s)
        return np.array(whole), np.array(ages)


def newest_before(seen: Sequence[tuple[int, float]], until_s: float) -> int | None:
    """Stamp [ns] of the last message that came before."""
    return next((stamp_ns for stamp_ns, came_s in reversed(seen) if came_s <= until_s), None)


def cpu_s(health: dict) -> dict[str, float]:
    """Used so far, by process."""
    used = {}
    for name, process in health.items():
        if process.pid is not None:
            times = psutil.Process(process.pid).cpu_times()
            used[name] = times.user + times.system
    return used


def measure(run: RunFolder, control_hz: float, shares: bool, window_s: float) -> Probe:
    """One graph in real time."""
    config = run.load()
    options = {**config.options, "lockstep": False, "control_hz": control_hz, "randomise_visuals": False}
    parameters = {name: dict(values) for name, values in config.parameters.items()}
    for name in ("sim", "ee_controller", "actor", "intervention_mux", "image_cropper"):
        of_node = parameters.setdefault(name, {})
        of_node.pop("lockstep", None)
        if name != "image_cropper":
            of_node["control_hz"] = control_hz
        if name in ("sim", "ee_controller", "actor"):
            of_node["lockstep"] = False
    # A multiple of both, or the simulator would round the cameras.
    parameters["sim"].update(camera_hz=CAMERA_HZ, state_hz=2 * CAMERA_HZ)
    parameters["image_cropper"].pop("reliable", None)
    # Of another task than it was trained for, or it would have done it in a second or two each time: what is
    # measured is an episode, not the reset of the simulated scene, which no camera waits for.
    parameters["sim"]["task"] = "place"
    parameters["actor"]["max_episode_steps"] = 100_000
    policy = {"policy_file": str(run.policy("last")[1]), "evaluation_episodes": 10_000}
    nodes = graph.evaluate(options, parameters, run.path, policy)
    found: list[Probe] = []

    def look(node: RosNode) -> Probe:
        found.append(Probe(node, window_s))
        return found[0]

    with environment(run) as env:
        run_graph(composed(nodes) if shares else nodes, run, env, look)
    return found[0]


def row(control_hz: float, shares: bool, window_s: float, probe: Probe) -> str:
    """One line of the table."""
    whole, ages = probe.latencies_s()
    cpu = sum(used for name, used in probe.cpu_s.items() if name != "sim") / window_s
    of_whole = [1e3 * value for value in (np.median(whole), np.percentile(whole, 99), whole.max())]
    of_action = [1e3 * value for value in (np.median(ages), np.percentile(ages, 99))]
    return (
        f"{control_hz:4g}  {'composed' if shares else 'separate':9s}  {len(whole) / window_s:9.1f}  "
        + " / ".join(f"{value:9.1f}" for value in of_whole)
        + "       "
        + " / ".join(f"{value:5.1f}" for value in of_action)
        + f"  {cpu:11.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rates", type=float, nargs="+", default=[10.0, 30.0])
    parser.add_argument("--window-s", type=float, default=60.0)
    chosen = parser.parse_args()
    print(header(threads=1))
    print(f"load at the start: {psutil.getloadavg()[0]:.1f}; cameras 2 x {CAMERA_HZ:g} fps")
    print("  Hz  processes  actions/s  command median / p99 / max [ms]  action median / p99  CPU [cores]")
    for control_hz in chosen.rates:
        for shares in (False, True):
            probe = measure(RunFolder(chosen.run), control_hz, shares, chosen.window_s)
            print(row(control_hz, shares, chosen.window_s, probe), flush=True)


if __name__ == "__main__":
    main()
