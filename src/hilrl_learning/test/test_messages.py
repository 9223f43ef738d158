"""Steps survive the way through a message, and a malformed message is named (invariant 13)."""

from array import array
from dataclasses import replace

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message

from hilrl_interfaces.msg import EeAction, PolicyWeights
from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.data import Gripper, Source, StepLabel
from hilrl_learning.messages import (
    action_from_message,
    observation_from_message,
    serialized_weights,
    step_from_message,
    step_to_message,
    weights_from_message,
)
from hilrl_learning.weights import sha256


def message(stream, spec, **changes) -> StepMessage:
    step = next(stream.steps(1))
    made = step_to_message(step, spec, "base_link")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_step_is_the_same_after_the_way_through_the_network(stream, spec):
    for step in stream.steps(3, source=Source.INTERVENTION):
        wire = serialize_message(step_to_message(step, spec, "base_link"))
        back = step_from_message(deserialize_message(wire, StepMessage), spec)
        assert (back.actor_id, back.sequence, back.episode, back.index) == (
            step.actor_id,
            step.sequence,
            step.episode,
            step.index,
        )
        assert (back.reward, back.terminated, back.truncated, back.trainable) == (
            step.reward,
            step.terminated,
            step.truncated,
            step.trainable,
        )
        assert np.array_equal(back.action.delta, step.action.delta)
        assert (back.action.gripper, back.action.source) == (step.action.gripper, step.action.source)
        assert back.action.policy_version == step.action.policy_version
        pairs = [(back.observation, step.observation)]
        if step.final_observation is not None:
            pairs.append((back.final_observation, step.final_observation))
        for got, sent in pairs:
            assert got.stamp_ns == sent.stamp_ns
            assert np.array_equal(got.state, sent.state) and got.state.dtype == np.float32
            assert np.array_equal(got.images, sent.images) and got.images.dtype == np.uint8


def test_the_label_of_the_last_step_survives(stream, spec):
    step = next(stream.steps(1))
    assert step.terminated
    for label in (StepLabel.NONE, StepLabel.SUCCESS, StepLabel.FAILURE):
        sent = step_to_message(replace(step, label=label), spec, "base_link")
        assert step_from_message(sent, spec).label is label
    cut = replace(step, label=StepLabel.DISCARD, terminated=False, truncated=True)
    assert step_from_message(step_to_message(cut, spec, "base_link"), spec).label is StepLabel.DISCARD


def test_an_observation_crosses_the_network_once(stream, spec):
    """Invariant 5: only the last step of an episode carries a second observation."""
    sizes = [len(serialize_message(step_to_message(step, spec, "base"))) for step in stream.steps(4)]
    frames = len(spec.cameras) * spec.image_size[0] * spec.image_size[1] * 3
    assert all(frames < size < 1.1 * frames for size in sizes[:-1])
    assert 2 * frames < sizes[-1] < 2.2 * frames


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"actor_id": ""}, "actor_id"),
        ({"sequence": 0}, "sequence"),
        ({"episode": 0}, "episode"),
        ({"reward": float("nan")}, "reward"),
        ({"truncated": True}, "terminated, truncated"),
        ({"terminated": False}, "final_observation"),
        ({"final_observation": []}, "final_observation"),
        ({"label": 4}, "label"),
        ({"label": StepMessage.LABEL_DISCARD}, "label"),
        ({"label": StepMessage.LABEL_SUCCESS, "terminated": False, "final_observation": []}, "label"),
    ],
)
def test_a_step_that_contradicts_itself_is_refused_by_field(stream, spec, changes, field):
    with pytest.raises(ValueError, match=f"^{field}: expected .* got "):
        step_from_message(message(stream, spec, **changes), spec)


def break_state_size(observation):
    observation.state = array("f", [0.0] * 3)


def break_state_nan(observation):
    observation.state = array("f", [0.0, float("inf"), 0.0, 0.0])


def break_camera(observation):
    observation.images[1].header.frame_id = "elsewhere"


def break_camera_count(observation):
    observation.images = observation.images[:1]


def break_image_bytes(observation):
    observation.images[0].data = array("B", bytes(7))


def break_image_size(observation):
    image = observation.images[0]
    image.height, image.width, image.step, image.data = 8, 8, 24, array("B", bytes(192))


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (break_state_size, "observation.state"),
        (break_state_nan, "observation.state"),
        (break_camera, "observation.images"),
        (break_camera_count, "observation.images"),
        (break_image_bytes, r"observation.images\[front\]"),
        (break_image_size, r"observation.images\[front\]"),
    ],
)
def test_a_malformed_observation_is_refused_by_field(stream, spec, damage, field):
    observation = message(stream, spec).observation
    damage(observation)
    with pytest.raises(ValueError, match=f"^{field}: .*expected .* got "):
        observation_from_message(observation, spec)


def test_a_malformed_action_is_refused_by_field():
    for changes, field in (
        ({"delta": np.array([0, 0, np.nan, 0, 0], np.float32)}, "action.delta"),
        ({"gripper": 7}, "action.gripper"),
        ({"source": 9}, "action.source"),
    ):
        with pytest.raises(ValueError, match=f"^{field}: expected .* got "):
            action_from_message(EeAction(**changes))


def test_an_executed_delta_is_what_the_controller_makes_of_it():
    action = action_from_message(EeAction(delta=np.array([3, -2, 0.5, 0, 0], np.float32), gripper=2))
    assert action.delta.tolist() == [1.0, -1.0, 0.5, 0.0, 0.0]
    assert action.gripper is Gripper.OPEN


def test_weights_ready_for_the_wire_are_the_message_that_the_actor_reads():
    payload = bytes(range(256)) * 1001 + b"odd"
    wire = serialized_weights(payload, 7, 1 << 40, "sac", Time(sec=5, nanosec=6))
    message = deserialize_message(wire, PolicyWeights)
    assert len(wire) == len(serialize_message(message)), "nothing missing, nothing behind it"
    assert (message.version, message.critic_updates, message.algorithm) == (7, 1 << 40, "sac")
    assert message.header.stamp == Time(sec=5, nanosec=6)
    weights = weights_from_message(message)
    assert (weights.version, weights.checksum, weights.payload) == (7, sha256(payload), payload)
