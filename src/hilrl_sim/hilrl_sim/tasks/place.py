"""Put a cube into an open bin."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from hilrl_sim.description import TABLE_Z
from hilrl_sim.objects import CUBE_HALF_M, CUBE_REST_Z, add_cube, make_collidable
from hilrl_sim.tasks.base import Task
from hilrl_sim.world import World

INNER_M = 0.07
WALL_M = 0.003
WALL_HEIGHT_M = 0.025
FLOOR_M = 0.002
CUBE_X, CUBE_Y = (0.16, 0.28), (-0.10, 0.10)
CUBE_YAW = (-0.78, 0.78)
# Narrower than the cube's: the TCP must get over every part of the bin at a height that clears its walls.
BIN_X, BIN_Y = (0.17, 0.26), (-0.10, 0.10)
APART_M = 0.105
"""Least distance of the centres: the bin's half diagonal, the cube's, and room for an open jaw between."""
RESTING_SPEED = 0.05
"""[m/s]"""


class Place(Task):
    """Done when the cube rests on the bin's floor and the jaws have let go."""

    name = "place"
    objects = ("cube", "bin")

    def add_to_scene(self, spec: mujoco.MjSpec) -> None:
        add_cube(spec)
        # A mocap body: it can be put anywhere, and nothing the arm does moves it.
        body = spec.worldbody.add_body(name="bin", mocap=True, pos=[0.22, 0.08, TABLE_Z])
        for name, position, half_size in _boxes():
            geom = body.add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=position,
                size=half_size,
                rgba=[0.15, 0.35, 0.75, 1],
            )
            make_collidable(geom)

    def spawn(self, world: World, rng: np.random.Generator) -> None:
        while True:
            cube = np.array([rng.uniform(*CUBE_X), rng.uniform(*CUBE_Y), CUBE_REST_Z])
            bin_ = np.array([rng.uniform(*BIN_X), rng.uniform(*BIN_Y), TABLE_Z])
            if np.linalg.norm(cube[:2] - bin_[:2]) >= APART_M:
                break
        world.place("cube", cube, rng.uniform(*CUBE_YAW))
        world.place("bin", bin_)

    def is_done(self, world: World) -> bool:
        offset = world.position("cube") - world.position("bin")
        inside = np.abs(offset[:2]).max() < INNER_M / 2
        # Half a cube above its rest height at most: lying on the floor at any angle, not on a wall.
        low = offset[2] < FLOOR_M + 1.5 * CUBE_HALF_M
        released = world.jaws_touching("cube") == 0
        return bool(inside and low and released and world.speed("cube") < RESTING_SPEED)


def _boxes() -> list[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Name, centre and half size of the floor and the four walls; origin at the table under the middle."""
    outer = INNER_M / 2 + WALL_M
    centre = INNER_M / 2 + WALL_M / 2
    half_height = WALL_HEIGHT_M / 2
    boxes = [("bin_floor", np.array([0, 0, FLOOR_M / 2]), np.array([outer, outer, FLOOR_M / 2]))]
    for name, x, y in (("front", 1, 0), ("back", -1, 0), ("left", 0, 1), ("right", 0, -1)):
        half_size = np.array([WALL_M / 2 if x else outer, WALL_M / 2 if y else outer, half_height])
        boxes.append((f"bin_{name}", np.array([x * centre, y * centre, half_height]), half_size))
    return boxes
