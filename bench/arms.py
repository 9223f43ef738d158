"""What further arms cost the learner: two whole arms beside one, and four actors that only send.

    . .venv/ros.sh && python bench/arms.py [--window-s 30]

`arms`: simulated arms in lockstep, each its whole graph, on this machine with the learner. `actors`: four
processes with the actor's own link send steps of two 128x128 cameras at 10 Hz each, as real arms do, and then
as fast as it goes, while the learner trains; compared with the same learner that nobody sends anything.
Everything shares this machine; what only sends gives way (nice 19).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import rclpy
from rclpy.executors import SingleThreadedExecutor

sys.path.append(str(Path(__file__).parents[1] / "test"))

from fleet import LEARNER, Fleet

from hilrl_learning.course import TrainingCourse
from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.observation_sync import state_names
from hilrl_learning.trainer import Phase
from hilrl_learning.training_link import TrainingLink
from hilrl_ros import fast_dds
from hilrl_ros.node import Node
from recording import EPISODE_STEPS, steps

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (128, 128))
ACTORS = 4
REAL_HZ = 10.0
START_S = 120.0
SETTLE_S = 5.0
FIRST_STEPS = 3 * EPISODE_STEPS
"""With one demonstration among them: enough to train on."""
POLL_S = 0.002
HEARD = "heard"
BACKLOG = 200
"""Steps without a receipt above which an actor that sends as fast as it goes waits: less than `WINDOW`."""


def newest(run: Path) -> dict[str, float]:
    """The learner's metrics as of a second ago; empty: there are none yet."""
    path = run / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return json.loads(lines[-1]) if lines else {}


def wait_for_training(run: Path) -> None:
    """Until updates have been going on for a little."""
    deadline = time.monotonic() + START_S
    while not (newest(run).get("phase") == Phase.TRAINING and newest(run)["critic_updates"] > 200):
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come to train")
        time.sleep(0.5)


@dataclass(frozen=True)
class Pace:
    """Of the learner over a window."""

    steps_per_s: float
    updates_per_s: float
    receiving: float
    """Share of a core that its first thread takes, which receives and publishes."""
    update_ms: float
    """CPU time of all its other threads per update: what an update costs however busy the machine is."""


def measure(run: Path, learner_pid: int, window_s: float) -> Pace:
    """Of what goes on now."""
    time.sleep(SETTLE_S)
    before, first = _cpu_s(learner_pid), newest(run)
    time.sleep(window_s)
    after, last = _cpu_s(learner_pid), newest(run)
    elapsed_s = last["elapsed_s"] - first["elapsed_s"]
    steps, updates = (last[name] - first[name] for name in ("env_steps", "critic_updates"))
    receiving_s, training_s = after[0] - before[0], after[1] - before[1]
    return Pace(
        steps / elapsed_s, updates / elapsed_s, receiving_s / window_s, 1e3 * training_s / max(1, updates)
    )


def _cpu_s(pid: int) -> tuple[float, float]:
    """Of the first thread, and of all others."""
    used = {thread.id: thread.user_time + thread.system_time for thread in psutil.Process(pid).threads()}
    return used.pop(pid), sum(used.values())


def show(what: str, pace: Pace, alone: Pace) -> None:
    change = f"{pace.updates_per_s / alone.updates_per_s - 1:+.1%}"
    print(
        f"{what:<28}{pace.steps_per_s:>9.1f}{pace.updates_per_s:>11.1f}{change:>9}{pace.receiving:>11.0%}"
        f"{pace.update_ms:>11.1f}{os.getloadavg()[0]:>7.1f}",
        flush=True,
    )


def whole_arms(window_s: float) -> None:
    """One arm, then two."""
    alone = None
    for arms in ({"so101": 1}, {"so101": 1, "so101_b": 2}):
        with tempfile.TemporaryDirectory() as folder:
            settings = [("learner", "pretraining_s", 10.0)]
            with closing(Fleet(Path(folder), arms, {"duration_s": 0.0}, settings)) as fleet:
                fleet.start(*fleet.nodes)
                wait_for_training(fleet.run)
                pace = measure(fleet.run, fleet.pid(LEARNER), window_s)
        alone = alone or pace
        show(f"{len(arms)} simulated, in lockstep", pace, alone)


