"""A task's view of the physics: bodies by name, contacts in words."""

import math

import mujoco
import numpy as np
from numpy.typing import NDArray

JAWS = ("fixed_jaw", "moving_jaw")


class World:
    """Names on top of a MuJoCo model and its data. Poses are in base_link, which is the world frame."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.model = model
        self.data = data
        self._jaw_geoms = [model.geom(name).id for name in JAWS]

    def position(self, body: str) -> NDArray[np.float64]:
        """Shape (3,) [m]."""
        return self.data.body(body).xpos.copy()

    def pose(self, body: str) -> NDArray[np.float64]:
        """x, y, z [m], then the quaternion x, y, z, w; shape (7,)."""
        view = self.data.body(body)
        return np.concatenate([view.xpos, view.xquat[[1, 2, 3, 0]]])

    def speed(self, body: str) -> float:
        """Of the body's centre of mass [m/s]."""
        velocity = np.zeros(6)
        body_id = self.model.body(body).id
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, body_id, velocity, 0)
        return float(np.linalg.norm(velocity[3:]))

    def place(self, body: str, position: NDArray[np.float64], yaw: float = 0.0) -> None:
        """Put a free or a mocap body at `position` [m], turned by `yaw` [rad] and at rest.

        Derived quantities follow at the next forward pass.
        """
        quaternion = [math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]
        mocap = self.model.body(body).mocapid[0]
        if mocap >= 0:
            self.data.mocap_pos[mocap] = position
            self.data.mocap_quat[mocap] = quaternion
            return
        joint = self.data.joint(body)
        joint.qpos = [*position, *quaternion]
        joint.qvel = 0.0

    def jaws_touching(self, body: str) -> int:
        """How many of the two jaws are in contact with `body`."""
        pairs = self.data.contact.geom
        if not len(pairs):
            return 0
        body_id = self.model.body(body).id
        of_body = self.model.geom_bodyid[pairs] == body_id
        return sum(bool((of_body[:, ::-1] & (pairs == jaw)).any()) for jaw in self._jaw_geoms)

    def is_held(self, body: str) -> bool:
        """Between the jaws: both touch it."""
        return self.jaws_touching(body) == len(JAWS)
