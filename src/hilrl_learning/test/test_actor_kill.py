"""Actor and learner are killed again and again; the replay holds every step exactly once (invariant 6)."""

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from learner_peer import SPEC, ActorSide, spinning
from learning_processes import SIZE, SMALL_RUN, Processes, wait_until
from linked_run import made_so_far
from stand_in_arm import frame

from hilrl_learning.encoders import SmallCNN
from hilrl_learning.replay import Replay
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import STALL_S

pytestmark = pytest.mark.timeout(1500)

KILLS = 50
VICTIMS = (("learner",), ("actor",), ("learner", "actor"))
STARTING_S = 2.0
"""About as long as a process takes to start."""
SETTLED_S = STALL_S + 1.5
"""So long after the last tick, no step is made of it any more."""


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def tick_of(images: np.ndarray) -> int:
    """The number that the stand-in arm wrote into the first camera's frame."""
    red, green, blue = (int(value) for value in images[0, 0, 0])
    return red << 16 | green << 8 | blue


def settled(watcher: ActorSide, run_dir: Path) -> bool:
    """All steps are acknowledged, and no more are made."""

    def all_acknowledged() -> bool:
        return watcher.acknowledged("arm") == made_so_far(run_dir)

    if not all_acknowledged():
        return False
    time.sleep(SETTLED_S)
    return all_acknowledged()


def wait_for_progress(watcher: ActorSide, steps: int) -> None:
    """Until the learner has acknowledged so many more steps."""
    done = watcher.acknowledged("arm")
    wait_until(lambda: watcher.acknowledged("arm") >= done + steps, 60, f"{steps} steps after {done}")


def test_no_step_is_missing_doubled_or_torn_whatever_is_killed_however_often(processes):
    seed = time.time_ns()
    print(f"seed of the kills: {seed}")  # shown where it fails
    generator = random.Random(seed)
    running = {"learner": processes.learner(), "actor": processes.actor()}
    arm = processes.arm()
    kills = 0
    with spinning(ActorSide, int(processes.environment["ROS_DOMAIN_ID"])) as watcher:
        while kills < KILLS:
            if generator.random() < 0.6:
                wait_for_progress(watcher, generator.randint(5, 10))
                time.sleep(0.3 * generator.random())
            else:  # while it starts
                time.sleep(STARTING_S * generator.random())
            victims = generator.choice(VICTIMS)
            for name in victims:
                running[name].send_signal(signal.SIGKILL)
            for name in victims:
                running[name].wait()
                running[name] = getattr(processes, name)()
                kills += 1
        wait_for_progress(watcher, 40)
        arm.send_signal(signal.SIGSTOP)  # without ticks there are no further steps
        wait_until(lambda: settled(watcher, processes.run_dir), 60, "the last receipts")
        for process in running.values():
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
        print(f"{kills} kills, {watcher.acknowledged('arm')} steps")
    spool = Spool(processes.run_dir / "spool" / "arm")

    embedding = (SMALL_RUN["crops"], SmallCNN(2, SMALL_RUN["features_per_camera"]).size)
    replay = Replay(processes.run_dir / "replay", SPEC, embedding, SMALL_RUN["capacity"])
    slots = [slot for slot in replay.slots() if replay.is_step[slot]]
    assert [int(replay.sequence[slot]) for slot in slots] == list(range(1, spool.last_sequence + 1))
    executed = processes.executed()
    for slot in slots:
        tick = tick_of(replay.images[slot])
        assert tick == replay.state[slot][0], "frames and state are of one tick"
        whole = [frame(tick, camera, SIZE) for camera in range(len(SPEC.cameras))]
        assert np.array_equal(replay.images[slot], whole), "every pixel of it"
        record = executed[tick]
        assert replay.delta[slot].tolist() == record["delta"], "the executed action of that tick"
        assert replay.source[slot] == record["source"]
        assert replay.policy_version[slot] == record["policy_version"]
        if replay.next[slot] >= 0:
            assert tick_of(replay.images[replay.next[slot]]) == tick + 1, "its own next observation"
    assert len({tick_of(replay.images[slot]) for slot in slots}) == len(slots)
    assert replay.trainable[slots].all()
