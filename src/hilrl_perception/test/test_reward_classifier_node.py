"""The classifier as its own process, over real DDS."""

import re

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeState, Episode, RewardEstimate
from hilrl_perception import reward_data
from hilrl_ros import images, qos
from hilrl_ros.stamps import from_ns, to_ns

NODE = "hilrl_perception.reward_classifier_node"
TICK_NS = 100_000_000


class Bench:
    """Cameras, controller and actor around the classifier."""

    def __init__(self, probe):
        self.probe, self.said = probe, []
        node = probe.node
        self.cameras = {
            name: node.create_publisher(Image, f"camera/{name}/image_crop", qos.IMAGES)
            for name in ("front", "wrist")
        }
        self.ee = node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        self.episodes = node.create_publisher(Episode, "episode", qos.EVENTS)
        node.create_subscription(RewardEstimate, "reward", self.said.append, qos.EVENTS)
        self.set = node.create_client(SetParameters, "reward_classifier/set_parameters")

    def ready(self):
        publishers = (*self.cameras.values(), self.ee, self.episodes)
        self.probe.spin_until(lambda: all(p.get_subscription_count() for p in publishers), 60.0)
        topic = self.episodes.topic_name.replace("episode", "reward")
        self.probe.spin_until(lambda: self.probe.node.count_publishers(topic))
        self.probe.spin_until(self.set.service_is_ready)
        self.probe.meet("reward_classifier")

    def show(self, tick, frames, jaw=0.0, cameras=("front", "wrist"), ee=True, z=0.1):
        stamp = from_ns(tick * TICK_NS)
        if ee:
            state = EeState(header=Header(stamp=stamp), gripper_position=jaw, gripper_target=-0.1)
            state.pose.position.x, state.pose.position.z = 0.2, z
            self.ee.publish(state)
        for camera, frame in zip(("front", "wrist"), frames, strict=True):
            if camera in cameras:
                self.cameras[camera].publish(images.to_message(frame, stamp, f"{camera}_optical_frame"))

    def answer(self, tick, frames, **how):
        """What is said of this tick."""
        count = len(self.said)
        self.show(tick, frames, **how)
        self.probe.spin_until(lambda: len(self.said) > count)
        assert to_ns(self.said[-1].header.stamp) == tick * TICK_NS
        return self.said[-1]

    def episode(self, number, **how):
        stamp = Time(sec=int(how.pop("sec", 0)))
        self.episodes.publish(Episode(header=Header(stamp=stamp), episode=number, **how))
        self.probe.spin_for(0.2)

    def tune(self, **values):
        kinds = {
            float: (ParameterType.PARAMETER_DOUBLE, "double_value"),
            int: (ParameterType.PARAMETER_INTEGER, "integer_value"),
            list: (ParameterType.PARAMETER_DOUBLE_ARRAY, "double_array_value"),
        }
        parameters = []
        for name, value in values.items():
            kind, field = kinds[type(value)]
            parameters.append(Parameter(name=name, value=ParameterValue(type=kind, **{field: value})))
        return self.probe.call(self.set, SetParameters.Request(parameters=parameters)).results[-1]


@pytest.fixture
def done(episode_of):
    """Frames of both cameras that show success; `done[i]` of ten."""
    return episode_of([True] * 10, 500).frames


@pytest.fixture
def not_done(episode_of):
    return episode_of([False] * 10, 501).frames


def test_it_answers_what_training_would_for_every_stamp_once(
    probe, start_node, model, model_file, episode_of
):
    start_node(NODE, f"model_file:={model_file}")
    bench = Bench(probe)
    bench.ready()
    episode = episode_of([False] * 4 + [True] * 4 + [False] * 4, 600)
    served = [bench.answer(tick, frames) for tick, frames in enumerate(episode.frames, 1)]
    trained = model.probabilities(episode.frames).astype(np.float32)
    assert [np.float32(m.probability) for m in served] == trained.tolist(), "equal, not nearly"
    assert {m.source for m in served} == {"classifier"}
    above = trained >= model.spec.threshold
    expected = [above[i] and sum(above[max(0, i - 2) : i + 1]) >= 2 for i in range(12)]
    assert [m.success for m in served] == expected and any(expected)
    assert [m.reward for m in served] == [float(x) for x in expected]
    # A repeat, whatever it shows now, gets the answer that the stamp had.
    for tick in (12, 5):
        assert bench.answer(tick, episode.frames[0]) == served[tick - 1]
    probe.spin_for(0.3)
    assert len(bench.said) == 14


def test_no_answer_before_all_parts_of_the_stamp_are_there(probe, start_node, model_file, done):
    start_node(NODE, f"model_file:={model_file}", "k:=1", "n:=1")
    bench = Bench(probe)
    bench.ready()
    bench.show(1, done[0], cameras=("front",))
    bench.show(2, done[0], cameras=("wrist",))
    bench.show(3, done[0], ee=False)
    probe.spin_for(0.5)
    assert bench.said == []
    assert bench.answer(4, done[0]).success
    assert bench.answer(3, done[0]).success


