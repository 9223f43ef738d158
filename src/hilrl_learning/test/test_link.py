"""A robot and its learner on two machines, and a network between them that is slow, loses packets and breaks.

Both machines are namespaces of this one; see `boxes`.
"""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from boxes import two_boxes_or_skip
from learner_peer import SPEC
from learning_processes import SIZE, SMALL_RUN, Processes, wait_until

from hilrl_learning.encoders import SmallCNN
from hilrl_learning.replay import Replay
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import STALL_S
from hilrl_learning.trainer import Phase

pytestmark = pytest.mark.timeout(400)

PROFILE = Path(__file__).resolve().parents[3] / "config" / "dds" / "lossy_link.xml"
LEARNER_TIMEOUT_S = 5.0
SETTLED_S = 2 * STALL_S + 2.0
"""Without news for so long, everything was sent again that needed it."""
CATCH_UP_S = 90.0


class Run:
    """What the two sides have on their disks."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.learner = processes.learner()
        self.actor = processes.actor(learner_timeout_s=LEARNER_TIMEOUT_S)
        self.arm = processes.arm("--period-s", "0.03")

    def newest(self, name: str) -> float:
        """Of the learner's metrics."""
        path = self.processes.run_dir / "metrics.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return json.loads(lines[-1])[name] if lines else -1

    def moves(self) -> int:
        """Actions that the arm has executed."""
        return len(self.processes.executed())

    def version(self) -> int:
        """Of the newest policy that moved the arm."""
        return max((record["policy_version"] for record in self.processes.executed().values()), default=0)

    def wait_for_exchange(self, what: str) -> None:
        """Until further steps have arrived at the learner, and further weights at the arm."""
        steps, version = self.newest("env_steps"), self.version()
        wait_until(lambda: self.newest("env_steps") > steps + 10, CATCH_UP_S, f"steps {what}")
        wait_until(lambda: self.version() > version, CATCH_UP_S, f"weights {what}")

    def is_still(self, look: str, for_s: float) -> bool:
        """Whether `moves` or `stored` stays as it is."""
        before = getattr(self, look)()
        time.sleep(for_s)
        return getattr(self, look)() == before

    def stored(self) -> int:
        """Steps that the learner has."""
        return int(self.newest("env_steps"))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple]:
    with two_boxes_or_skip() as (robot, learner, cable):
        processes = Processes(tmp_path)
        # On the cable alone, and past it there is nobody.
        processes.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET"
        processes.environment["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
        processes.before = {"learner": learner.enter, "actor": robot.enter, "arm": robot.enter}
        try:
            yield Run(processes), cable
        finally:
            processes.stop()


def test_a_bad_link_that_breaks_and_a_learner_that_dies_behind_it_lose_no_step(run):
    """Invariants 6 and 10."""
    run, cable = run
    wait_until(lambda: run.newest("phase") == Phase.TRAINING, CATCH_UP_S, "demonstrations and pre-training")
    run.wait_for_exchange("over a slow and lossy link")

    cable.cut()
    cut_s, moves = time.monotonic(), run.moves()
    wait_until(lambda: run.moves() > moves + 20, what="the arm to go on while nobody hears of it")
    wait_until(lambda: "parked: no word from the learner" in run.processes.output("actor"), what="parking")
    assert time.monotonic() - cut_s > LEARNER_TIMEOUT_S - 1.0, "not before its time"
    time.sleep(0.5)
    assert run.is_still("moves", 2.0), "parked means still"
    assert run.is_still("stored", 2.0), "nothing crosses a cut cable"

    cable.heal()
    run.wait_for_exchange("after the link has healed")

    run.learner.send_signal(signal.SIGKILL)
    run.learner.wait()
    run.learner = run.processes.learner()
    run.wait_for_exchange("after the learner was restarted")

    run.arm.send_signal(signal.SIGSTOP)  # without ticks there are no further steps
    wait_until(lambda: run.is_still("stored", SETTLED_S), CATCH_UP_S, "the last steps")
    for process in (run.actor, run.learner):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    spool = Spool(run.processes.run_dir / "spool" / "arm")
    embedding = (SMALL_RUN["crops"], SmallCNN(2, SMALL_RUN["features_per_camera"]).size)
    replay = Replay(run.processes.run_dir / "replay", SPEC, embedding, SMALL_RUN["capacity"])
    slots = [slot for slot in replay.slots() if replay.is_step[slot]]
    assert [int(replay.sequence[slot]) for slot in slots] == list(range(1, spool.last_sequence + 1))
    ticks = replay.state[slots, 0].tolist()
    executed = run.processes.executed()
    assert len(set(ticks)) == len(ticks) and set(ticks) <= set(executed)
    assert np.array_equal(replay.delta[slots], np.float32([executed[tick]["delta"] for tick in ticks]))

    _, at_learner = cable.unplug()
    frames = len(slots) * len(SPEC.cameras) * SIZE * SIZE * 3
    assert at_learner > frames, "all of it went over the cable"
