"""A run whose robot is in one box and whose learner is in another, seen from outside through its files."""

import json
import shutil
import signal
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from boxes import Box
from learner_peer import SPEC
from learning_processes import SMALL_RUN, Processes, wait_until

from hilrl_learning.encoders import SmallCNN
from hilrl_learning.replay import Replay
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import STALL_S

PATIENCE_S = 90.0
SETTLED_S = 2 * STALL_S + 2.0
"""So long after the last tick, no step is made of it any more."""


def made_so_far(run_dir: Path) -> int:
    """Sequence of the newest step in the spool of a run whose actor may have it open."""
    with TemporaryDirectory() as folder:
        newest = max((run_dir / "spool" / "arm").glob("*.steps"))
        shutil.copy(newest, folder)
        with closing(Spool(Path(folder))) as spool:
            return spool.last_sequence


@dataclass(frozen=True)
class Account:
    """What became of all steps."""

    made: int
    lost: int
    doubled: int
    wrong: int
    """Stored beside an action that the arm did not execute at that tick."""


class LinkedRun:
    """A stand-in arm and its actor in one box, the learner in the other."""

    def __init__(
        self, folder: Path, robot: Box, learner: Box, size: int, period_s: float, learner_timeout_s: float
    ) -> None:
        """`size` of frames [px]; `period_s` of the control loop; `learner_timeout_s`: the actor's."""
        self._size = size
        self.processes = processes = Processes(folder)
        processes.environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SUBNET"  # there is nobody past the cable
        processes.before = {"learner": learner.enter, "actor": robot.enter, "arm": robot.enter}
        self.start_learner()
        self.actor = processes.actor(learner_timeout_s=learner_timeout_s, image_size=size)
        self.arm = processes.arm("--period-s", str(period_s), "--size", str(size))

    def start_learner(self) -> None:
        """The first time, or again."""
        self.learner = self.processes.learner(image_size=self._size)

    def newest(self, name: str) -> float:
        """Of the learner's metrics; -1: there are none yet."""
        path = self.processes.run_dir / "metrics.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return json.loads(lines[-1])[name] if lines else -1

    def stored(self) -> int:
        """Steps that the learner has, as of a second ago."""
        return int(self.newest("env_steps"))

    def moves(self) -> int:
        """Actions that the arm has executed."""
        return len(self.processes.executed())

    def version(self) -> int:
        """Of the newest policy that has moved the arm."""
        return max((record["policy_version"] for record in self.processes.executed().values()), default=0)

    def wait_for_exchange(self, what: str) -> None:
        """Until further steps have arrived at the learner, and further weights at the arm."""
        steps, version = self.stored(), self.version()
        wait_until(lambda: self.stored() > steps + 10, PATIENCE_S, f"steps {what}")
        wait_until(lambda: self.version() > version, PATIENCE_S, f"weights {what}")

    def stands_still(self, look: str, for_s: float) -> bool:
        """Whether `moves` or `stored` stays as it is."""
        before = getattr(self, look)()
        time.sleep(for_s)
        return getattr(self, look)() == before

    def _has_settled(self) -> bool:
        """The learner has all steps, and no more are made."""
        return (
            self.stored() >= made_so_far(self.processes.run_dir)
            and self.stands_still("stored", SETTLED_S)
            and self.stored() >= made_so_far(self.processes.run_dir)
        )

    def settle(self) -> Account:
        """Stop the arm, let everything arrive, end both processes and compare their disks."""
        self.arm.send_signal(signal.SIGSTOP)  # without ticks there are no further steps
        wait_until(self._has_settled, PATIENCE_S, "the last steps")
        for process in (self.actor, self.learner):
            process.send_signal(signal.SIGTERM)
            if process.wait(timeout=60) != 0:
                raise AssertionError(self.processes.output("actor") + self.processes.output("learner"))
        run_dir = self.processes.run_dir
        made = Spool(run_dir / "spool" / "arm").last_sequence
        embedding = (SMALL_RUN["crops"], SmallCNN(2, SMALL_RUN["features_per_camera"]).size)
        spec = replace(SPEC, image_size=(self._size, self._size))
        replay = Replay(run_dir / "replay", spec, embedding, SMALL_RUN["capacity"])
        slots = [slot for slot in replay.slots() if replay.is_step[slot]]
        sequences = replay.sequence[slots].tolist()
        executed = self.processes.executed()
        wrong = sum(
            not np.array_equal(replay.delta[slot], np.float32(executed[int(replay.state[slot, 0])]["delta"]))
            for slot in slots
        )
        lost = len(set(range(1, made + 1)) - set(sequences))
        return Account(made, lost, len(sequences) - len(set(sequences)), wrong)
