"""Topics of a graph that runs, recorded for Foxglove and its like: `--mcap`."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from domain_coordinator import domain_id
from mcap.exceptions import EndOfFile
from mcap.reader import NonSeekingReader, make_reader
from mcap_ros2.decoder import DecoderFactory

from hilrl import arm_graph, evaluation, graph, options, record, replay_episode, viewers
from hilrl.nodes import MCAP_RECORDER, Node
from hilrl.run_config import new_config, resumed_config
from hilrl.run_folder import RunFolder

pytestmark = pytest.mark.timeout(240)

TOPICS = {"/so101/joint_states", "/so101/ee_state"}
OF_ARMS = {"/so101/joint_states", "/so101/leader/joint_states", "/diagnostics"}


def recorded(path: Path) -> dict[str, list]:
    """What was said so far, by topic."""
    found: dict[str, list] = {}
    with path.open("rb") as file, suppress(EndOfFile):
        reader = NonSeekingReader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
        for _, channel, _, message in reader.iter_decoded_messages(log_time_order=False):
            found.setdefault(channel.topic, []).append(message)
    return found


def is_complete(path: Path) -> bool:
    """Whether it has its index."""
    with path.open("rb") as file:
        return make_reader(file).get_summary() is not None


def has(run: Path, number: int, topics: set[str]) -> bool:
    """Whether there is a file of that number, and all of these in it."""
    return len(files(run)) > number and set(recorded(files(run)[number])) >= topics


def files(folder: Path) -> list[Path]:
    return sorted((folder / "mcap").glob("*.mcap"))


def test_what_a_graph_says_is_recorded_and_it_goes_on_where_the_recorder_is_killed(hilrl, tmp_path):
    run = tmp_path / "runs" / "teleop-so101"
    command = hilrl("up", "teleop", "--mcap", "joint_states,/so101/ee_state")
    command.wait_until(lambda: has(run, 0, TOPICS), 90)
    before = command.nodes()
    before["mcap_recorder"].kill()
    command.wait_until(lambda: has(run, 1, TOPICS), 90)
    after = command.nodes()
    assert {name for name in before if before[name] != after[name]} == {"mcap_recorder"}
    os.killpg(command.process.pid, signal.SIGINT)
    assert command.wait(30) == 0, command.output
    assert is_complete(files(run)[1])
    found = recorded(files(run)[1])
    assert set(found) == TOPICS
    assert all(len(joints.position) == 6 for joints in found["/so101/joint_states"])
    assert found["/so101/ee_state"][0].header.frame_id


def test_arms_are_recorded_too(hilrl, tmp_path):
    with domain_id() as domain:
        command = hilrl(
            *("up", "arm", "--emulated", "--mcap", "all", "--set", "arm.ease_down_s=0.5"), domain=domain
        )
        run = tmp_path / "runs" / "arm-so101"
        command.wait_until(lambda: has(run, 0, OF_ARMS), 90)
        os.killpg(command.process.pid, signal.SIGINT)
        assert command.wait(30) == 0, command.output
    assert is_complete(files(run)[0])


def graphs(mcap: str, run: Path) -> dict[str, list[Node]]:
    """All of them, by the command that starts them."""
    config = new_config({"mcap": mcap}, [])
    by_hand = {**options.A_PERSON_DRIVES, "mcap": mcap}
    chosen, given = config.options, config.parameters
    arms = options.checked_for_arm({"follower_calibration": "f.json", "mcap": mcap})
    return {
        "train": graph.train(chosen, given, run),
        "eval": graph.evaluate(chosen, given, run, {}),
        "teleop": graph.teleop(new_config(by_hand, []).options, given),
        "record": record.recording(chosen, given, run / "dataset", 1, ""),
        "replay": replay_episode.replaying(chosen, given, run / "dataset", 0, run / "result"),
        "arm": arm_graph.arms(arms, {}),
    }


def test_every_graph_may_be_recorded_and_none_is_unless_it_is_asked_for(tmp_path):
    for command, nodes in graphs("joint_states", tmp_path).items():
        recorder = next(node for node in nodes if node.name == MCAP_RECORDER.name)
        assert recorder.parameters["topics"] == "joint_states", command
        assert recorder.fully_qualified_name == "/so101/mcap_recorder", command
        assert recorder.looks_on and recorder.niceness == graph.GIVES_WAY, command
    for command, nodes in graphs("", tmp_path).items():
        assert MCAP_RECORDER.name not in {node.name for node in nodes}, command


def test_what_is_no_topic_is_refused_before_anything_starts(tmp_path):
    folder = RunFolder(tmp_path / "run")
    begun = new_config({}, [])
    folder.store(begun)
    for refuse in (
        lambda: new_config({"mcap": "joint-states"}, []),
        lambda: resumed_config(begun, {"mcap": "joint-states"}, []),
        lambda: options.checked_for_arm({"mcap": "joint-states"}),
        lambda: evaluation.loaded(folder, "joint-states"),
    ):
        with pytest.raises(ValueError, match="mcap: expected names of topics, or all, got 'joint-states'"):
            refuse()


def test_a_trial_records_what_it_is_told_and_not_what_the_training_did(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.store(new_config({"mcap": "action"}, []))
    assert evaluation.loaded(folder, "").options["mcap"] == ""
    assert evaluation.loaded(folder, "ee_state").options["mcap"] == "ee_state"
    assert viewers.recordings(folder.path)["mcap_recorder"] == {"folder": str(folder.path / "mcap")}
