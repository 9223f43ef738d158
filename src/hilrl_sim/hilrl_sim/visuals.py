"""How the scene looks: nominal, or varied from a seed."""

import colorsys
import math

import mujoco
import numpy as np
from numpy.typing import NDArray

CAMERA_SHIFT_M = 0.01
CAMERA_TURN_RAD = math.radians(3)
LAMP_SHIFT_M = 0.5
LAMP_INTENSITY = (0.4, 0.8)
AMBIENT_INTENSITY = (0.25, 0.45)

# Hue, saturation, value; each drawn from its range. Table and arm stay pale, cube and bin stay saturated and
# of their own hue, so that no draw makes one look like another.
COLOUR_RANGES = {
    "table": ((0.0, 1.0), (0.0, 0.25), (0.25, 0.85)),
    "arm": ((0.0, 1.0), (0.0, 0.25), (0.55, 1.0)),
    "cube": ((-0.04, 0.04), (0.75, 1.0), (0.6, 1.0)),
    "bin": ((0.52, 0.68), (0.6, 1.0), (0.45, 0.95)),
}
DARK_BELOW = 0.3
"""Arm parts darker than this are servos and keep their black."""


class Visuals:
    """Sets colours, lamp and camera poses of a model; always starts from how the model was compiled."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._rgba = model.geom_rgba.copy()
        self._camera_position = model.cam_pos.copy()
        self._camera_quaternion = model.cam_quat.copy()
        self._lamp_direction = model.light_dir.copy()
        self._lamp_diffuse = model.light_diffuse.copy()
        self._ambient = model.vis.headlight.ambient.copy()
        self._groups = self._geoms_by_colour_group()

    def reset(self) -> None:
        """Back to nominal."""
        self._model.geom_rgba[:] = self._rgba
        self._model.cam_pos[:] = self._camera_position
        self._model.cam_quat[:] = self._camera_quaternion
        self._model.light_dir[:] = self._lamp_direction
        self._model.light_diffuse[:] = self._lamp_diffuse
        self._model.vis.headlight.ambient[:] = self._ambient

    def randomise(self, rng: np.random.Generator) -> None:
        """A new look. All chance comes from `rng`."""
        self.reset()
        for group, ranges in COLOUR_RANGES.items():
            hue, saturation, value = (rng.uniform(*bounds) for bounds in ranges)
            colour = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
            self._model.geom_rgba[self._groups[group], :3] = colour
        self._model.vis.headlight.ambient[:] = rng.uniform(*AMBIENT_INTENSITY)
        for lamp in range(self._model.nlight):
            direction = self._lamp_direction[lamp] + [*rng.uniform(-LAMP_SHIFT_M, LAMP_SHIFT_M, 2), 0]
            self._model.light_dir[lamp] = direction / np.linalg.norm(direction)
            self._model.light_diffuse[lamp] = rng.uniform(*LAMP_INTENSITY)
        for camera in range(self._model.ncam):
            self._model.cam_pos[camera] += rng.uniform(-CAMERA_SHIFT_M, CAMERA_SHIFT_M, 3)
            turn = np.empty(4)
            mujoco.mju_axisAngle2Quat(turn, _unit(rng.normal(size=3)), rng.uniform(0, CAMERA_TURN_RAD))
            mujoco.mju_mulQuat(self._model.cam_quat[camera], self._camera_quaternion[camera], turn)

    def _geoms_by_colour_group(self) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {name: [] for name in COLOUR_RANGES}
        for index in range(self._model.ngeom):
            geom = self._model.geom(index)
            body = self._model.body(geom.bodyid[0]).name
            if body in groups:
                groups[body].append(index)
            elif geom.name in groups:
                groups[geom.name].append(index)
            elif self._rgba[index, :3].max() > DARK_BELOW:
                groups["arm"].append(index)
        return groups


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / np.linalg.norm(vector)
