"""An actor that evaluates a policy needs no learner, reports, and ends."""

import json

import imageio
import pytest
from learner_peer import policy_payload
from learning_processes import Processes
from rclpy.context import Context
from rclpy.parameter import Parameter

from hilrl_learning.actor_node import Actor
from hilrl_ros.testing import own_domain

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
        mode="evaluate",
        policy_file=str(policy),
        evaluation_episodes=12,
        result_file="found/results.json",
        videos=2,
        video_prefix="films/policy",
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
    films = sorted((processes.run_dir / "films").iterdir())
    for number, (film, episode) in enumerate(zip(films, episodes[:2], strict=True)):
        assert film.name == f"policy-{number:02d}-{'success' if episode['success'] else 'failure'}.mp4"
        assert len(imageio.mimread(film)) == episode["steps"]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"mode": "evaluate", "policy_file": "/nowhere"}, r"^policy_file /nowhere: "),
        ({"mode": "dance"}, r"^mode: expected one of \['train', 'evaluate'\], got 'dance'"),
        ({"action_axes": ["x", "w"]}, r"^action_axes: expected one of .*, got 'w'"),
    ],
)
def test_a_bad_parameter_is_named(parameters, reason):
    """Invariant 13."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    context = Context()
    with own_domain() as domain:
        context.init(domain_id=domain)
        try:
            with pytest.raises(ValueError, match=reason):
                Actor(context=context, parameter_overrides=overrides)
        finally:
            context.try_shutdown()
