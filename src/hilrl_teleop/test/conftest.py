"""Nodes in their own processes, in a domain of this run's own; and the loop of the graph without nodes."""

import math
from pathlib import Path

import numpy as np
import pytest

from hilrl_control.ee_control import EeControl
from hilrl_control.kinematics import Kinematics
from hilrl_control.settings import Settings
from hilrl_control.workspace import Workspace
from hilrl_ros.ee_action import Gripper
from hilrl_ros.testing import namespace, probe, start_node
from hilrl_sim.simulation import Frame, Simulation
from hilrl_teleop.expert import Arm, Expert, Scene

__all__ = ["namespace", "probe", "start_node"]

URDF = Path(__file__).resolve().parents[3] / "urdf" / "so101.urdf.xacro"
WORKSPACE = Workspace.from_corners((0.12, -0.15, 0.005), (0.32, 0.15, 0.22))
EPISODE_STEPS = 60


class ClosedLoop:
    """One arm; every scene begins with `reset`."""

    def __init__(self, task: str, **simulation: object) -> None:
        self.task = task
        self.simulation = Simulation(task, urdf=URDF, **simulation)
        self.controller = EeControl(Kinematics(URDF), Settings(WORKSPACE, lockstep=True))
        self.frame: Frame

    def reset(self, seed: int) -> None:
        self._take(self.simulation.reset(seed, render=False))

    def step(self, delta: np.ndarray, gripper: int) -> bool:
        """One control period. Whether the task is done."""
        command = self.controller.act(self.frame.time_ns, delta, int(gripper))
        assert command is not None, self.controller.refusal
        self._take(self.simulation.step(command.position, command.velocity, render=False))
        return self.frame.success

    def show(self, seed: int, noise: float, steps: int = EPISODE_STEPS) -> int:
        """Steps that the expert needs from where the arm is now; 0: not done in time."""
        expert = Expert(self.task, np.random.default_rng([1, seed]), noise)
        for step in range(steps):
            if self.step(*expert.act(step, self.arm(), self.scene())):
                return step + 1
        return 0

    def arm(self) -> Arm:
        state = self.state
        return Arm(
            state.pose.position,
            state.target.position,
            -state.pose.rotation[:, 0],
            state.gripper_position,
            state.gripper_target,
        )

    def scene(self) -> Scene:
        truth = self.frame.ground_truth
        x, y, z, w = truth.poses[0, 3:]
        yaw = math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        bin_ = truth.poses[1, :3] if self.task == "place" else None
        return Scene(truth.poses[0, :3], yaw, bin_, truth.grasped)

    def wander(self, rng: np.random.Generator, steps: int) -> None:
        """What a policy does that has learnt nothing."""
        drift = rng.uniform(-1, 1, 3)
        for _ in range(steps):
            delta = np.zeros(5)
            delta[:3] = np.clip(drift + rng.normal(0, 0.5, 3), -1, 1)
            self.step(delta, rng.choice([Gripper.STAY, Gripper.CLOSE, Gripper.OPEN]))

    def _take(self, frame: Frame) -> None:
        self.frame = frame
        self.state = self.controller.observe(frame.time_ns, frame.joint_position, frame.joint_velocity)


@pytest.fixture
def closed_loop() -> type[ClosedLoop]:
    """Simulator, controller and expert in one process: closed_loop(task)."""
    return ClosedLoop
