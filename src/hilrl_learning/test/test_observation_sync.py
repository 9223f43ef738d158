"""Ticks are assembled from parts that belong together, and from nothing stale."""

from array import array

import numpy as np
import pytest
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeState, RewardEstimate
from hilrl_learning.data import ObservationSpec
from hilrl_learning.observation_sync import LockstepSync, RealTimeSync, state_names
from hilrl_ros.images import to_message
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.stamps import from_ns

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (8, 8))
MS = 1_000_000


def image(stamp_ns: int, value: int = 0) -> Image:
    return to_message(np.full((8, 8, 3), value, np.uint8), from_ns(stamp_ns), "camera")


def joints(stamp_ns: int, positions=range(6), names=JOINT_NAMES) -> JointState:
    return JointState(
        header=Header(stamp=from_ns(stamp_ns)),
        name=list(names),
        position=array("d", positions),
        velocity=array("d", [10.0 + p for p in positions]),
    )


def ee(stamp_ns: int, holding: bool = False) -> EeState:
    message = EeState(header=Header(stamp=from_ns(stamp_ns)), gripper_target=26.0, holding=holding)
    for offset, point in ((20.0, message.pose.position), (23.0, message.target.position)):
        point.x, point.y, point.z = offset, offset + 1, offset + 2
    return message


def reward(stamp_ns: int, value: float = 0.0, success: bool = False) -> RewardEstimate:
    return RewardEstimate(header=Header(stamp=from_ns(stamp_ns)), reward=value, success=success)


def lockstep_parts(sync: LockstepSync, stamp_ns: int, value: int = 0):
    return [
        lambda: sync.add_image("front", image(stamp_ns, value)),
        lambda: sync.add_image("wrist", image(stamp_ns, value + 1)),
        lambda: sync.add_joint_state(joints(stamp_ns)),
        lambda: sync.add_ee_state(ee(stamp_ns)),
        lambda: sync.add_reward(reward(stamp_ns, 0.5, True)),
    ]


def test_state_vector_is_laid_out_as_named():
    sync = LockstepSync(SPEC)
    *_, tick = [add() for add in lockstep_parts(sync, 1)]
    values = dict(zip(state_names(), tick.observation.state.tolist(), strict=True))
    assert len(values) == 19
    assert values["joint_position.shoulder_pan"] == 0 and values["joint_position.gripper"] == 5
    assert values["joint_velocity.shoulder_pan"] == 10 and values["joint_velocity.gripper"] == 15
    assert [values[f"ee_position.{axis}"] for axis in "xyz"] == [20, 21, 22]
    assert [values[f"ee_target.{axis}"] for axis in "xyz"] == [23, 24, 25]
    assert values["gripper_target"] == 26


def test_joints_are_taken_by_name_in_whatever_order_they_come():
    sync = LockstepSync(SPEC)
    adds = lockstep_parts(sync, 1)
    adds[2] = lambda: sync.add_joint_state(joints(1, positions=range(5, -1, -1), names=JOINT_NAMES[::-1]))
    *_, tick = [add() for add in adds]
    assert tick.observation.state[:6].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("last", range(5))
def test_a_lockstep_tick_is_whole_with_its_last_part_in_any_order(last):
    sync = LockstepSync(SPEC)
    adds = lockstep_parts(sync, 7, value=3)
    adds.append(adds.pop(last))
    *before, tick = [add() for add in adds]
    assert before == [None] * 4
    assert tick.observation.stamp_ns == 7 and (tick.reward, tick.success) == (0.5, True)
    assert tick.observation.images[0].max() == 3 and tick.observation.images[1].min() == 4


def test_parts_of_different_stamps_never_make_one_tick():
    sync = LockstepSync(SPEC)
    first, second = lockstep_parts(sync, 1, 10), lockstep_parts(sync, 2, 20)
    assert [first[0](), second[1](), second[2](), second[3](), second[4]()] == [None] * 5
    tick = second[0]()
    assert tick.observation.stamp_ns == 2 and tick.observation.images.min() == 20


def test_a_repeated_stamp_gives_the_same_tick_again_once():
    sync = LockstepSync(SPEC)
    *_, tick = [add() for add in lockstep_parts(sync, 1)]
    assert [add() for add in lockstep_parts(sync, 1)] == [None, None, tick, None, None]


def test_an_observation_does_not_change_with_the_messages_it_came_from():
    sync = LockstepSync(SPEC)
    adds = lockstep_parts(sync, 1)
    mutable = image(1, 9)
    adds[0] = lambda: sync.add_image("front", mutable)
    *_, tick = [add() for add in adds]
    mutable.data[0] = 77
    assert tick.observation.images[0].max() == 9


