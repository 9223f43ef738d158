"""When the tasks are done, and where their things start."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from hilrl_sim import tasks
from hilrl_sim.inverse_kinematics import solve
from hilrl_sim.objects import CUBE_REST_Z
from hilrl_sim.simulation import Simulation
from hilrl_sim.tasks import lift as lift_task
from hilrl_sim.tasks import place as place_task

SEEDS = range(200)


def put_cube(simulation: Simulation, position: np.ndarray) -> bool:
    """Whether the task is done with the cube at rest at `position`."""
    simulation.world.place("cube", position)
    mujoco.mj_forward(simulation.model, simulation.data)
    return simulation.task.is_done(simulation.world)


def spawns(simulation: Simulation) -> list[dict[str, np.ndarray]]:
    scenes = []
    for seed in SEEDS:
        simulation.task.spawn(simulation.world, np.random.default_rng(seed))
        mujoco.mj_kinematics(simulation.model, simulation.data)
        scenes.append({name: simulation.world.position(name) for name in simulation.task.objects})
    return scenes


def test_every_task_file_is_found() -> None:
    assert sorted(tasks.TASKS) == ["lift", "place"]


def test_a_new_file_is_a_new_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hover.py").write_text(
        "from hilrl_sim.tasks.lift import Lift\n\n\nclass Hover(Lift):\n    name = 'hover'\n"
    )
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "hilrl_sim.tasks.hover", raising=False)
    assert sorted(tasks._discover()) == ["hover", "lift", "place"]


def test_an_unknown_task_is_one_clear_error() -> None:
    with pytest.raises(ValueError, match=r"task: expected one of \['lift', 'place'\], got 'fold'"):
        tasks.create("fold")


def test_lift_spawns_all_over_its_region_and_nowhere_else(lift: Simulation) -> None:
    cubes = np.array([scene["cube"] for scene in spawns(lift)])
    for axis, (low, high) in enumerate((lift_task.SPAWN_X, lift_task.SPAWN_Y)):
        assert low <= cubes[:, axis].min() < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < cubes[:, axis].max() <= high
    assert (cubes[:, 2] == CUBE_REST_Z).all()


def test_place_keeps_cube_and_bin_apart(place: Simulation) -> None:
    for scene in spawns(place):
        distance = np.linalg.norm(scene["cube"][:2] - scene["bin"][:2])
        assert distance >= place_task.APART_M


def test_every_part_of_the_bin_is_within_reach_above_its_walls(place: Simulation) -> None:
    place.reset(0, render=False)
    home = np.array([place.data.joint(i).qpos[0] for i in range(6)])
    half = place_task.INNER_M / 2
    for x in (place_task.BIN_X[0] - half, place_task.BIN_X[1] + half):
        for y in (place_task.BIN_Y[0] - half, place_task.BIN_Y[1] + half):
            goal = np.array([x, y, 0.06])
            data = mujoco.MjData(place.model)
            data.qpos[:6] = solve(place.model, home, goal)
            mujoco.mj_kinematics(place.model, data)
            np.testing.assert_allclose(data.body("gripper_frame_link").xpos, goal, atol=1e-4)


def test_a_cube_high_up_but_not_held_is_not_lifted(lift: Simulation) -> None:
    lift.reset(0, render=False)
    assert not put_cube(lift, np.array([0.2, 0.1, CUBE_REST_Z + 0.10]))


def test_a_cube_held_on_the_table_is_not_lifted(
    make_simulation: Callable[..., Simulation], hand: Callable[..., Any]
) -> None:
    arm = hand(make_simulation("lift"), seed=1)
    frame = arm.grasp()
    assert frame.ground_truth.grasped
    assert not frame.success
    assert frame.reward == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_a_scripted_grasp_lifts_the_cube(lift: Simulation, seed: int, hand: Callable[..., Any]) -> None:
    arm = hand(lift, seed)
    arm.grasp()
    frame = arm.go(arm.target + [0, 0, 0.08], extra_steps=5)
    assert frame.success and frame.reward == 1.0
    assert frame.ground_truth.grasped
    assert frame.ground_truth.poses[0, 2] > CUBE_REST_Z + lift_task.LIFT_M


def test_success_lasts_until_the_next_reset(lift: Simulation, hand: Callable[..., Any]) -> None:
    arm = hand(lift, seed=0)
    arm.grasp()
    arm.go(arm.target + [0, 0, 0.08], extra_steps=5)
    dropped = arm.jaw(0.9)
    assert dropped.success and not dropped.ground_truth.grasped
    assert not lift.reset(0, render=False).success


@pytest.mark.parametrize("seed", range(4))
def test_a_scripted_transport_places_the_cube(place: Simulation, seed: int, hand: Callable[..., Any]) -> None:
    arm = hand(place, seed)
    arm.grasp()
    arm.go(arm.target + [0, 0, 0.05])
    bin_position = arm.frame.ground_truth.poses[1, :3]
    away = bin_position[:2] - [0.0388, 0.0]
    over = np.append(bin_position[:2] - 0.012 * away / np.linalg.norm(away), 0.065)
    above = arm.go(over, extra_steps=2)
    assert not above.success
    arm.go(over - [0, 0, 0.02], extra_steps=2)
    arm.jaw(0.35)
    frame = arm.go(arm.target + [0, 0, 0.04], extra_steps=2)
    assert frame.success and frame.reward == 1.0


def test_a_cube_is_placed_only_low_inside_the_walls(place: Simulation) -> None:
    place.reset(3, render=False)
    bin_position = place.world.position("bin")
    resting = bin_position + [0, 0, place_task.FLOOR_M + 0.0125]
    assert put_cube(place, resting)
    assert put_cube(place, resting + [0.02, -0.02, 0])
    assert not put_cube(place, resting + [0, 0, 0.03]), "in the air over the bin"
    assert not put_cube(place, resting + [place_task.INNER_M / 2 + 0.003, 0, 0.02]), "on a wall"
    assert not put_cube(place, resting + [0.06, 0, 0]), "beside the bin"


def test_a_cube_in_the_bin_is_not_placed_while_it_moves_or_is_touched(place: Simulation) -> None:
    place.reset(3, render=False)
    resting = place.world.position("bin") + [0, 0, place_task.FLOOR_M + 0.0125]
    assert put_cube(place, resting)
    place.data.joint("cube").qvel[:3] = [0.2, 0, 0]
    mujoco.mj_forward(place.model, place.data)
    assert not place.task.is_done(place.world)
    # The bin and the cube in it are put under a jaw.
    jaw = place.data.geom("fixed_jaw").xpos.copy()
    place.world.place("bin", jaw - [0, 0, place_task.FLOOR_M + 0.0125])
    assert not put_cube(place, jaw)
    assert place.world.jaws_touching("cube") == 1
