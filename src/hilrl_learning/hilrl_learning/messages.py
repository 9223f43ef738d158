"""The one conversion between what the learning code works on and what crosses the network.

Both directions are cheap (a step of two 128x128 frames converts in well under a millisecond) and the
way in is checked: a malformed message raises one ValueError that names the field, what came and what
was expected. A field that passes can be trusted by everything behind it.
"""

import re
import struct
from array import array

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeAction, PolicyWeights
from hilrl_interfaces.msg import Observation as ObservationMessage
from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.data import (
    DELTA_AXES,
    Action,
    Gripper,
    Observation,
    ObservationSpec,
    Source,
    Step,
    StepLabel,
)
from hilrl_learning.policy_slot import Weights
from hilrl_learning.weights import MAX_BYTES, sha256
from hilrl_ros.images import to_array, to_message
from hilrl_ros.stamps import from_ns, to_ns

_LENGTH = struct.Struct("<I")
_ACTOR_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def check_actor_id(actor_id: str) -> None:
    """It names folders, and takes room in every receipt. Raises ValueError where it is not fit for that."""
    if not _ACTOR_ID.fullmatch(actor_id):
        raise ValueError(
            f"actor_id: expected 1 to 64 letters, digits, '_', '-' and '.', not beginning with '-' or '.', "
            f"got {actor_id[:80]!r}"
        )


def camera_frame(camera: str) -> str:
    """Frame of a camera's images; in a message it says which camera an image is of."""
    return f"{camera}_optical_frame"


def finite_vector(field: str, values: object, length: int) -> NDArray[np.float32]:
    """`values` as float32 of shape (length,). Raises ValueError naming `field` for any other size or NaN."""
    vector = np.asarray(values, np.float32)
    if vector.shape != (length,):
        raise ValueError(f"{field}: expected {length} values, got shape {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{field}: expected finite numbers, got {vector.tolist()}")
    return vector


