"""The scripted operator as its own process, over real DDS."""

import re

import pytest
from geometry_msgs.msg import Point, Pose, Quaternion

from hilrl_interfaces.msg import EeAction, EeState, Episode, GroundTruth
from hilrl_ros import qos, stamps

NODE = "hilrl_teleop.scripted_operator_node"
TICK = 100_000_000
# The TCP points straight down with the jaws opening towards +x.
DOWN = Quaternion(x=0.0, y=1.0, z=0.0, w=0.0)


class Bench:
    """A simulator, a controller and an actor around the operator."""

    def __init__(self, probe):
        self.probe = probe
        self.answers = []
        node = probe.node
        self.states = node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        self.truths = node.create_publisher(GroundTruth, "sim/ground_truth", qos.EVENTS)
        self.episodes = node.create_publisher(Episode, "episode", qos.EVENTS)
        node.create_subscription(EeAction, "intervention/scripted", self.answers.append, qos.ACTIONS)

    def ready(self):
        for publisher in (self.states, self.truths, self.episodes):
            self.probe.spin_until(publisher.get_subscription_count)
        self.probe.spin_until(lambda: self.probe.node.count_publishers("intervention/scripted"))
        self.probe.meet("scripted_operator")

    def begin(self, kind, episode=1):
        self.episodes.publish(Episode(episode=episode, kind=kind))
        self.until_taken()

    def until_taken(self):
        """Of what is ready at once the operator takes ticks before episodes."""
        self.probe.until_taken_by("scripted_operator")

    def state(self, tick):
        tcp = Pose(position=Point(x=0.2, y=0.0, z=0.12), orientation=DOWN)
        state = EeState(pose=tcp, target=tcp, gripper_position=0.9, gripper_target=0.9)
        state.header.stamp = stamps.from_ns(tick * TICK)
        state.header.frame_id = "base_link"
        self.states.publish(state)

    def truth(self, tick, task="lift"):
        cube = Pose(position=Point(x=0.25, y=0.05, z=0.01))
        truth = GroundTruth(task=task, names=["cube"], poses=[cube])
        truth.header.stamp = stamps.from_ns(tick * TICK)
        self.truths.publish(truth)

    def answer_to(self, tick):
        count = len(self.answers)
        self.state(tick)
        self.truth(tick)
        self.probe.spin_until(
            lambda: any(stamps.to_ns(a.header.stamp) == tick * TICK for a in self.answers[count:])
        )
        return self.answers[-1]


@pytest.fixture
def bench(probe):
    return Bench(probe)


def test_every_tick_of_an_episode_is_answered_and_a_repeat_identically(bench, start_node):
    start_node(NODE)
    bench.ready()
    bench.begin(Episode.KIND_DEMONSTRATION)
    first = bench.answer_to(1)
    assert (first.engaged, first.source, first.device) == (True, EeAction.SOURCE_DEMONSTRATION, "scripted")
    assert stamps.to_ns(first.header.stamp) == TICK and first.header.frame_id == "base_link"
    assert first.delta[0] > 0.2 and first.delta[1] > 0.5 and first.delta[2] < -0.5
    assert first.gripper == EeAction.GRIPPER_OPEN and first.delta[3] == first.delta[4] == 0
    assert bench.answer_to(1) == first
    assert bench.answer_to(2) != first
    bench.begin(Episode.KIND_EVALUATION, 2)
    assert not bench.answer_to(3).engaged


def test_a_tick_needs_both_halves_and_an_episode(bench, start_node):
    start_node(NODE)
    bench.ready()
    bench.state(1)
    bench.truth(1)
    bench.until_taken()
    assert bench.answers == [], "no episode yet"
    bench.begin(Episode.KIND_TRAINING)
    bench.state(2)
    bench.until_taken()
    bench.truth(3)
    bench.until_taken()
    bench.probe.spin_for(0.2)
    assert bench.answers == [], "halves of different ticks"
    bench.state(3)
    bench.probe.spin_until(lambda: bench.answers)
    assert stamps.to_ns(bench.answers[-1].header.stamp) == 3 * TICK
    assert not bench.answers[-1].engaged


def test_the_same_seed_says_the_same_in_another_process(bench, start_node):
    runs = []
    for _ in range(2):
        process = start_node(NODE, "seed:=4")
        bench.ready()
        bench.begin(Episode.KIND_DEMONSTRATION, episode=9)
        runs.append([bench.answer_to(tick).delta.tolist() for tick in range(1, 6)])
        process.stop()
        bench.probe.spin_until(lambda: not bench.episodes.get_subscription_count())
    assert runs[0] == runs[1]


def test_a_scene_of_another_task_is_reported_once_and_nothing_is_said(bench, start_node):
    process = start_node(NODE, "task:=place")
    bench.ready()
    bench.begin(Episode.KIND_DEMONSTRATION)
    for tick in range(1, 4):
        bench.state(tick)
        bench.truth(tick)
    bench.probe.spin_until(lambda: "got 'lift'" in process.log)
    bench.state(4)
    bench.truth(4, task="place")
    bench.probe.spin_until(lambda: "['bin']" in process.log)
    assert bench.answers == []
    assert re.findall("not engaged: .*", process.log) == [
        "not engaged: ground_truth task: expected 'place' as in the parameter task, got 'lift'",
        "not engaged: ground_truth: expected poses of ['bin'], got those of ['cube']",
    ]
