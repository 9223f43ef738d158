"""Steps from an actor's hands into the learner's replay on disk, across processes, ours beside LeRobot's.

    . .venv/ros.sh && python bench/receive.py [--rounds 5] [--episodes 20]

Two cameras of 128x128. Ours: a learner process as in a run, and this process with the actor's own link: steps
to messages, onto the spool, over DDS, checked, ordered, stored in memory-mapped files, acknowledged. Theirs:
serialised, over gRPC, into their buffer in RAM, which nothing protects against a kill of either process.
`one episode`: 100 steps at once, as theirs are sent; `sustained`: all episodes as fast as both sides can.
With LEROBOT_PYTHON set to an interpreter that has LeRobot, its rounds run in between ours.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import rclpy
from rclpy.executors import SingleThreadedExecutor

import table
from hilrl_interfaces.msg import StepAck
from hilrl_learning.course import TrainingCourse
from hilrl_learning.data import ActionSpec, ObservationSpec, Step
from hilrl_learning.observation_sync import state_names
from hilrl_learning.step_sender import WINDOW
from hilrl_learning.training_link import TrainingLink
from hilrl_ros import fast_dds, qos
from hilrl_ros.node import Node
from recording import EPISODE_STEPS, steps

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (128, 128))
POLL_S = 0.001
WAIT_S = 60.0
LOOK_EVERY = 16
"""Steps between two looks at what the learner says."""


class ActorEnd:
    """The actor's link to a learner, fed with steps as fast as it takes them."""

    def __init__(self, run: Path) -> None:
        self._node = Node("actor")
        course = TrainingCourse(seed=0, learner_timeout_s=WAIT_S)
        self._link = TrainingLink(self._node, "arm", run, SPEC, ActionSpec(), course, "base_link")
        self._node.create_subscription(StepAck, "/learner/ack", self._on_ack, qos.EVENTS)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._steps: Iterator[Step] = steps(SPEC)
        self._acknowledged = -1
        self.sent = 0

    def _on_ack(self, message: StepAck) -> None:
        self._acknowledged = max(message.sequences, default=0)

    def wait_for_learner(self) -> None:
        """Until it is heard, and hears."""
        deadline = time.monotonic() + WAIT_S
        while self._acknowledged < 0 or not self._node.count_subscribers("/learner/steps"):
            self._spin(0.05)
            if time.monotonic() > deadline:
                raise TimeoutError("no word from the learner")

    def send(self, count: int) -> None:
        """Keep and send the next `count` steps."""
        for step in islice(self._steps, count):
            self._link.keep(step)
            self.sent += 1
            if self.sent % LOOK_EVERY == 0:
                self._spin(0.0)
            while self.sent - self._acknowledged >= WINDOW:
                self._spin(POLL_S)

    def _spin(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_s)
        self._link.poll()


class Stored:
    """What the learner's replay holds, seen from outside."""

    def __init__(self, run: Path) -> None:
        self._serial = np.memmap(run / "replay" / "serial.bin", np.uint64, mode="r")

    def wait_for(self, count: int) -> float:
        """When step number `count` from the beginning was there [s]."""
        finals = (count - 1) // EPISODE_STEPS
        deadline = time.monotonic() + WAIT_S
        while self._serial[count - 1 + finals] == 0:
            time.sleep(POLL_S)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} steps were sent and did not arrive")
        return time.monotonic()


def receive(episodes: int) -> table.Result:
    """Episodes one at a time, then as many at once; and what both processes spend on a step."""
    os.environ["ROS_DOMAIN_ID"] = str(random.randrange(1, 102))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    fast_dds.configure()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        command = [sys.executable, "-c", "from hilrl_learning.learner_node import main; main()", "--ros-args"]
        # So many demonstrations do not come: it receives and does not train.
        parameters = {"run_dir": run, "demonstrations": 1_000_000, "capacity": 20_000}
        command += [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
        learner = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            rclpy.init()
            return _measure(ActorEnd(run), run, psutil.Process(learner.pid), episodes)
        finally:
            learner.send_signal(signal.SIGKILL)
            learner.wait()


def _measure(actor: ActorEnd, run: Path, learner: psutil.Process, episodes: int) -> table.Result:
    actor.wait_for_learner()
    stored, times = Stored(run), []
    for _ in range(episodes + 1):
        start = time.monotonic()
        actor.send(EPISODE_STEPS)
        times.append(stored.wait_for(actor.sent) - start)
    here = psutil.Process()
    start, before = time.monotonic(), (_cpu_s(here), _cpu_s(learner))
    steps_sent = episodes * EPISODE_STEPS
    actor.send(steps_sent)
    sustained_s = stored.wait_for(actor.sent) - start
    actor_s, learner_s = (_cpu_s(p) - b for p, b in zip((here, learner), before, strict=True))
    frames = len(SPEC.cameras) * SPEC.image_size[0] * SPEC.image_size[1] * 3
    return {
        "steps_per_s": EPISODE_STEPS / median(times[1:]),
        "sustained_steps_per_s": steps_sent / sustained_s,
        "frames_mb_per_s": steps_sent * frames / sustained_s / 1e6,
        "actor_cpu_ms_per_step": 1e3 * actor_s / steps_sent,
        "learner_cpu_ms_per_step": 1e3 * learner_s / steps_sent,
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def main() -> None:
    parser = table.parser(__doc__)
    parser.add_argument("--episodes", type=int, default=20, help=f"of {EPISODE_STEPS} steps, per stretch")
    arguments = parser.parse_args()
    print(table.header(arguments.threads))
    ours, theirs = table.alternate(
        arguments.rounds,
        partial(table.own, __file__, "receive", arguments.threads, episodes=arguments.episodes),
        partial(table.peer, "receive", arguments.threads),
    )
    rows = [
        table.Row("one episode [steps/s]", ours["steps_per_s"], theirs["steps_per_s"]),
        table.Row("sustained [steps/s]", ours["sustained_steps_per_s"], theirs["sustained_steps_per_s"]),
        table.Row("frames [MB/s]", ours["frames_mb_per_s"]),
        table.Row("CPU of the actor's end [ms/step]", ours["actor_cpu_ms_per_step"]),
        table.Row("CPU of the learner [ms/step]", ours["learner_cpu_ms_per_step"]),
    ]
    table.show("Steps into the replay, two cameras 128x128, across processes", rows)


if __name__ == "__main__":
    if "--alone" in sys.argv:
        table.run_alone({"receive": receive}, sys.argv)
    else:
        main()
