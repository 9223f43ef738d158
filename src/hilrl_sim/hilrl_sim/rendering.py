"""Camera images of the scene, all in one off-screen buffer."""

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray


class CameraRenderer:
    """Renders square views side by side and reads them back at once.

    `mujoco.Renderer` does one view at a time, each with its own scene update and read-back. Shadows, reflections
    and multisampling are off: in software they cost more than the picture. Use it from the thread that made it:
    an OpenGL context belongs to one thread.
    """

    def __init__(self, model: mujoco.MjModel, cameras: Sequence[str], size: int) -> None:
        """`size`: width and height of every view [pixel]."""
        width = size * len(cameras)
        self._model = model
        self._size = size
        self._gl = mujoco.GLContext(width, size)
        self._gl.make_current()
        model.vis.global_.offwidth, model.vis.global_.offheight = width, size
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._scene = mujoco.MjvScene(model, maxgeom=model.ngeom + 10)
        for flag in (
            mujoco.mjtRndFlag.mjRND_SHADOW,
            mujoco.mjtRndFlag.mjRND_REFLECTION,
            mujoco.mjtRndFlag.mjRND_HAZE,
            mujoco.mjtRndFlag.mjRND_SKYBOX,
        ):
            self._scene.flags[flag] = False
        self._option = mujoco.MjvOption()
        self._perturbation = mujoco.MjvPerturb()
        self._views = []
        for index, name in enumerate(cameras):
            view = mujoco.MjvCamera()
            view.type = mujoco.mjtCamera.mjCAMERA_FIXED
            view.fixedcamid = model.camera(name).id
            self._views.append((name, view, mujoco.MjrRect(index * size, 0, size, size)))
        self._everything = mujoco.MjrRect(0, 0, width, size)
        self._pixels = np.empty((size, width, 3), np.uint8)

    def render(self, data: mujoco.MjData) -> dict[str, NDArray[np.uint8]]:
        """Name to rgb image, shape (size, size, 3), dtype uint8; the caller owns them."""
        self._gl.make_current()
        for index, (_, view, rectangle) in enumerate(self._views):
            if index == 0:
                mujoco.mjv_updateScene(
                    self._model,
                    data,
                    self._option,
                    self._perturbation,
                    view,
                    mujoco.mjtCatBit.mjCAT_ALL,
                    self._scene,
                )
            else:
                mujoco.mjv_updateCamera(self._model, data, view, self._scene)
            mujoco.mjr_render(rectangle, self._scene, self._context)
        mujoco.mjr_readPixels(self._pixels, None, self._everything, self._context)
        upright = self._pixels[::-1]  # OpenGL's first row is the lowest
        return {
            name: np.ascontiguousarray(upright[:, index * self._size : (index + 1) * self._size])
            for index, (name, _, _) in enumerate(self._views)
        }

    def close(self) -> None:
        """Free the OpenGL context."""
        self._context.free()
        self._gl.free()
