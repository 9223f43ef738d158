"""Rules as the reward, as their own process, over real DDS."""

import pytest
from geometry_msgs.msg import Point, Pose
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeState, Episode, GroundTruth, RewardEstimate
from hilrl_ros import qos
from hilrl_ros.stamps import from_ns, to_ns

NODE = "hilrl_perception.reward_rule_node"
TICK_NS = 100_000_000


class Bench:
    """Controller, simulator and actor around the rule."""

    def __init__(self, probe, truth=False):
        self.probe, self.said, self.tick = probe, [], 0
        node = probe.node
        self.ee = node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        self.truth = node.create_publisher(GroundTruth, "sim/ground_truth", qos.EVENTS) if truth else None
        self.episodes = node.create_publisher(Episode, "episode", qos.EVENTS)
        node.create_subscription(RewardEstimate, "reward", self.said.append, qos.EVENTS)
        publishers = [p for p in (self.ee, self.truth, self.episodes) if p]
        probe.spin_until(lambda: all(p.get_subscription_count() for p in publishers), 60.0)
        topic = self.ee.topic_name.replace("ee_state", "reward")
        probe.spin_until(lambda: node.count_publishers(topic))
        probe.meet("reward_rule")

    def next(self, jaw=0.0, target=-0.1, z=0.1, height=None):
        """What is said of the next stamp."""
        self.tick += 1
        stamp = from_ns(self.tick * TICK_NS)
        state = EeState(header=Header(stamp=stamp), gripper_position=jaw, gripper_target=target)
        state.pose.position.x, state.pose.position.z = 0.2, z
        if height is not None:
            pose = Pose(position=Point(z=height))
            self.truth.publish(GroundTruth(header=Header(stamp=stamp), names=["cube"], poses=[pose]))
        count = len(self.said)
        self.ee.publish(state)
        self.probe.spin_until(lambda: len(self.said) > count)
        assert to_ns(self.said[-1].header.stamp) == self.tick * TICK_NS
        self.state = state
        return self.said[-1]

    def begin(self, number):
        self.episodes.publish(Episode(episode=number))
        self.probe.spin_for(0.2)


def test_jaws_closed_on_something_for_k_of_n_stamps(probe, start_node):
    start_node(NODE, "rule:=gripper_width", "k:=2", "n:=3")
    bench = Bench(probe)
    answers = [bench.next(jaw=jaw) for jaw in (0.9, 0.4, 0.01, 0.01, 0.01)]
    assert [a.success for a in answers] == [False, False, False, False, True]
    assert [a.probability for a in answers] == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert answers[-1].reward == 1.0 and answers[-1].source == "rule"
    # A repeat has the same answer, and is no further stamp of the count.
    bench.ee.publish(bench.state)
    probe.spin_until(lambda: len(bench.said) == 6)
    assert bench.said[-1] == answers[-1]
    bench.begin(2)
    assert [bench.next(jaw=0.01).success for _ in range(3)] == [False, False, True]


def test_an_object_that_has_risen_by_the_ground_truth(probe, start_node):
    start_node(NODE, "rule:=object_height", "k:=1", "n:=1")
    bench = Bench(probe, truth=True)
    heights = (0.0125, 0.03, 0.064, 0.02)
    assert [bench.next(height=z).success for z in heights] == [False, False, True, False]


def test_the_operator_alone(probe, start_node):
    start_node(NODE)
    bench = Bench(probe)
    answers = [bench.next(jaw=jaw) for jaw in (0.01, 0.01, 0.01, 0.01)]
    assert not any(a.success or a.reward or a.probability for a in answers)
    assert {a.source for a in answers} == {"operator"}


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("rule:=wish", "rule: expected one of"),
        ("k:=4", "k, n: expected 1 <= k <= n, got k=4 and n=3"),
        ("gripper_range:=[0.5, 0.1]", "gripper_range: expected lower <= upper, got 0.5 and 0.1"),
    ],
)
def test_a_bad_start_is_one_line(start_node, parameter, reason):
    process = start_node(NODE, parameter)
    assert process.wait() == 2 and reason in process.log and "Traceback" not in process.log
