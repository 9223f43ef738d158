"""An actor that evaluates a policy needs no learner, reports, and ends."""

import json

import pytest
from learner_peer import policy_payload
from learning_processes import Processes

FIRST_SEED = 10_000_000


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def test_every_scene_is_tried_once_and_the_results_are_written(processes):
    policy = processes.folder / "policy.safetensors"
    policy.write_bytes(policy_payload())
    processes.arm()
    actor = processes.actor(
        mode="evaluate", policy_file=str(policy), evaluation_episodes=12, result_file="found/results.json"
    )
    assert actor.wait(timeout=60) == 0, processes.output("actor")
    results = json.loads((processes.run_dir / "found" / "results.json").read_text())
    episodes = results["episodes"]
    assert [episode["seed"] for episode in episodes] == list(range(FIRST_SEED, FIRST_SEED + 12))
    for (
        episode
    ) in episodes:  # the stand-in arm succeeds at a tick drawn from the seed; 10 steps are the limit
        assert episode["success"] == (episode["steps"] < 10) or episode["steps"] == 10
        assert episode["duration_s"] == pytest.approx(0.1 * episode["steps"])
    assert results["success_rate"] == sum(episode["success"] for episode in episodes) / 12
    assert 0 < results["success_rate"] < 1
    assert sum(episode["steps"] for episode in episodes) == len(processes.executed())


def test_the_same_policy_on_the_same_scenes_acts_the_same(processes):
    """Deterministic: repeated evaluations execute the same actions."""
    policy = processes.folder / "policy.safetensors"
    policy.write_bytes(policy_payload())
    arm = processes.arm()
    deltas = []
    for _ in range(2):
        assert processes.actor(mode="evaluate", policy_file=str(policy), evaluation_episodes=3).wait(60) == 0
        arm.kill()
        arm.wait()
        deltas.append([record["delta"] for record in processes.executed().values()])
        (processes.folder / "executed.jsonl").unlink()
        arm = processes.arm()
    assert deltas[0] == deltas[1] and len(deltas[0]) > 5


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"mode": "evaluate", "policy_file": "/nowhere"}, "error: policy_file /nowhere: "),
        ({"mode": "dance"}, "error: mode: expected one of ['train', 'evaluate'], got 'dance'"),
        ({"action_axes": ["x", "w"]}, "error: action_axes: expected one of "),
    ],
)
def test_a_bad_parameter_is_named_and_ends_the_process(processes, parameters, reason):
    """Invariant 13."""
    assert processes.actor(**parameters).wait(timeout=30) == 2
    assert reason in processes.output("actor")
