"""A disk that is full stops neither actor nor learner, and costs no step (invariants 6 and 13).

The disk is a real one of a few megabytes, which only root may mount; the spool is also tried without.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from learner_peer import SPEC, ActorSide, LearnerSide, policy_payload, spinning
from learning_processes import Processes, wait_until
from stand_in_arm import operator_delta
from test_learner_node import a_step

from hilrl_interfaces.msg import StepAck
from hilrl_learning.messages import step_to_message
from hilrl_learning.spool import Spool
from hilrl_learning.step_inbox import RESERVE_BYTES

pytestmark = pytest.mark.timeout(300)

ROOM_BYTES = 1_000_000
"""For about 40 steps."""


@contextmanager
def disk_of(folder: Path, megabytes: int) -> Iterator[Path]:
    """A mounted disk of that size; skips the test where none may be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a disk: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path, but_for: int) -> None:
    """Have a file take all space but for some bytes; others may be quicker to take those."""
    disk = os.statvfs(path.parent)
    with path.open("wb", buffering=0) as file, suppress(OSError):
        for _ in range((disk.f_bavail * disk.f_frsize - but_for) >> 12):
            file.write(bytes(4096))


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def test_an_actor_on_a_full_disk_holds_says_so_and_goes_on_without_a_gap(processes, tmp_path):
    domain = int(processes.environment["ROS_DOMAIN_ID"])
    with disk_of(tmp_path / "disk", 64) as disk, spinning(LearnerSide, domain) as learner:
        processes.run_dir = disk / "run"
        learner.publish_policy(1, policy_payload())
        learner.phase, learner.speaks = StepAck.PHASE_TRAINING, True
        # Less room than a segment takes: none is deleted, so the spool only grows.
        fill(disk / "filler", but_for=ROOM_BYTES)
        actor = processes.actor()
        processes.arm()
        learner.wait_for_steps(5)
        wait_until(
            lambda: "spool can be written, 1 steps wait: " in processes.output("actor"), what="the error"
        )

        def executed() -> int:
            return max(processes.executed())

        def stands_still() -> bool:
            before = executed()
            time.sleep(0.5)
            return executed() == before

        wait_until(stands_still, what="the arm to stand still")
        copy = shutil.copytree(disk / "run" / "spool" / "arm", tmp_path / "copy")
        last = Spool(copy).last_sequence
        wait_until(lambda: max(learner.steps) >= last, what="all that is on disk")
        assert max(learner.steps) == last, "nothing is sent that is not on disk"
        assert actor.poll() is None
        assert processes.output("actor").count("No space left") < 3 and "Traceback" not in processes.output(
            "actor"
        )
        (disk / "filler").unlink()
        learner.wait_for_steps(20)
        with learner.lock:
            got = dict(learner.steps)
        assert set(got) == set(range(1, max(got) + 1)), "no number was left out"
        records = processes.executed()
        for step in got.values():
            red, green, blue = step.observation.images[0].data[:3]
            tick = red << 16 | green << 8 | blue
            record = records[tick]
            assert step.action.delta.tolist() == record["delta"]
            if step.action.source:
                assert step.action.delta[0] == pytest.approx(operator_delta(tick))
        actor.send_signal(signal.SIGTERM)
        assert actor.wait(timeout=10) == 0
        processes.stop()


def test_a_learner_on_a_full_disk_says_so_and_stores_what_was_sent_once_there_is_room(processes, tmp_path):
    domain = int(processes.environment["ROS_DOMAIN_ID"])
    reserve_mb = RESERVE_BYTES >> 20
    with disk_of(tmp_path / "disk", reserve_mb + 64) as disk, spinning(ActorSide, domain) as actor:
        processes.run_dir = disk / "run"
        learner = processes.learner(demonstrations=1000)

        def send(*sequences: int) -> None:
            for sequence in sequences:
                actor.steps.publish(step_to_message(a_step(sequence), SPEC, "base_link"))

        wait_until(lambda: actor.acks and actor.steps.get_subscription_count(), what="a heartbeat")
        send(1, 2, 3)
        wait_until(lambda: actor.acknowledged("arm") == 3, what="the first steps")
        fill(disk / "filler", but_for=RESERVE_BYTES - (1 << 20))
        send(4, 5)
        wait_until(lambda: "steps are not stored, actors keep them" in processes.output("learner"))
        assert f"expected at least {reserve_mb} MiB of free disk space" in processes.output("learner")
        wait_until(lambda: actor.acks[-1].lacking[0] > 0, what="the learner to ask for them")
        assert actor.acknowledged("arm") == 3 and learner.poll() is None
        (disk / "filler").unlink()
        send(4, 5)
        wait_until(lambda: actor.acknowledged("arm") == 5, what="all steps")
        learner.send_signal(signal.SIGTERM)
        assert learner.wait(timeout=10) == 0
        assert "Traceback" not in processes.output("learner")
        processes.stop()


def test_a_spool_goes_on_where_the_disk_refused(tmp_path):
    """Without a disk of its own: a limit on the size of files refuses in the middle of a step."""
    program = f"""
import resource
from pathlib import Path
from hilrl_learning.messages import step_to_message
from hilrl_learning.spool import Spool
spool = Spool(Path({str(tmp_path)!r}))
payload = lambda sequence: sequence.to_bytes(4, "big") * 25_000
resource.setrlimit(resource.RLIMIT_FSIZE, (1_050_000, resource.RLIM_INFINITY))
try:
    for sequence in range(1, 100):
        spool.append(sequence, 1, payload(sequence))
except OSError as error:
    print(sequence, error)
for attempt in range(3):
    try:
        spool.append(sequence, 1, payload(sequence))
        raise SystemExit("it was taken")
    except OSError:
        pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for sequence in range(sequence, 100):
    spool.append(sequence, 1, payload(sequence))
assert all(spool.read(s) == payload(s) for s in range(1, 100))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("11 ")
    spool = Spool(tmp_path)
    assert spool.last_sequence == 99
    assert all(spool.read(s) == s.to_bytes(4, "big") * 25_000 for s in range(1, 100))


def test_an_actor_that_cannot_begin_its_spool_says_why(tmp_path):
    """Invariant 13."""
    with disk_of(tmp_path / "disk", 1) as disk:
        fill(disk / "filler", but_for=0)
        with pytest.raises(ValueError, match="spool .*: expected to be able to write there: .*No space left"):
            Spool(disk)
