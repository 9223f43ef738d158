"""What a task is: things on the table, where they start, and when it is done."""

from abc import ABC, abstractmethod
from typing import ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from hilrl_sim.world import World


class Task(ABC):
    """A task on the table in front of the arm.

    The state of a scene is what `spawn` made of a seed and what physics did since: a task keeps none itself.
    """

    name: ClassVar[str]
    objects: ClassVar[tuple[str, ...]]
    """Bodies whose pose is ground truth; the first is the one to grasp."""
    home_jitter_m: ClassVar[float] = 0.01
    """The TCP starts within this distance of home, per axis [m]."""

    @abstractmethod
    def add_to_scene(self, spec: mujoco.MjSpec) -> None:
        """Add the task's bodies; those that collide with `objects.make_collidable`."""

    @abstractmethod
    def spawn(self, world: World, rng: np.random.Generator) -> None:
        """Place the objects. All chance comes from `rng`."""

    @abstractmethod
    def is_done(self, world: World) -> bool:
        """Whether the world as it is now fulfils the task."""

    def home_offset(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Where the TCP starts relative to home, shape (3,) [m]."""
        return rng.uniform(-self.home_jitter_m, self.home_jitter_m, 3)
