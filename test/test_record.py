"""Recording a simulated arm, going on with a dataset, playing an episode: the whole graph as processes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hilrl import record
from hilrl.run_config import new_config

pytestmark = pytest.mark.timeout(400)

CHECK = Path(__file__).parent.parent / "bench" / "lerobot_check.py"


def run(folder: Path, module: str, call: str) -> subprocess.CompletedProcess[str]:
    """A function of this package in a process of its own; ValueError is status 2, as at the command."""
    program = (
        f"import sys\nfrom pathlib import Path\nfrom hilrl.{module} import {call.partition('(')[0]}\n"
        f"try:\n    sys.exit({call})\n"
        "except ValueError as error:\n    print(f'error: {error}')\n    sys.exit(2)\n"
    )
    env = {name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def info(dataset: Path) -> dict:
    return json.loads((dataset / "meta" / "info.json").read_text())


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations, and one more in a second start."""
    folder = tmp_path_factory.mktemp("recording")
    for count in (2, 1):
        ended = run(folder, "record", f"record(Path('lift'), {count}, '', {{'seed': 3}}, [])")
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder / "lift"


def test_a_recording_ends_by_itself_and_another_goes_on_with_it(dataset):
    stored = info(dataset)
    assert stored["total_episodes"] == 3
    assert stored["hilrl"]["step_m"] == 0.02 and stored["fps"] == 10
    assert {len(list((dataset / "data").rglob("*.parquet"))), len(list(dataset.rglob("*.mp4"))) // 2} == {3}


def test_a_replay_does_what_the_recording_did(dataset):
    for episode in (0, 2):
        ended = run(dataset.parent, "replay_episode", f"replay(Path('lift'), {episode}, {{}}, [])")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        far = re.search(r"at the end the arm is ([\d.]+) mm and ([\d.]+) rad", ended.stdout)
        assert far, ended.stdout
        assert float(far[1]) < 1.0 and float(far[2]) < 0.01, "the same scene, the same actions"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("replay(Path('lift'), 9, {}, [])", "episode: expected less than 3"),
        ("replay(Path('lift'), 0, {}, [('ee_controller', 'step_m', 0.01)])", "step_m: expected 0.02"),
        ("replay(Path('lift'), 0, {'control_hz': 20.0}, [])", "ee_controller.control_hz: expected 10"),
        ("replay(Path('nothing'), 0, {}, [])", "expected the folder of a LeRobotDataset"),
    ],
)
def test_what_cannot_be_played_is_refused_by_name(dataset, call, words):
    ended = run(dataset.parent, "replay_episode", call)
    assert ended.returncode == 2 and words in ended.stdout + ended.stderr, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("choices", "assignments", "field"),
    [
        ({"control_hz": 20.0}, [], "fps: the dataset has 10, this recording 20"),
        ({}, [("ee_controller", "step_m", 0.01)], "hilrl.step_m"),
        ({}, [("actor", "cameras", ["front"])], "features.observation.images.wrist.dtype"),
        ({"control_hz": 7.5}, [], "control_hz: expected a whole number"),
    ],
)
def test_another_kind_of_recording_is_refused_before_anything_starts(dataset, choices, assignments, field):
    config = new_config(choices, assignments)
    with pytest.raises(ValueError, match=field):
        record.recording(config.options, config.parameters, dataset, 5, "Lift the cube.")


def test_the_recorder_keeps_the_actor_and_knows_what_its_actions_mean(tmp_path):
    config = new_config({"robot": "so101_b"}, [("ee_controller", "step_m", 0.015)])
    graph = record.recording(config.options, config.parameters, tmp_path / "d", 7, "Lift.")
    nodes = {node.name: node for node in graph}
    recorder = nodes["recorder"]
    assert recorder.fully_qualified_name == "/so101_b/recorder"
    assert recorder.parameters["step_m"] == 0.015 and recorder.parameters["episodes"] == 7
    assert Path(nodes["actor"].parameters["run_dir"]).parent == tmp_path / "d"
    assert "learner" not in nodes


@pytest.mark.skipif(
    "LEROBOT_PYTHON" not in os.environ, reason="LEROBOT_PYTHON names no interpreter with LeRobot"
)
def test_lerobot_reads_every_frame_as_it_was_sent(tmp_path):
    command = [sys.executable, str(CHECK), "--episodes", "2", "--dataset", str(tmp_path / "dataset")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "NOT" not in ended.stdout
