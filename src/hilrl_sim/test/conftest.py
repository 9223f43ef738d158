"""What the tests share: the description as the repository has it, one compiled scene per task, a grasp."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hilrl_ros.testing import namespace, probe, start_node
from hilrl_sim.inverse_kinematics import solve
from hilrl_sim.simulation import Frame, Simulation

__all__ = ["namespace", "probe", "start_node"]

XACRO = Path(__file__).parents[3] / "urdf" / "so101.urdf.xacro"
OPEN, CLOSED = 0.9, -0.1


@pytest.fixture(scope="session")
def xacro_path() -> Path:
    return XACRO


@pytest.fixture(scope="session")
def make_simulation() -> Iterator[Callable[..., Simulation]]:
    """Simulations with small images; closed at the end."""
    made = []

    def make(task: str = "lift", **options: object) -> Simulation:
        simulation = Simulation(task, urdf=XACRO, **{"image_size": 32, **options})
        made.append(simulation)
        return simulation

    yield make
    for simulation in made:
        simulation.close()


@pytest.fixture(scope="session")
def lift(make_simulation: Callable[..., Simulation]) -> Simulation:
    return make_simulation("lift")


@pytest.fixture(scope="session")
def place(make_simulation: Callable[..., Simulation]) -> Simulation:
    return make_simulation("place")


class Hand:
    """Moves the TCP in steps of 2 cm per control period, as the arm's controller does."""

    def __init__(self, simulation: Simulation, seed: int) -> None:
        self.simulation = simulation
        self.frame = simulation.reset(seed, render=False)
        self.joints = self.frame.joint_position.copy()
        self.target = simulation.world.position("gripper_frame_link")

    def go(self, position: NDArray[np.float64], extra_steps: int = 0) -> Frame:
        while (distance := np.linalg.norm(position - self.target)) > 1e-9:
            self.target = self.target + (position - self.target) * min(1.0, 0.02 / distance)
            self.joints = solve(self.simulation.model, self.joints, self.target)
            self.frame = self.simulation.step(self.joints, render=False)
        return self.wait(extra_steps)

    def wait(self, steps: int) -> Frame:
        for _ in range(steps):
            self.frame = self.simulation.step(self.joints, render=False)
        return self.frame

    def jaw(self, angle: float) -> Frame:
        self.joints = np.append(self.joints[:5], angle)
        return self.wait(6)

    def grasp(self) -> Frame:
        """Take hold of the cube from above and stay there."""
        cube = self.frame.ground_truth.poses[0, :3]
        # The jaws open away from the base; the TCP lies on the near jaw, so it aims short of the centre.
        away = cube[:2] - [0.0388, 0.0]
        away /= np.linalg.norm(away)
        aim = np.append(cube[:2] - 0.02 * away, cube[2])
        self.go(aim + [0, 0, 0.05])
        self.go(aim, extra_steps=2)
        return self.jaw(CLOSED)


@pytest.fixture(scope="session")
def hand() -> type[Hand]:
    """`hand(simulation, seed)` resets the scene and takes the arm."""
    return Hand
