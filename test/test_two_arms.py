"""Two simulated arms in their namespaces and one learner, in lockstep: the whole graph twice.

The tests follow one life of the fleet, in order.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fleet import LEARNER, Fleet
from rosgraph_msgs.msg import Clock

from hilrl_interfaces.msg import Episode, LearnerMetrics, PolicyWeights, StepAck
from hilrl_learning.data import ObservationSpec
from hilrl_learning.encoders import SmallCNN
from hilrl_learning.observation_sync import state_names
from hilrl_learning.replay import Replay
from hilrl_learning.spool import Spool
from hilrl_learning.step_sender import STALL_S
from hilrl_ros import qos, stamps
from hilrl_ros.testing import Probe

pytestmark = pytest.mark.timeout(600)

A, B = "so101", "so101_b"
SEEDS = {A: 1, B: 2}
SIZE, CAPACITY, CROPS, FEATURES = 32, 20_000, 1, 8
PATIENCE_S = 150.0
SMALL = (
    *[(node, "image_size", SIZE) for node in ("sim", "actor", "learner")],
    ("image_cropper", "size", [SIZE, SIZE]),
    ("actor", "max_episode_steps", 30),
    ("learner", "pretraining_s", 0.5),
    ("learner", "imitation_updates", 10),
    ("learner", "features_per_camera", FEATURES),
    ("learner", "crops", CROPS),
    ("learner", "batch", 16),
    ("learner", "capacity", CAPACITY),
    ("learner", "publish_hz", 5.0),
    ("learner", "sac.critic_only_updates", 20),
)


class Watched:
    """The fleet, and what a node beside it hears."""

    def __init__(self, fleet: Fleet, probe: Probe) -> None:
        self.fleet, self.probe = fleet, probe
        self.episodes: dict[str, list[Episode]] = {A: [], B: []}
        """By namespace, those that ended."""
        self.ack = StepAck()
        self.metrics: dict[str, float] = {}
        self.weights: list[PolicyWeights] = []
        node = probe.node
        for name, ended in self.episodes.items():
            node.create_subscription(
                Episode,
                f"/{name}/episode",
                lambda message, ended=ended: ended.append(message) if message.finished else None,
                qos.EVENTS,
            )
        node.create_subscription(StepAck, "/learner/ack", lambda m: setattr(self, "ack", m), qos.EVENTS)
        node.create_subscription(LearnerMetrics, "/learner/metrics", self._on_metrics, qos.EVENTS)
        node.create_subscription(PolicyWeights, "/learner/policy", self.weights.append, qos.LATCHED)

    def _on_metrics(self, message: LearnerMetrics) -> None:
        self.metrics = dict(zip(message.names, message.values, strict=True))

    def acknowledged(self, actor_id: str) -> int:
        return dict(zip(self.ack.actor_ids, self.ack.sequences, strict=True)).get(actor_id, 0)

    def version(self, name: str) -> int:
        """Of the policy that acted at the end of an arm's newest episode."""
        return max((episode.policy_version for episode in self.episodes[name]), default=0)

    def wait_until(self, condition, what: str) -> None:
        try:
            self.probe.spin_until(condition, PATIENCE_S)
        except AssertionError:
            outputs = "\n".join(f"{n}: {self.fleet.output(n)[-600:]}" for n in self.fleet.nodes)
            raise AssertionError(f"not within {PATIENCE_S:g} s: {what}\n{outputs}") from None

    def wait_for_steps(self, *names: str, count: int = 20) -> None:
        before = {name: self.acknowledged(name) for name in names}
        self.wait_until(
            lambda: all(self.acknowledged(name) >= before[name] + count for name in names),
            f"{count} steps more than {before}",
        )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("two_arms")
    choices = {"demonstrations": 2, "duration_s": 0.0}
    with closing(Fleet(folder, SEEDS, choices, SMALL)) as fleet:
        fleet.environment["ROS_DOMAIN_ID"] = os.environ["ROS_DOMAIN_ID"]
        with closing(Probe("/watch")) as probe:
            watched = Watched(fleet, probe)
            fleet.start(*(name for name in fleet.nodes if name != LEARNER))
            for name in SEEDS:
                probe.meet(f"/{name}/actor")
            # Nobody acts before the learner's first word, so the end of each episode is heard.
            fleet.start(LEARNER)
            yield watched


def test_both_arms_reach_the_learner_and_its_weights_reach_both(watched):
    watched.wait_for_steps(A, B)
    watched.wait_until(lambda: watched.ack.phase == StepAck.PHASE_TRAINING, "training")
    newest = watched.ack.policy_version
    watched.wait_until(
        lambda: min(watched.version(A), watched.version(B)) > newest, f"a version after {newest} at both arms"
    )