def actors_that_send(window_s: float) -> None:
    """None, four at 10 Hz, four as fast as it goes."""
    os.environ["ROS_DOMAIN_ID"] = str(random.randrange(1, 102))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        parameters = {
            "run_dir": run,
            "demonstrations": 1,
            "duration_s": 0.0,
            "pretraining_s": 5.0,
            "imitation_updates": 100,
            "max_updates_per_env_step": 1000.0,
            "capacity": 50_000,
        }
        command = [sys.executable, "-c", "from hilrl_learning.learner_node import main; main()", "--ros-args"]
        command += [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
        learner = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            sent = sum(send(run, ["first"], 0.0, FIRST_STEPS))
            wait_for_training(run)
            alone = measure(run, learner.pid, window_s)
            show("nobody sends", alone, alone)
            names = [f"arm_{number}" for number in range(ACTORS)]
            for what, hz in (
                (f"{ACTORS} actors at {REAL_HZ:g} Hz", REAL_HZ),
                (f"{ACTORS} as fast as it goes", 0.0),
            ):
                with Senders(run, names, hz) as senders:
                    pace = measure(run, learner.pid, window_s)
                sent += sum(senders.sent)
                show(what, pace, alone)
            time.sleep(3.0)
            stored = newest(run)["env_steps"]
            print(f"sent {sent}, stored {stored}: {sent - stored:g} lost")
        finally:
            learner.kill()
            learner.wait()


class Senders:
    """Actors as processes, until the block ends; then each waits for the receipts of all its steps."""

    def __init__(self, run: Path, names: Sequence[str], hz: float, count: int = 0) -> None:
        self.sent: list[int] = []
        self._processes = [
            subprocess.Popen(
                ["nice", "-n", "19", sys.executable, __file__, "--send", name, str(run), str(hz), str(count)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in names
        ]

    def __enter__(self) -> "Senders":
        for process in self._processes:
            while process.stdout.readline().strip() != HEARD:  # Fast DDS may have a word to say before
                pass
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        self.sent = [int(process.communicate()[0].split()[-1]) for process in self._processes]


def send(run: Path, names: Sequence[str], hz: float, count: int) -> list[int]:
    """So many steps of each of the actors; how many each has sent."""
    senders = Senders(run, names, hz, count)
    with senders:
        for process in senders._processes:
            process.wait()
    return senders.sent


def sender(actor_id: str, run: Path, hz: float, count: int) -> None:
    """One actor: says a line once the learner hears it, sends until SIGTERM or `count`, says how many."""
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    fast_dds.configure()
    rclpy.init(signal_handler_options=rclpy.SignalHandlerOptions.NO)
    node = Node("actor", namespace=actor_id)
    link = TrainingLink(node, actor_id, run, SPEC, ActionSpec(), TrainingCourse(0, 1e6), "base_link")
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def turn() -> None:
        executor.spin_once(POLL_S)
        link.poll()

    while link._sender.silent_s(time.monotonic()) is None or not node.count_subscribers("/learner/steps"):
        turn()
    print(HEARD, flush=True)
    before, episodes = link.last_numbers
    sent, next_s = 0, time.monotonic()
    for step in steps(SPEC):
        if ended or sent == count > 0:
            break
        while (link._sender.lag > BACKLOG or time.monotonic() < next_s) and not ended:
            turn()
        next_s += 1.0 / hz if hz else 0.0
        sent += 1
        link.keep(replace(step, actor_id=actor_id, sequence=before + sent, episode=episodes + step.episode))
        if sent % 16 == 0 or hz:
            turn()
    while link._sender.lag:
        turn()
    print(sent, flush=True)
    link.close()
    node.destroy_node()
    rclpy.try_shutdown()


def main() -> None:
    if sys.argv[1:2] == ["--send"]:
        actor_id, run, hz, count = sys.argv[2:]
        sender(actor_id, Path(run), float(hz), int(count))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--window-s", type=float, default=30.0)
    parser.add_argument("--only", choices=("arms", "actors"))
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    print(
        f"{'':<28}{'steps/s':>9}{'updates/s':>11}{'change':>9}{'receiving':>11}{'ms/update':>11}{'load':>7}"
    )
    if arguments.only != "actors":
        whole_arms(arguments.window_s)
    if arguments.only != "arms":
        actors_that_send(arguments.window_s)


if __name__ == "__main__":
    main()
