"""The two halves of a run, as on two machines: each knows only the domain."""

import os
import signal
from contextlib import closing

import pytest
from conftest import QUICK
from domain_coordinator import domain_id

from hilrl import episodes
from hilrl_ros.testing import Probe

pytestmark = pytest.mark.timeout(500)


def test_an_arm_trains_with_a_learner_that_was_started_elsewhere(hilrl, tmp_path, monkeypatch):
    demonstrations = ("--demonstrations", "2")
    with domain_id() as domain:
        arm = hilrl("up", "train", "--run", "here", "--learner", "remote", *demonstrations, domain=domain)
        arm.wait_until(lambda: "learner" not in arm.nodes() and "actor" in arm.nodes(), 60)
        # The learner's time runs from its start, so the arm is there by then.
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        with closing(Probe("/so101")) as probe:
            probe.meet("actor")
        learner = hilrl("up", "learner", "--run", "there", *QUICK, domain=domain)
        learner.wait_until(lambda: set(learner.nodes()) == {"learner"}, 60)
        # The learner's time is up: the arm's half ends with it.
        assert arm.wait(200) == 0, arm.output
        assert learner.wait(60) == 0, learner.output
    shown = episodes.of_kind(episodes.read(tmp_path / "runs" / "here" / "episodes.jsonl"), "demonstration")
    assert len(shown) >= 2
    assert (tmp_path / "runs" / "there" / "checkpoints" / "latest").exists()
    assert not (tmp_path / "runs" / "here" / "replay").exists()


def test_a_learner_alone_ends_with_ctrl_c(hilrl):
    with domain_id() as domain:
        learner = hilrl("up", "learner", "--run", "there", domain=domain)
        learner.wait_until(lambda: "learner" in learner.nodes(), 60)
        os.killpg(learner.process.pid, signal.SIGINT)
        assert learner.wait(60) == 130, learner.output
