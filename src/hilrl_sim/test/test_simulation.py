"""The simulation as a whole: repeatable, bounded, and what it shows and does not show."""

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest

from hilrl_ros.joints import JOINT_NAMES
from hilrl_sim import servo
from hilrl_sim.simulation import Frame, Simulation

PERIOD_NS = 100_000_000


def goals(seed: int, count: int = 8) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    home = np.array([0.0, -0.4, 0.2, 1.5, 0.0, 0.5])
    return [home + rng.uniform(-0.3, 0.3, 6) for _ in range(count)]


def rollout(simulation: Simulation, seed: int) -> list[Frame]:
    return [simulation.reset(seed), *(simulation.step(goal) for goal in goals(seed))]


def assert_same(first: Frame, second: Frame) -> None:
    """Bit for bit, but for the time."""
    for name in ("joint_position", "joint_velocity", "joint_effort"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.ground_truth.poses, second.ground_truth.poses)
    assert first.images.keys() == second.images.keys() == {"front", "wrist"}
    for name, image in first.images.items():
        np.testing.assert_array_equal(image, second.images[name])
    assert (first.reward, first.success) == (second.reward, second.success)


@pytest.mark.parametrize("task", ["lift", "place"])
@pytest.mark.parametrize("varied", [False, True])
def test_the_same_seed_and_goals_give_identical_frames(
    make_simulation: Callable[..., Simulation], task: str, varied: bool
) -> None:
    one = make_simulation(task, randomise_visuals=varied)
    other = make_simulation(task, randomise_visuals=varied)
    rollout(other, seed=4)  # a past must not matter
    for first, second in zip(rollout(one, seed=3), rollout(other, seed=3), strict=True):
        assert_same(first, second)


def test_another_seed_is_another_scene(lift: Simulation) -> None:
    first, second = lift.reset(1), lift.reset(2)
    assert not np.array_equal(first.ground_truth.poses, second.ground_truth.poses)
    assert not np.array_equal(first.joint_position, second.joint_position)


def test_looks_vary_without_moving_anything(make_simulation: Callable[..., Simulation]) -> None:
    plain, varied = make_simulation("place"), make_simulation("place", randomise_visuals=True)
    first, second = plain.reset(5), varied.reset(5)
    np.testing.assert_array_equal(first.ground_truth.poses, second.ground_truth.poses)
    np.testing.assert_array_equal(first.joint_position, second.joint_position)
    for name in first.images:
        assert not np.array_equal(first.images[name], second.images[name])


def test_a_varied_cube_keeps_its_colour_apart_from_table_arm_and_bin(
    make_simulation: Callable[..., Simulation],
) -> None:
    simulation = make_simulation("place", randomise_visuals=True)
    for seed in range(50):
        simulation.reset(seed, render=False)
        model = simulation.model
        cube = model.geom("cube").rgba[:3]
        others = [model.geom(name).rgba[:3] for name in ("table", "bin_floor", "fixed_jaw_visual")]
        assert cube[0] > 2.0 * cube[1:].max(), "red"
        assert all(other[0] < 1.4 * other[1:].max() for other in others), "not red"


def test_visuals_go_back_to_nominal_when_switched_off(make_simulation: Callable[..., Simulation]) -> None:
    plain, switched = make_simulation("lift"), make_simulation("lift", randomise_visuals=True)
    switched.reset(8)
    switched.randomise_visuals = False
    assert_same(plain.reset(9), switched.reset(9))


def test_home_is_above_the_workspace_with_open_jaws_within_a_centimetre(lift: Simulation) -> None:
    tcp = np.array(
        [(lift.reset(seed, render=False), lift.world.position("gripper_frame_link"))[1] for seed in range(30)]
    )
    offset = np.abs(tcp - [0.20, 0.0, 0.12]).max(axis=0)
    assert (offset < 0.0105).all() and (offset > 0.005).all()
    assert lift.observe(render=False).joint_position[5] == pytest.approx(0.9, abs=servo.TICK_RAD)


def test_time_starts_at_one_second_and_a_reset_takes_one_millisecond(
    make_simulation: Callable[..., Simulation],
) -> None:
    simulation = make_simulation("lift")
    start_ns = 1_000_000_000
    assert simulation.reset(0, render=False).time_ns == start_ns
    assert simulation.step(goals(0)[0], render=False).time_ns == start_ns + PERIOD_NS
    assert simulation.reset(1, render=False).time_ns == start_ns + PERIOD_NS + 1_000_000


def test_a_rate_that_does_not_divide_the_timestep_still_gives_exact_periods(
    make_simulation: Callable[..., Simulation],
) -> None:
    simulation = make_simulation("lift", control_hz=15.0)
    start = simulation.reset(0, render=False).time_ns
    end = simulation.step(goals(0)[0], render=False).time_ns
    assert abs((end - start) - 1e9 / 15) <= simulation.substeps
    assert simulation.model.opt.timestep <= 0.0041


def test_measured_positions_are_whole_ticks(lift: Simulation) -> None:
    lift.reset(0, render=False)
    ticks = lift.step(goals(0)[0], render=False).joint_position / servo.TICK_RAD
    np.testing.assert_allclose(ticks, np.round(ticks), atol=1e-9)


