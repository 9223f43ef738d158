"""The expert on the simulated arm, through the real controller."""

import numpy as np
import pytest

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.expert import Arm, Scene, intend

DOWN = np.array([1.0, 0.0, 0.0])
CUBE = np.array([0.22, 0.0, 0.0101])


def arm(x, y, z, gripper=0.9, goal=0.9) -> Arm:
    return Arm(np.array([x, y, z]), np.array([x, y, z]), DOWN, gripper, goal)


@pytest.mark.parametrize(("task", "mean_at_most"), [("lift", 22), ("place", 35)])
def test_a_noisy_demonstration_nearly_always_succeeds(closed_loop, task, mean_at_most):
    loop = closed_loop(task)
    lengths = []
    for seed in range(25):
        loop.reset(seed)
        lengths.append(loop.show(seed, noise=0.15))
    done = [length for length in lengths if length]
    assert len(done) >= 24 and 10 < np.mean(done) < mean_at_most


@pytest.mark.parametrize("task", ["lift", "place"])
def test_it_takes_over_in_the_middle_of_anything(closed_loop, task):
    loop = closed_loop(task)
    done = 0
    for seed in range(10):
        loop.reset(seed)
        loop.wander(np.random.default_rng(seed), 25)
        done += bool(loop.show(seed, noise=0.15))
    assert done >= 9


def test_it_never_asks_for_pitch_or_roll(closed_loop):
    loop = closed_loop("lift")
    loop.reset(3)
    state = loop.state
    assert loop.show(3, noise=0.15)
    assert loop.state.target.pitch == state.target.pitch and loop.state.target.roll == state.target.roll


def test_jaws_closed_on_nothing_are_opened_first():
    _, gripper = intend("lift", arm(0.21, 0, 0.013, gripper=-0.09, goal=-0.1), Scene(CUBE, 0.0, None, False))
    assert gripper == Gripper.OPEN


def test_a_cube_in_the_jaws_is_held_and_lifted():
    goal, gripper = intend("lift", arm(0.21, 0, 0.013, gripper=0.1, goal=-0.1), Scene(CUBE, 0.0, None, True))
    assert gripper == Gripper.CLOSE and goal[2] > 0.05


def test_it_aims_short_of_the_cube_against_the_opening_of_the_jaws():
    goal, gripper = intend("lift", arm(0.19, 0, 0.08), Scene(CUBE, 0.0, None, False))
    assert gripper == Gripper.OPEN
    assert 0.015 < CUBE[0] - goal[0] < 0.030 and abs(goal[1]) < 1e-9


def test_a_cube_over_the_bin_is_let_go_and_left():
    bin_ = np.array([0.22, 0.0, -0.0024])
    over = Scene(np.array([0.22, 0, 0.042]), 0.0, bin_, True)
    _, gripper = intend("place", arm(0.21, 0, 0.045, gripper=0.1, goal=-0.1), over)
    assert gripper == Gripper.OPEN
    inside = Scene(np.array([0.22, 0, 0.012]), 0.0, bin_, False)
    goal, gripper = intend("place", arm(0.21, 0, 0.045), inside)
    assert gripper == Gripper.OPEN and goal[2] > 0.1
