"""The cropper as its own process, over real DDS."""

import re

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import Image

from hilrl_ros import images, qos

NODE = "hilrl_perception.image_cropper_node"
RNG = np.random.default_rng(1)


class Bench:
    """A camera before the cropper and a policy behind it."""

    def __init__(self, probe, name="front"):
        self.probe = probe
        self.crops, self.second = [], 0
        self.publisher = probe.node.create_publisher(Image, f"camera/{name}/image_raw", qos.IMAGES)
        probe.node.create_subscription(Image, f"camera/{name}/image_crop", self.crops.append, qos.IMAGES)
        self.set = probe.node.create_client(SetParameters, "image_cropper/set_parameters")

    def ready(self):
        self.probe.spin_until(self.publisher.get_subscription_count)
        self.probe.spin_until(self.set.service_is_ready)
        topic = self.publisher.topic_name.replace("raw", "crop")
        self.probe.spin_until(lambda: self.probe.node.count_publishers(topic))
        self.probe.meet("image_cropper")

    def crop_of(self, message):
        """Stamps the frame anew, so that no crop of an earlier one is taken for its crop.

        Publishes again where a frame is lost: an image stream is best effort by default.
        """
        self.second += 1
        message.header.stamp = Time(sec=self.second, nanosec=7)

        def crops():
            return [crop for crop in self.crops if crop.header.stamp == message.header.stamp]

        def arrived():
            self.publisher.publish(message)
            self.probe.spin_for(0.1)
            return crops()

        self.probe.spin_until(arrived)
        return crops()[0]

    def set_crop(self, *values, camera="front"):
        value = ParameterValue(type=ParameterType.PARAMETER_INTEGER_ARRAY, integer_array_value=values)
        request = SetParameters.Request(parameters=[Parameter(name=f"crop.{camera}", value=value)])
        return self.probe.call(self.set, request).results[0]


def message(height, width):
    frame = RNG.integers(0, 256, (height, width, 3), np.uint8)
    return images.to_message(frame, Time(), "front_optical_frame")


def test_each_camera_is_cropped_and_keeps_stamp_and_frame(probe, start_node):
    start_node(NODE, "size:=[32, 32]", "crop.wrist:=[8, 16, 64, 64]", "reliable:=true")
    front, wrist = Bench(probe), Bench(probe, "wrist")
    front.ready(), wrist.ready()
    same = message(32, 32)
    assert front.crop_of(same) == same
    raw = message(96, 128)
    small = wrist.crop_of(raw)
    assert small.header == raw.header and (small.height, small.width, small.step) == (32, 32, 96)
    blocks = images.to_array(raw)[8:72, 16:80].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(images.to_array(small) - blocks).max() <= 0.5


def test_other_encodings_become_rgb(probe, start_node):
    start_node(NODE, "size:=[16, 16]", "cameras:=[front]")
    front = Bench(probe)
    front.ready()
    for side in (16, 32):
        raw = message(side, side)
        expected = images.to_array(front.crop_of(raw))[..., ::-1]
        raw.encoding = "bgr8"
        cropped = front.crop_of(raw)
        assert cropped.encoding == "rgb8" and np.array_equal(images.to_array(cropped), expected)


def test_a_crop_is_tuned_while_frames_flow_and_a_bad_one_is_refused(probe, start_node):
    start_node(NODE, "size:=[16, 16]", "cameras:=[front]")
    front = Bench(probe)
    front.ready()
    raw = message(48, 64)
    front.crop_of(raw)
    assert front.set_crop(4, 8, 16, 16).successful
    assert np.array_equal(images.to_array(front.crop_of(raw)), images.to_array(raw)[4:20, 8:24])
    for values, reason in (
        ((40, 0, 16, 16), "crop.front: expected a crop within 48 rows x 64 columns, got rows 40 to 56"),
        ((0, 0, 16, 0), "crop.front: expected a height and a width of at least 1"),
        ((0, 0, 16), "crop.front: expected 4 values, got 3"),
    ):
        result = front.set_crop(*values)
        assert not result.successful and reason in result.reason
    assert np.array_equal(images.to_array(front.crop_of(raw)), images.to_array(raw)[4:20, 8:24])


def test_bad_frames_are_reported_once_and_not_passed_on(probe, start_node):
    process = start_node(NODE, "size:=[16, 16]", "cameras:=[front]", "crop.front:=[0, 0, 32, 32]")
    front = Bench(probe)
    front.ready()
    good, small, torn = message(32, 32), message(24, 24), message(32, 32)
    torn.encoding = "16UC1"
    for bad, reason in ((small, "within 24 rows"), (torn, "'16UC1'")):
        for _ in range(5):
            front.publisher.publish(bad)
            probe.spin_for(0.02)
        probe.spin_until(lambda reason=reason: reason in process.log)
    assert front.crops == []
    front.crop_of(good)
    errors = re.findall(r"camera front: .*", process.log)
    assert len(errors) == 2
    assert "expected a crop within 24 rows x 24 columns, got rows 0 to 32" in errors[0]
    assert "encoding: expected one of" in errors[1]


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("cameras:=[front, front]", "cameras: expected distinct names"),
        ("size:=[0, 16]", "size: expected at least 1"),
        ("crop.front:=[0, -1, 5, 5]", "crop.front: expected at least 0, got -1"),
    ],
)
def test_a_bad_parameter_stops_the_start_with_one_line(start_node, parameter, reason):
    process = start_node(NODE, parameter)
    assert process.wait() == 2 and reason in process.log and "Traceback" not in process.log