def test_episodes_say_whose_they_are_and_no_scene_is_seen_by_both(watched):
    for name, episodes in watched.episodes.items():
        assert {episode.actor_id for episode in episodes} == {name}
        numbers = [episode.episode for episode in episodes]
        assert numbers == list(range(1, len(numbers) + 1))
    seeds = [{episode.seed for episode in episodes} for episodes in watched.episodes.values()]
    assert not seeds[0] & seeds[1]


def test_metrics_say_how_many_steps_came_from_whom(watched):
    watched.wait_until(lambda: {f"steps_{A}", f"steps_{B}"} <= set(watched.metrics), "metrics by arm")
    for name in (A, B):
        assert watched.metrics[f"steps_{name}"] > 0


def test_the_death_of_one_arms_actor_leaves_the_other_untouched(watched):
    """Invariant 6. The actor that comes back goes on where it was."""
    watched.fleet.end(f"/{B}/actor", by=signal.SIGKILL)
    ended_ns = time.time_ns()
    # Nobody has listened since the test before: what came then is not news.
    watched.wait_until(lambda: stamps.to_ns(watched.ack.header.stamp) > ended_ns, "an ack from after that")
    watched.wait_for_steps(A, count=5)  # what was under way has arrived by then
    stopped, episodes = watched.acknowledged(B), len(watched.episodes[A])
    watched.wait_for_steps(A, count=40)
    assert watched.acknowledged(B) == stopped
    assert not any(episode.truncated and episode.steps < 2 for episode in watched.episodes[A][episodes:])
    watched.fleet.start(f"/{B}/actor")
    watched.wait_for_steps(A, B)


def test_every_step_of_both_is_stored_exactly_once(watched):
    """Invariant 6, and each step's next observation is of its own arm."""
    fleet = watched.fleet
    actors = [f"/{name}/actor" for name in SEEDS]
    assert fleet.ended() == []
    last = {}
    for name in SEEDS:
        fleet.end(*(node for node in fleet.of(name) if node not in actors))  # without ticks no further steps
    watched.probe.spin_for(1.0)
    watched.wait_until(lambda: _is_settled(watched), "the last steps")
    assert fleet.end(*actors, LEARNER) == [0, 0, 0]
    for name in SEEDS:
        spool = Spool(fleet.run / "spool" / name)
        last[name] = spool.last_sequence
        spool.close()
    spec = ObservationSpec(state_names(), ("front", "wrist"), (SIZE, SIZE))
    replay = Replay(fleet.run / "replay", spec, (CROPS, SmallCNN(2, FEATURES).size), CAPACITY)
    slots = np.array([slot for slot in replay.slots() if replay.is_step[slot]])
    for name, count in last.items():
        own = slots[replay.actor[slots] == replay.actors.index(name)]
        assert replay.sequence[own].tolist() == list(range(1, count + 1))
        linked = own[replay.next[own] >= 0]
        assert len(linked) > len(own) / 2
        assert (replay.actor[replay.next[linked]] == replay.actors.index(name)).all()


def _is_settled(watched: Watched) -> bool:
    """No more steps are acknowledged."""
    before = [watched.acknowledged(name) for name in SEEDS]
    watched.probe.spin_for(STALL_S + 1.5)
    return before == [watched.acknowledged(name) for name in SEEDS]


@pytest.fixture
def in_real_time(tmp_path: Path) -> Iterator[tuple[Fleet, Probe]]:
    with closing(Fleet(tmp_path, SEEDS, {"lockstep": False})) as fleet, closing(Probe("/watch")) as probe:
        fleet.environment["ROS_DOMAIN_ID"] = os.environ["ROS_DOMAIN_ID"]
        yield fleet, probe


def hear_clock(probe: Probe, topic: str) -> list[Clock]:
    """Filled while the probe spins."""
    heard: list[Clock] = []
    probe.node.create_subscription(Clock, topic, heard.append, qos.JOINT_STATES)
    return heard


def test_in_real_time_each_arm_has_its_own_clock(in_real_time):
    fleet, probe = in_real_time
    clocks = [hear_clock(probe, f"/{name}/clock") for name in SEEDS]
    shared = hear_clock(probe, "/clock")
    fleet.start(f"/{A}/sim", f"/{B}/sim")
    probe.spin_until(lambda: all(clocks), PATIENCE_S)
    assert not shared


def test_a_second_simulator_on_the_same_clock_is_refused(in_real_time):
    fleet, probe = in_real_time
    for name, node in fleet.nodes.items():
        fleet.nodes[name] = replace(node, remappings=())
    shared = hear_clock(probe, "/clock")
    fleet.start(f"/{A}/sim")
    probe.spin_until(lambda: shared, PATIENCE_S)
    fleet.start(f"/{B}/sim")
    probe.spin_until(fleet.ended, PATIENCE_S)
    assert fleet.ended() == [f"/{B}/sim"]
    assert "/clock: expected to be the only clock" in fleet.output(f"/{B}/sim")
