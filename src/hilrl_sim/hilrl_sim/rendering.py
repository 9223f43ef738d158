"""Camera images of the scene."""

import os
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray


class CameraRenderer:
    """Square rgb views of a model's cameras.

    Shadows, reflections and multisampling are off (see `scene`): in software they cost more than the picture.
    All views in one buffer, read back at once, was tried and is no faster. Use it from the thread that made
    it: an OpenGL context belongs to one thread.
    """

    def __init__(self, model: mujoco.MjModel, cameras: Sequence[str], size: int) -> None:
        """`size`: width and height [pixel]."""
        # Mesa's software renderer only: at this image size its worker threads cost more than they save.
        os.environ.setdefault("LP_NUM_THREADS", "0")
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, size)
        model.vis.global_.offheight = max(model.vis.global_.offheight, size)
        self._cameras = tuple(cameras)
        self._renderer = mujoco.Renderer(model, size, size, max_geom=model.ngeom + 10)
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
            mujoco.mjtRndFlag.mjRND_HAZE,
            mujoco.mjtRndFlag.mjRND_SKYBOX,
        ):
            self._renderer.scene.flags[flag] = False

    def render(self, data: mujoco.MjData) -> dict[str, NDArray[np.uint8]]:
        """Camera name to image: top row first, shape (size, size, 3), dtype uint8; the caller owns it."""
        images = {}
        for name in self._cameras:
            self._renderer.update_scene(data, name)
            images[name] = self._renderer.render()
        return images

    def close(self) -> None:
        """Free the OpenGL context."""
        self._renderer.close()