@pytest.mark.parametrize("speed", [0.3, 1.0])
def test_the_speed_limit_bounds_the_joints(lift: Simulation, speed: float) -> None:
    joints = lift.reset(0, render=False).joint_position
    goal = joints + np.array([1.0, 0.3, -0.8, -1.0, 1.0, -0.8])
    lift.servos.command(goal, np.full(6, speed))
    fastest = np.zeros(6)
    for _ in range(150):
        lift.advance(1)
        velocity = [lift.data.joint(name).qvel[0] for name in JOINT_NAMES]
        fastest = np.maximum(fastest, np.abs(velocity))
    assert (fastest < 1.05 * speed).all()
    assert fastest[0] > 0.9 * speed, "the limit is used"


def test_lag_delays_the_motion(make_simulation: Callable[..., Simulation]) -> None:
    late = make_simulation("lift", servo_lag_s=0.1)
    start = late.reset(0, render=False).joint_position
    goal = start + [0.5, 0, 0, 0, 0, 0]
    first = late.step(goal, render=False)
    second = late.step(goal, render=False)
    assert abs(first.joint_position[0] - start[0]) < 0.01
    assert second.joint_position[0] - start[0] > 0.1


def test_a_goal_still_on_its_way_does_not_reach_the_next_scene(
    make_simulation: Callable[..., Simulation],
) -> None:
    late = make_simulation("lift", servo_lag_s=0.15)
    start = late.reset(0, render=False).joint_position
    for _ in range(2):
        late.step(start + [0.5, 0, 0, 0, 0, 0], render=False)
    late.reset(0, render=False)
    late.advance(3 * late.substeps)
    assert abs(late.observe(render=False).joint_position[0] - start[0]) < 0.01


def test_torque_saturates_at_the_limit_and_never_exceeds_it(
    lift: Simulation, hand: Callable[..., Any]
) -> None:
    arm = hand(lift, seed=0)
    arm.grasp()
    for goal in ([0, 1.2, 0.5, 1.6, 0, -0.1], [0, 1.7, 1.6, 1.6, 0, -0.17]):  # into the table
        lift.servos.command(np.array(goal, float))
        for _ in range(100):
            lift.advance(1)
            torque = [abs(lift.data.joint(name).qfrc_actuator[0]) for name in JOINT_NAMES]
            assert (np.array(torque) <= servo.TORQUE_LIMIT + 1e-9).all()
    effort = np.abs(lift.observe(render=False).joint_effort)
    assert effort[1] == pytest.approx(servo.TORQUE_LIMIT[1], rel=0.01)


def test_a_bad_goal_is_refused_and_nothing_moves(lift: Simulation) -> None:
    before = lift.reset(0, render=False)
    with pytest.raises(ValueError, match="joint goal: expected finite numbers"):
        lift.step(np.full(6, np.nan))
    after = lift.observe(render=False)
    assert after.time_ns == before.time_ns
    np.testing.assert_array_equal(after.joint_position, before.joint_position)


def test_a_negative_seed_is_one_clear_error(lift: Simulation) -> None:
    with pytest.raises(ValueError, match="seed: expected an integer >= 0, got -1"):
        lift.reset(-1)


def test_images_are_upright_uint8_and_belong_to_the_caller(lift: Simulation) -> None:
    first = lift.reset(0).images
    copies = {name: image.copy() for name, image in first.items()}
    lift.step(goals(1)[0])
    for name, image in first.items():
        assert image.dtype == np.uint8 and image.shape == (32, 32, 3)
        np.testing.assert_array_equal(image, copies[name])
    # The arm stands at the top left of the front view; the table lies below right.
    bright = first["front"].max(axis=2).astype(float)
    assert bright[:16].std() > 2 * bright[20:, 20:].std()


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_a_camera_sees_the_cube(lift: Simulation, camera: str) -> None:
    lift.reset(0, render=False)
    lift.world.place("cube", np.array([0.24, 0.0, 0.0101]))
    mujoco.mj_forward(lift.model, lift.data)
    image = lift.render()[camera].astype(int)
    assert ((image[..., 0] - image[..., 1:].max(axis=2)) > 40).sum() >= 3


def test_the_front_camera_sees_a_cube_anywhere_in_the_spawn_area(
    make_simulation: Callable[..., Simulation],
) -> None:
    simulation = make_simulation("lift", image_size=128)
    for seed in range(20):
        image = simulation.reset(seed).images["front"].astype(int)
        assert ((image[..., 0] - image[..., 1:].max(axis=2)) > 40).sum() > 25, f"seed {seed}"


def test_ground_truth_is_in_neither_images_nor_joint_states(lift: Simulation) -> None:
    """Out of every camera's sight and of reach, the cube leaves no trace in what a policy observes."""
    seen = []
    for place in ([-1.0, 0.5, 0.0101], [-1.2, -0.7, 0.0101]):
        lift.reset(0, render=False)
        lift.world.place("cube", np.array(place))
        mujoco.mj_forward(lift.model, lift.data)
        seen.append(lift.observe())
    assert not np.array_equal(seen[0].ground_truth.poses, seen[1].ground_truth.poses)
    np.testing.assert_array_equal(seen[0].joint_position, seen[1].joint_position)
    np.testing.assert_array_equal(seen[0].joint_effort, seen[1].joint_effort)
    for name, image in seen[0].images.items():
        np.testing.assert_array_equal(image, seen[1].images[name])
