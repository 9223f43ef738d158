"""The collector beside a running graph, over real DDS."""

import numpy as np
import pytest
from geometry_msgs.msg import Point, Pose
from rcl_interfaces.srv import ListParameters
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeState, Episode, GroundTruth
from hilrl_perception import reward_data
from hilrl_ros import images, qos
from hilrl_ros.stamps import from_ns

NODE = "hilrl_perception.reward_collector_node"
TICK_NS = 100_000_000


class Graph:
    """What a running graph publishes."""

    def __init__(self, probe):
        self.probe = probe
        node = probe.node
        self.cameras = {
            name: node.create_publisher(Image, f"camera/{name}/image_crop", qos.IMAGES)
            for name in ("front", "wrist")
        }
        self.ee = node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        self.truth = node.create_publisher(GroundTruth, "sim/ground_truth", qos.EVENTS)
        self.episodes = node.create_publisher(Episode, "episode", qos.EVENTS)
        self.ask = node.create_client(ListParameters, "reward_collector/list_parameters")

    def ready(self, *publishers):
        publishers = (*self.cameras.values(), self.ee, self.episodes, *publishers)
        self.probe.spin_until(lambda: all(p.get_subscription_count() for p in publishers), 60.0)
        self.probe.meet("reward_collector")

    def show(self, tick, height=None):
        stamp = from_ns(tick * TICK_NS)
        state = EeState(header=Header(stamp=stamp))
        state.pose.position.z = tick * 0.01
        self.ee.publish(state)
        if height is not None:
            truth = GroundTruth(header=Header(stamp=stamp), task="lift", names=["cube"], grasped=True)
            truth.poses = [Pose(position=Point(z=height))]
            self.truth.publish(truth)
        for camera, publisher in self.cameras.items():
            frame = np.full((32, 32, 3), tick + 100 * (camera == "wrist"), np.uint8)
            publisher.publish(images.to_message(frame, stamp, f"{camera}_optical_frame"))
        self.until_taken()

    def episode(self, number, tick=0, **how):
        self.episodes.publish(Episode(header=Header(stamp=from_ns(tick * TICK_NS)), episode=number, **how))
        self.until_taken()

    def until_taken(self):
        """A node takes the messages that are there before it answers a question."""
        self.probe.call(self.ask, ListParameters.Request())


def test_a_running_graph_is_watched_and_labelled_by_how_its_episodes_end(probe, start_node, tmp_path):
    process = start_node(NODE, f"data_dir:={tmp_path / 'data'}", "image_size:=32", "positive_s:=0.1")
    graph = Graph(probe)
    graph.ready()
    graph.show(1)  # before any episode
    graph.episode(1, seed=11)
    for tick in (2, 3, 4):
        graph.show(tick)
    graph.show(4)  # a repeat
    # The actor's word may be faster than the frame that it is about.
    graph.episode(1, 5, finished=True, success=True)
    assert "frames" not in process.log
    graph.show(5)
    probe.spin_until(lambda: "4 frames, 2 positive" in process.log)
    graph.episode(2)
    for tick in (6, 7):
        graph.show(tick)
    graph.episode(2, 7, finished=True, success=False)
    probe.spin_until(lambda: "2 frames, 0 positive" in process.log)
    _, (first, second) = reward_data.read([tmp_path / "data"])
    assert first.stamps_ns.tolist() == [tick * TICK_NS for tick in (2, 3, 4, 5)]
    assert first.labels.tolist() == [False, False, True, True]
    assert first.frames[:, 0, 0, 0, 0].tolist() == [2, 3, 4, 5]
    assert first.frames[:, 1, 0, 0, 0].tolist() == [102, 103, 104, 105]
    assert first.arm[:, 2] == pytest.approx([0.02, 0.03, 0.04, 0.05])
    assert first.provenance == {"source": "attached", "episode": 1, "seed": 11, "labels": "ending"}
    assert not second.labels.any()


def test_a_simulator_labels_every_frame(probe, start_node, tmp_path):
    process = start_node(NODE, f"data_dir:={tmp_path / 'data'}", "image_size:=32", "labels:=truth")
    graph = Graph(probe)
    graph.ready(graph.truth)
    graph.episode(1)
    for tick, height in enumerate((0.0125, 0.05, 0.063, 0.07, 0.03), 1):
        graph.show(tick, height)
    graph.episode(1, 5, finished=True, success=False)
    probe.spin_until(lambda: "5 frames, 2 positive" in process.log)
    _, (episode,) = reward_data.read([tmp_path / "data"])
    assert episode.labels.tolist() == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ((), "data_dir: expected a folder, got none"),
        (("data_dir:=frames", "labels:=truth", "lockstep:=false"), "labels: truth needs lockstep"),
    ],
)
def test_a_bad_start_is_one_line(start_node, parameters, reason):
    process = start_node(NODE, *parameters)
    assert process.wait() == 2 and reason in process.log and "Traceback" not in process.log
