"""Things that a task can put on the table."""

import mujoco

from hilrl_sim.description import TABLE_Z

FRICTION = (1.5, 0.005, 0.0001)
"""Sliding, torsional, rolling: jaws, table and objects alike."""
CUBE_HALF_M = 0.0125
CUBE_MASS_KG = 0.020
CUBE_REST_Z = TABLE_Z + CUBE_HALF_M
"""Height of the cube's centre on the table [m]."""


def make_collidable(geom: mujoco.MjsGeom) -> None:
    """Give a geom the contact settings with which grasps hold; other geoms only get drawn."""
    geom.contype = geom.conaffinity = 1
    geom.condim = 6
    geom.friction = FRICTION


def add_cube(spec: mujoco.MjSpec, name: str = "cube") -> None:
    """A free cube, body and geom called `name`."""
    body = spec.worldbody.add_body(name=name, pos=[0.2, 0, CUBE_REST_Z])
    body.add_freejoint(name=name)
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[CUBE_HALF_M] * 3,
        mass=CUBE_MASS_KG,
        rgba=[0.80, 0.12, 0.10, 1],
    )
    make_collidable(geom)