def test_in_real_time_a_stale_or_missing_camera_is_no_success(probe, start_node, model_file, done):
    process = start_node(
        NODE, f"model_file:={model_file}", "lockstep:=false", "k:=2", "n:=2", "max_age_s:=10.0"
    )
    bench = Bench(probe)
    bench.ready()
    missing = [bench.answer(tick, done[0], cameras=("front",)) for tick in (1, 2, 3)]
    assert [m.success for m in missing] == [False] * 3 and {m.probability for m in missing} == {0.0}
    assert "no success: image.wrist: nothing received yet" in process.log
    bench.show(4, done[0], cameras=("wrist",))
    seen = (bench.answer(tick, done[1], cameras=("front",)) for tick in range(4, 100))
    # The first that the wrist's frame is there for is one of two, the next one the second.
    first = next(m for m in seen if m.probability > 0.0)
    assert [m.success for m in (first, next(seen))] == [False, True]
    # The wrist's newest frame was stamped more than ten seconds before.
    late = bench.answer(150, done[2], cameras=("front",))
    assert not late.success and late.probability == 0.0


def test_an_episode_begins_without_the_frames_of_the_last_one(probe, start_node, model_file, done):
    start_node(NODE, f"model_file:={model_file}", "k:=3", "n:=3")
    bench = Bench(probe)
    bench.ready()
    bench.episode(1, finished=False)
    assert [bench.answer(tick, done[tick]).success for tick in (1, 2)] == [False, False]
    bench.episode(1, finished=True, truncated=True)
    assert not bench.answer(3, done[3]).success, "between episodes"
    bench.episode(2, finished=False)
    assert [bench.answer(tick, done[tick]).success for tick in (4, 5, 6)] == [False, False, True]


def test_the_guard_and_the_tuning_take_effect_on_the_next_frame(probe, start_node, model_file, done):
    process = start_node(NODE, f"model_file:={model_file}", "k:=1", "n:=1", "gripper_range:=[-0.05, 0.1]")
    bench = Bench(probe)
    bench.ready()
    assert bench.answer(1, done[0], jaw=0.0).success
    refused = bench.answer(2, done[1], jaw=-0.09)
    assert not refused.success and refused.reward == 0.0 and refused.probability > 0.5
    # The log follows the answer.
    why = "no success: jaw angle -0.090 rad is outside [-0.05, 0.1] (1 so far)"
    probe.spin_until(lambda: why in process.log)
    assert bench.tune(ee_min=[-1.0, -1.0, 0.15]).successful
    assert not bench.answer(3, done[2]).success
    assert bench.answer(4, done[3], z=0.2).success
    assert bench.tune(n=3, k=3).successful
    assert not bench.tune(k=4).successful
    result = bench.tune(ee_min=[-1.0, -1.0, 0.9], ee_max=[1.0, 1.0, 0.8])
    assert not result.successful and "ee_min, ee_max: z: expected lower <= upper" in result.reason
    assert bench.tune(threshold=1.0).successful
    assert not bench.answer(5, done[4], z=0.2).success


def test_a_success_that_is_taken_back_is_kept_as_hard_negatives(
    probe, start_node, model_file, done, not_done, tmp_path
):
    veto_dir = tmp_path / "vetoes"
    process = start_node(NODE, f"model_file:={model_file}", f"veto_dir:={veto_dir}", "k:=2", "n:=3")
    bench = Bench(probe)
    bench.ready()
    bench.episode(7, finished=False)
    shown = {1: not_done[1], 2: done[2], 3: done[3]}
    assert [bench.answer(tick, frames).success for tick, frames in shown.items()] == [False, False, True]
    bench.episode(7, finished=True, success=True)
    assert reward_data.RewardData(veto_dir, reward_data.read_layout(veto_dir)).count == 0
    # The operator takes the success back: the actor says how it ended once more.
    bench.episode(7, finished=True, success=False)
    probe.spin_until(lambda: "its success was taken back; 2 frames stored as" in process.log)
    _, (episode,) = reward_data.read([veto_dir])
    assert np.array_equal(episode.frames, np.stack([shown[2], shown[3]]))
    assert episode.is_veto and not episode.labels.any() and episode.provenance["episode"] == 7
    assert episode.provenance["model"] == "test" and min(episode.provenance["probabilities"]) > 0.5
    # An ordinary failure, and a cut-off after a claim, take nothing back.
    bench.episode(8, finished=False)
    assert not bench.answer(4, not_done[4]).success
    bench.episode(8, finished=True, success=False)
    bench.episode(9, finished=False)
    assert [bench.answer(tick, done[tick]).success for tick in (5, 6)] == [False, True]
    bench.episode(9, finished=True, success=False, truncated=True)
    assert len(reward_data.read([veto_dir])[1]) == 1


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("k:=1", "model_file: expected a reward model, got none"),
        ("model_file:=/nowhere.safetensors", "reward model /nowhere.safetensors: .*No such file"),
        ("model_file:=CUT", "not a reward model, or cut short"),
        ("n:=1", "k, n: expected 1 <= k <= n, got k=2 and n=1"),
        ("threshold:=1.5", "threshold"),
    ],
)
def test_a_bad_start_is_one_line(start_node, model_file, tmp_path, parameter, reason):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(model_file.read_bytes()[:-50])
    parameters = [parameter.replace("CUT", str(cut))]
    if parameter[0] in "nt":
        parameters.append(f"model_file:={model_file}")
    process = start_node(NODE, *parameters)
    assert process.wait() == 2
    assert re.search(reason, process.log) and "Traceback" not in process.log


def test_crops_of_another_size_are_reported_and_not_answered(probe, start_node, model_file):
    process = start_node(NODE, f"model_file:={model_file}")
    bench = Bench(probe)
    bench.ready()
    bench.show(1, np.zeros((2, 32, 32, 3), np.uint8))
    probe.spin_until(lambda: "image_crop[front]: expected height x width 64x64, got 32x32" in process.log)
    assert bench.said == []
