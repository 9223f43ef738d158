"""Actor and learner are killed again and again; the replay holds every step exactly once (invariant 6)."""

import random
import signal
import time

import numpy as np
import pytest
from learner_peer import SPEC, ActorSide, spinning
from learning_processes import SMALL_RUN, Processes, wait_until
from std_srvs.srv import SetBool

from hilrl_learning.encoder import Encoder
from hilrl_learning.replay import Replay
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import STALL_S

pytestmark = pytest.mark.timeout(180)

KILLS = ("learner", "both")
SETTLED_S = STALL_S + 1.5
"""Without news for so long, the actor has sent again whatever got no receipt."""


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def tick_of(images: np.ndarray) -> int:
    """The number that the stand-in arm wrote into the first camera's frame."""
    red, green, blue = (int(value) for value in images[0, 0, 0])
    return red << 16 | green << 8 | blue


def settled(watcher: ActorSide) -> bool:
    """No more steps are acknowledged."""
    before = watcher.acknowledged("arm")
    time.sleep(SETTLED_S)
    return watcher.acknowledged("arm") == before


def test_no_step_is_missing_or_doubled_whatever_is_killed(processes):
    generator = random.Random(0)
    running = {"learner": processes.learner(), "actor": processes.actor()}
    processes.arm()
    with spinning(ActorSide, int(processes.environment["ROS_DOMAIN_ID"])) as watcher:
        for victims in KILLS:
            done = watcher.acknowledged("arm")
            wait_until(lambda done=done: watcher.acknowledged("arm") > done + 40, 60, "progress")
            time.sleep(generator.random())
            for name in ("learner", "actor") if victims == "both" else (victims,):
                running[name].send_signal(signal.SIGKILL)
                running[name].wait()
                running[name] = getattr(processes, name)()
        done = watcher.acknowledged("arm")
        wait_until(lambda: watcher.acknowledged("arm") > done + 40, 60, "progress after the last kill")
        watcher.call(SetBool, "/so101/actor/pause", SetBool.Request(data=True))
        wait_until(lambda: "paused" in processes.output("actor").splitlines()[-1], what="the actor to pause")
        wait_until(lambda: settled(watcher), 60, "the last receipts")
        for process in running.values():
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
    spool = Spool(processes.run_dir / "spool" / "arm")

    embedding = (SMALL_RUN["crops"], Encoder(2, SMALL_RUN["features_per_camera"]).size)
    replay = Replay(processes.run_dir / "replay", SPEC, embedding, SMALL_RUN["capacity"])
    slots = [slot for slot in replay.slots() if replay.is_step[slot]]
    assert [int(replay.sequence[slot]) for slot in slots] == list(range(1, spool.last_sequence + 1))
    executed = processes.executed()
    for slot in slots:
        tick = tick_of(replay.images[slot])
        assert tick == replay.state[slot][0], "frames and state are of one tick"
        record = executed[tick]
        assert replay.delta[slot].tolist() == record["delta"], "the executed action of that tick"
        assert replay.source[slot] == record["source"]
        assert replay.policy_version[slot] == record["policy_version"]
        if replay.next[slot] >= 0:
            assert tick_of(replay.images[replay.next[slot]]) == tick + 1, "its own next observation"
    assert len({tick_of(replay.images[slot]) for slot in slots}) == len(slots)
    assert replay.trainable[slots].mean() > 0.98