def image_array(field: str, message: Image, image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """The frame as rgb, shape (*image_size, 3), uint8. Raises ValueError naming `field`."""
    if (message.height, message.width) != tuple(image_size):  # first: converting it may take memory
        raise ValueError(
            f"{field}: expected height x width {image_size[0]}x{image_size[1]}, "
            f"got {message.height}x{message.width}"
        )
    try:
        return to_array(message)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def observation_to_message(observation: Observation, spec: ObservationSpec) -> ObservationMessage:
    """Raises ValueError when the number of frames is not that of the cameras in `spec`."""
    stamp = from_ns(observation.stamp_ns)
    return ObservationMessage(
        stamp=stamp,
        state=array("f", observation.state.tobytes()),
        images=[
            to_message(frame, stamp, camera_frame(camera))
            for frame, camera in zip(observation.images, spec.cameras, strict=True)
        ],
    )


def observation_from_message(
    message: ObservationMessage, spec: ObservationSpec, field: str = "observation"
) -> Observation:
    """Raises ValueError, naming the field below `field`, when the message does not fit `spec`."""
    state = finite_vector(f"{field}.state", message.state, len(spec.state_names))
    frames = [image.header.frame_id for image in message.images]
    expected = [camera_frame(camera) for camera in spec.cameras]
    if frames != expected:
        raise ValueError(f"{field}.images: expected frame_ids {expected}, got {frames}")
    images = np.empty((len(expected), *spec.image_size, 3), np.uint8)
    for target, camera, image in zip(images, spec.cameras, message.images, strict=True):
        target[...] = image_array(f"{field}.images[{camera}]", image, spec.image_size)
    return Observation(to_ns(message.stamp), state, images)


def action_to_message(action: Action, stamp_ns: int, frame_id: str) -> EeAction:
    """`stamp_ns` is that of the observation the action answers; `frame_id` the base frame."""
    return EeAction(
        header=Header(stamp=from_ns(stamp_ns), frame_id=frame_id),
        delta=np.asarray(action.delta, np.float32),
        gripper=int(action.gripper),
        source=int(action.source),
        device=action.device,
        engaged=True,
        policy_version=action.policy_version,
    )


def action_from_message(message: EeAction, field: str = "action") -> Action:
    """The action with its delta clipped to [-1, 1], as ee_controller executes it.

    Raises ValueError, naming the field below `field`, for numbers that are not finite or not in the
    message's tables.
    """
    delta = finite_vector(f"{field}.delta", message.delta, len(DELTA_AXES))
    if message.gripper not in tuple(Gripper):
        raise ValueError(f"{field}.gripper: expected one of {[*map(int, Gripper)]}, got {message.gripper}")
    if message.source not in tuple(Source):
        raise ValueError(f"{field}.source: expected one of {[*map(int, Source)]}, got {message.source}")
    return Action(
        np.clip(delta, -1.0, 1.0),
        Gripper(message.gripper),
        Source(message.source),
        message.device,
        message.policy_version,
    )


def step_to_message(step: Step, spec: ObservationSpec, frame_id: str) -> StepMessage:
    """Inverse of `step_from_message`."""
    final = step.final_observation
    return StepMessage(
        actor_id=step.actor_id,
        sequence=step.sequence,
        episode=step.episode,
        index=step.index,
        observation=observation_to_message(step.observation, spec),
        action=action_to_message(step.action, step.observation.stamp_ns, frame_id),
        reward=float(step.reward),
        terminated=step.terminated,
        truncated=step.truncated,
        label=int(step.label),
        trainable=step.trainable,
        final_observation=[] if final is None else [observation_to_message(final, spec)],
    )


def step_from_message(message: StepMessage, spec: ObservationSpec) -> Step:
    """Raises ValueError naming the field when the step does not fit `spec` or contradicts itself."""
    check_actor_id(message.actor_id)
    for name in ("sequence", "episode"):
        if getattr(message, name) < 1:
            raise ValueError(f"{name}: expected at least 1, got 0")
    if not np.isfinite(message.reward):
        raise ValueError(f"reward: expected a finite number, got {message.reward}")
    if message.terminated and message.truncated:
        raise ValueError("terminated, truncated: expected at most one to be true, got both")
    ended = message.terminated or message.truncated
    _check_label(message)
    if len(message.final_observation) != int(ended):
        raise ValueError(
            f"final_observation: expected {int(ended)} (terminated={message.terminated}, "
            f"truncated={message.truncated}), got {len(message.final_observation)}"
        )
    final = None
    if ended:
        final = observation_from_message(message.final_observation[0], spec, "final_observation")
    return Step(
        actor_id=message.actor_id,
        sequence=message.sequence,
        episode=message.episode,
        index=message.index,
        observation=observation_from_message(message.observation, spec),
        action=action_from_message(message.action),
        reward=message.reward,
        terminated=message.terminated,
        truncated=message.truncated,
        label=StepLabel(message.label),
        trainable=message.trainable,
        final_observation=final,
    )


def _check_label(message: StepMessage) -> None:
    """Raises ValueError where the label is none, or says another end than the flags."""
    if message.label not in tuple(StepLabel):
        raise ValueError(f"label: expected one of {[*map(int, StepLabel)]}, got {message.label}")
    label = StepLabel(message.label)
    if label in (StepLabel.SUCCESS, StepLabel.FAILURE) and not message.terminated:
        raise ValueError(f"label: expected terminated with {label.name}, got terminated=False")
    if label is StepLabel.DISCARD and not message.truncated:
        raise ValueError("label: expected truncated with DISCARD, got truncated=False")


def serialized_weights(
    payload: bytes, version: int, critic_updates: int, algorithm: str, stamp: Time
) -> bytes:
    """A `PolicyWeights` with its checksum, ready for a publisher.

    In CDR the last field is its length and its bytes: put there directly, megabytes are not copied thrice.
    """
    rest = serialize_message(
        PolicyWeights(
            header=Header(stamp=stamp),
            version=version,
            critic_updates=critic_updates,
            algorithm=algorithm,
            sha256=np.frombuffer(sha256(payload), np.uint8),
        )
    )
    return b"".join((rest[: -_LENGTH.size], _LENGTH.pack(len(payload)), payload))


def weights_from_message(message: PolicyWeights) -> Weights:
    """As they arrived; `PolicySlot` checks them. Raises ValueError where they are too large to be copied."""
    if len(message.data) > MAX_BYTES:
        raise ValueError(f"data: expected at most {MAX_BYTES} bytes, got {len(message.data)}")
    return Weights(message.version, message.sha256.tobytes(), message.data.tobytes())
