"""Lift a cube off the table."""

import mujoco
import numpy as np

from hilrl_sim.objects import CUBE_REST_Z, add_cube
from hilrl_sim.tasks.base import Task
from hilrl_sim.world import World

SPAWN_X = (0.16, 0.28)
SPAWN_Y = (-0.10, 0.10)
SPAWN_YAW = (-0.78, 0.78)
LIFT_M = 0.05


class Lift(Task):
    """Done when the jaws hold the cube 5 cm above where it rested."""

    name = "lift"
    objects = ("cube",)

    def add_to_scene(self, spec: mujoco.MjSpec) -> None:
        add_cube(spec)

    def spawn(self, world: World, rng: np.random.Generator) -> None:
        x, y, yaw = (rng.uniform(*bounds) for bounds in (SPAWN_X, SPAWN_Y, SPAWN_YAW))
        world.place("cube", np.array([x, y, CUBE_REST_Z]), yaw)

    def is_done(self, world: World) -> bool:
        return world.is_held("cube") and world.position("cube")[2] >= CUBE_REST_Z + LIFT_M
