"""A robot and its learner on two machines, and a network between them that is slow, loses packets and breaks.

Both machines are namespaces of this one; see `boxes`.
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxes import Cable, two_boxes_or_skip
from learning_processes import SIZE, wait_until
from linked_run import PATIENCE_S, Account, LinkedRun

from hilrl_learning.trainer import Phase
from hilrl_ros import fast_dds

pytestmark = pytest.mark.timeout(400)

PROFILE = Path(__file__).resolve().parents[3] / "config" / "dds" / "lossy_link.xml"
LEARNER_TIMEOUT_S = 5.0


@pytest.fixture
def linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LinkedRun, Cable]]:
    monkeypatch.setenv(fast_dds.VARIABLE, str(PROFILE))
    with two_boxes_or_skip("--delay-s", "0.02", "--loss", "0.01") as (robot, learner, cable):
        run = LinkedRun(tmp_path, robot, learner, SIZE, 0.03, LEARNER_TIMEOUT_S)
        try:
            yield run, cable
        finally:
            run.processes.stop()


def test_a_bad_link_that_breaks_and_a_learner_that_dies_behind_it_lose_no_step(linked):
    """Invariants 6 and 10."""
    run, cable = linked
    wait_until(lambda: run.newest("phase") == Phase.TRAINING, PATIENCE_S, "demonstrations and pre-training")
    run.wait_for_exchange("over a slow and lossy link")

    parked = "parked: no word from the learner"
    count = run.processes.output("actor").count(parked)  # a busy learner may have been silent before
    cable.cut()
    cut_s, moves = time.monotonic(), run.moves()
    wait_until(lambda: run.moves() > moves + 20, what="the arm to go on while nobody hears of it")
    wait_until(lambda: run.processes.output("actor").count(parked) > count, what="parking")
    # The last word that came through may have been said a while before the cut.
    assert time.monotonic() - cut_s > 0.5 * LEARNER_TIMEOUT_S, "not before its time"
    wait_until(lambda: run.stands_still("moves", 2.0), what="the parked arm to stand still")
    assert run.stands_still("stored", 2.0), "nothing crosses a cut cable"

    cable.heal()
    run.wait_for_exchange("after the link has healed")

    run.learner.send_signal(signal.SIGKILL)
    run.learner.wait()
    run.start_learner()
    run.wait_for_exchange("after the learner was restarted")

    account = run.settle()
    assert account == Account(made=account.made, lost=0, doubled=0, wrong=0)
    _, at_learner = cable.unplug()
    assert at_learner > account.made * 2 * 3 * SIZE**2, "all frames went over the cable"
