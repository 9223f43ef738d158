"""`hilrl up train` from end to end: real processes, real DDS, real physics."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import LONGER, QUICK, Command, all_gone, metrics

from hilrl import episodes, graph

pytestmark = pytest.mark.timeout(400)


def practised(run: Path) -> list[episodes.EpisodeRecord]:
    path = run / "episodes.jsonl"
    return episodes.of_kind(episodes.read(path), "training") if path.exists() else []


class KilledLearner:
    """One whole run, evaluation included, whose learner is killed while it trains."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.run = command.folder / "runs" / "whole"
        self.nodes = command.wait_for_nodes()
        command.wait_until(lambda: len(practised(self.run)) >= 2, 60)
        self.lines_before = len(metrics(self.run))
        self.nodes["learner"].kill()
        self.status = command.wait(150)


@pytest.fixture(scope="module")
def killed_learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KilledLearner]:
    folder = tmp_path_factory.mktemp("whole")
    command = Command(folder, "up", "train", "--run", "whole", "--evaluate", "2", *QUICK, *LONGER)
    try:
        yield KilledLearner(command)
    finally:
        command.close()


def test_a_run_ends_by_itself_and_leaves_no_process(killed_learner):
    assert killed_learner.status == 0, killed_learner.command.output
    assert all_gone(list(killed_learner.nodes.values()), 0)


def test_training_goes_on_after_the_learner_was_killed(killed_learner):
    assert "learner restarted 1x" in killed_learner.command.output
    later = metrics(killed_learner.run)[killed_learner.lines_before :]
    assert later[-1]["critic_updates"] > 0
    assert later[-1]["env_steps"] > metrics(killed_learner.run)[0]["env_steps"]


def test_every_episode_is_logged_once_and_in_order(killed_learner):
    numbers = [record.episode for record in episodes.read(killed_learner.run / "episodes.jsonl")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_run_leaves_all_that_it_is_judged_by(killed_learner):
    run = killed_learner.run
    records = episodes.read(run / "episodes.jsonl")
    assert len([r for r in episodes.of_kind(records, "demonstration") if r.success]) >= 2
    assert {path.stem for path in (run / "plots").glob("*.png")} >= {"success", "interventions", "episodes"}
    version = (run / "checkpoints" / "latest").read_text().strip()
    assert (run / "checkpoints" / version / "policy.safetensors").stat().st_size > 0
    assert {path.stem for path in (run / "log").glob("*.log")} == {node.name for node in graph.TRAIN}


def test_a_run_is_evaluated_on_held_out_starts_beside_behaviour_cloning(killed_learner):
    results = json.loads((killed_learner.run / "evaluation.json").read_text())
    assert set(results) == {"policy", "behaviour cloning", "demonstrator"}
    for label in ("policy", "behaviour cloning"):
        assert [episode["seed"] for episode in results[label]["episodes"]] == [10_000_000, 10_000_001]
    assert list((killed_learner.run / "videos").glob("policy-*.mp4"))
    assert "95 % interval" in killed_learner.command.output


def test_the_configuration_holds_everything_that_the_run_was_made_from(killed_learner):
    config = yaml.safe_load((killed_learner.run / "config.yaml").read_text())
    assert config["options"]["demonstrations"] == 2
    assert config["parameters"]["learner"]["pretraining_s"] == 1.0
    # Nobody gave these: they are the nodes' own defaults.
    assert config["parameters"]["ee_controller"]["step_m"] == 0.02
    assert config["parameters"]["learner"]["batch"] == 128
    assert config["versions"]["python"]


def test_ctrl_c_ends_everything_and_the_run_goes_on_where_it_was(hilrl, tmp_path):
    run = tmp_path / "runs" / "again"
    first = hilrl("up", "train", "--run", "again", *QUICK, "--duration-s", "120")
    nodes = first.wait_for_nodes()
    first.wait_until(lambda: len(practised(run)) >= 1, 60)
    nodes["image_cropper"].suspend()  # nor does one that hangs hold it up
    os.killpg(first.process.pid, signal.SIGINT)
    assert all_gone(list(nodes.values()), 15)
    assert first.wait(30) == 130
    assert "Go on: hilrl up train --run again" in first.output
    before = episodes.read(run / "episodes.jsonl")

    second = hilrl("up", "train", "--run", "again")
    nodes = second.wait_for_nodes()
    second.wait_until(lambda: len(episodes.read(run / "episodes.jsonl")) > len(before), 60)
    after = episodes.read(run / "episodes.jsonl")
    assert after[len(before)].kind == "training"
    assert after[len(before)].episode > before[-1].episode

    # However `hilrl` itself goes, its nodes go too.
    second.process.kill()
    second.wait(5)
    assert all_gone(list(nodes.values()), 5)


def test_the_death_of_what_holds_the_arm_ends_the_run(hilrl):
    command = hilrl("up", "train", *QUICK)
    nodes = command.wait_for_nodes()
    nodes["ee_controller"].kill()
    assert command.wait(30) == 1
    assert re.search(r"error: ee_controller ended \(SIGKILL\) and is not started again", command.output)
    assert all_gone(list(nodes.values()), 0)


def test_a_parameter_that_its_node_refuses_ends_the_run_with_the_reason(hilrl):
    command = hilrl("up", "train", "--set", "learner.batch=1")
    assert command.wait(60) == 1
    assert "error: learner ended (exit status 2)" in command.output
    assert "batch" in command.output


def test_a_parameter_that_no_node_knows_ends_the_run_with_the_nearest_name(hilrl):
    command = hilrl("up", "train", "--set", "learner.bach=64")
    assert command.wait(60) == 2
    assert "error: learner.bach: learner has no such parameter; the nearest is 'batch'" in command.output