def test_malformed_parts_are_refused_by_field():
    """Invariant 13."""
    sync = LockstepSync(SPEC)
    for add, field in (
        (lambda: sync.add_joint_state(joints(1, names=[*JOINT_NAMES[:5], "jaw"])), "joint_states.name"),
        (lambda: sync.add_joint_state(joints(1, positions=[np.nan] * 6)), "joint_states.position"),
        (lambda: sync.add_reward(reward(1, np.inf)), "reward.reward"),
        (lambda: sync.add_image("front", Image(encoding="16UC1")), r"image_crop\[front\]"),
    ):
        with pytest.raises(ValueError, match=f"^{field}: .*expected .* got "):
            add()


class RealTime:
    """A synchroniser with a clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sync = RealTimeSync(SPEC, max_age_s=0.2, clock=lambda: self.now_s)

    def fill(self, stamp_ns: int) -> None:
        for camera in SPEC.cameras:
            self.sync.add_image(camera, image(stamp_ns))
        self.sync.add_joint_state(joints(stamp_ns))
        self.sync.add_ee_state(ee(stamp_ns))


def test_in_real_time_the_newest_of_each_makes_the_tick():
    world = RealTime()
    world.fill(1000 * MS)
    world.sync.add_joint_state(joints(1020 * MS, positions=[7] * 6))
    tick, reason = world.sync.take()
    assert reason == "" and tick.observation.stamp_ns == 1020 * MS and tick.oldest_ns == 1000 * MS
    assert tick.observation.state[0] == 7


@pytest.mark.parametrize("missing", ["image_crop[wrist]", "joint_states", "ee_state"])
def test_a_stream_that_went_silent_makes_the_observation_stale_and_is_named(missing):
    """Invariant 10."""
    world = RealTime()
    world.fill(1000 * MS)
    world.now_s = 0.3
    if missing != "image_crop[wrist]":
        world.sync.add_image("wrist", image(1300 * MS))
    world.sync.add_image("front", image(1300 * MS))
    if missing != "joint_states":
        world.sync.add_joint_state(joints(1300 * MS))
    if missing != "ee_state":
        world.sync.add_ee_state(ee(1300 * MS))
    tick, reason = world.sync.take()
    assert tick is None and reason.startswith(f"{missing}: ") and "0.3" in reason


def test_a_camera_that_lags_behind_the_joints_is_stale_however_often_it_sends():
    """Invariant 10."""
    world = RealTime()
    world.fill(1000 * MS)
    world.sync.add_joint_state(joints(1300 * MS))
    world.sync.add_ee_state(ee(1300 * MS))
    world.sync.add_image("front", image(1300 * MS))
    world.sync.add_image("wrist", image(1000 * MS))
    tick, reason = world.sync.take()
    assert tick is None and reason.startswith("image_crop[wrist]: stamped 0.30 s away")


def test_a_success_between_two_ticks_is_not_missed():
    world = RealTime()
    world.fill(0)
    world.sync.add_reward(reward(0, 1.0, True))
    world.sync.add_reward(reward(1, 0.0, False))
    tick, _ = world.sync.take()
    assert (tick.reward, tick.success) == (1.0, True)
    world.sync.add_joint_state(joints(1))
    tick, _ = world.sync.take()
    assert (tick.reward, tick.success) == (0.0, False)


def test_without_a_new_joint_state_it_is_the_same_tick():
    world = RealTime()
    world.fill(0)
    first, _ = world.sync.take()
    world.sync.add_reward(reward(0, 1.0, True))
    assert world.sync.take()[0] is first


def test_frames_are_new_once_all_cameras_have_given_one_since_the_last_tick():
    world = RealTime()
    assert not world.sync.has_new_frames
    world.sync.add_image("front", image(1000 * MS))
    assert not world.sync.has_new_frames
    world.fill(1000 * MS)
    assert world.sync.has_new_frames
    world.sync.take()
    assert not world.sync.has_new_frames
    world.sync.add_image("wrist", image(1033 * MS))
    world.sync.add_joint_state(joints(1033 * MS))
    assert not world.sync.has_new_frames, "the other camera's is the same still"
    world.sync.add_image("front", image(1035 * MS))
    assert world.sync.has_new_frames
    world.sync.forget()
    assert not world.sync.has_new_frames


@pytest.mark.parametrize(
    ("wrist_s", "by"), [(0.004, "wrist"), (0.010, "wrist"), (0.023, "front"), (0.030, "front")]
)
def test_frames_are_taken_as_that_camera_gives_one_that_leaves_the_other_youngest(wrist_s, by):
    world = RealTime()
    events = [
        (k / 30 + late_s, name) for k in range(30) for name, late_s in (("front", 0.0), ("wrist", wrist_s))
    ]
    taken = []
    for at_s, camera in sorted(events):
        world.now_s = at_s
        world.sync.add_image(camera, image(round(at_s * 1e9)))
        world.sync.add_joint_state(joints(round(at_s * 1e9)))
        world.sync.add_ee_state(ee(round(at_s * 1e9)))
        if world.sync.has_new_frames:
            taken.append(camera)
            world.sync.take()
    assert len(taken) >= 28 and set(taken[2:]) == {by}
