"""The simulated arm, cameras and task as one plain object. The ROS node is a shell around it."""

from dataclasses import dataclass, field
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from hilrl_ros.joints import JOINT_NAMES
from hilrl_sim import tasks
from hilrl_sim.description import load_urdf
from hilrl_sim.inverse_kinematics import solve
from hilrl_sim.rendering import CameraRenderer
from hilrl_sim.scene import CAMERAS, MAX_TIMESTEP_S, build_model
from hilrl_sim.servo import ServoBank
from hilrl_sim.visuals import Visuals
from hilrl_sim.world import World

START_NS = 1_000_000_000
"""Not zero: many ROS tools take a zero stamp for "no time yet"."""
RESET_NS = 1_000_000
"""Teleporting to a new scene takes this much simulated time."""
HOME_JOINTS = (0.0, -0.4827, 0.166, 1.638, 0.0, 0.9)
"""TCP at (0.20, 0, 0.12), jaws open and pointing down as far as the wrist reaches [rad]."""


@dataclass(frozen=True)
class GroundTruth:
    """What only a simulator knows."""

    task: str
    names: tuple[str, ...]
    poses: NDArray[np.float64]
    """Shape (objects, 7): x, y, z [m] in base_link, quaternion x, y, z, w."""
    grasped: bool
    """The first object is between the jaws."""


@dataclass(frozen=True)
class Frame:
    """The world at one instant, as the arm and the cameras report it."""

    time_ns: int
    joint_position: NDArray[np.float64]
    """Shape (6,) [rad], in the order of `JOINT_NAMES`."""
    joint_velocity: NDArray[np.float64]
    """Shape (6,) [rad/s]"""
    joint_effort: NDArray[np.float64]
    """Shape (6,) [N m]"""
    reward: float
    """1 once the task is done, else 0. The episode ends there, so it is earned once."""
    success: bool
    """The task has been done since the last reset."""
    ground_truth: GroundTruth
    images: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """Camera name to rgb image, shape (size, size, 3); empty when not rendered."""


class Simulation:
    """An SO-101 at a table: reset to a seed, then one control period per joint goal.

    The same seed and the same goals give the same frames bit for bit, but for `time_ns`, which never goes
    back. Not thread-safe; rendering belongs to the thread that made it.
    """

    def __init__(
        self,
        task: str = "lift",
        *,
        control_hz: float = 10.0,
        image_size: int = 128,
        servo_lag_s: float = 0.0,
        quantise: bool = True,
        randomise_visuals: bool = False,
        home_joints: NDArray[np.float64] | tuple[float, ...] = HOME_JOINTS,
        urdf: str | Path | None = None,
    ) -> None:
        """`urdf`: path of the xacro; None: the installed one. Call `reset` before anything else.

        Raises ValueError naming the argument when the task or the robot description is unknown.
        """
        period_s = 1.0 / control_hz
        self.substeps = max(1, round(period_s / MAX_TIMESTEP_S))
        self.timestep_ns = round(1e9 * period_s / self.substeps)
        self.task = tasks.create(task)
        self.model = build_model(load_urdf(urdf), self.task, self.timestep_ns * 1e-9)
        self.data = mujoco.MjData(self.model)
        self.world = World(self.model, self.data)
        self.randomise_visuals = randomise_visuals
        self.time_ns = START_NS - RESET_NS
        joints = [self.model.joint(name) for name in JOINT_NAMES]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        limits = np.array([joint.range for joint in joints])
        self.servos = ServoBank(limits[:, 0], limits[:, 1], self.timestep_ns * 1e-9, servo_lag_s, quantise)
        self._home = np.array(home_joints, np.float64)
        self._home_position = self._tcp_at(self._home)
        self._visuals = Visuals(self.model)
        self._renderer = CameraRenderer(self.model, tuple(CAMERAS), image_size)
        self._succeeded = False

    def reset(self, seed: int, *, render: bool = True) -> Frame:
        """A new scene, wholly determined by `seed`, one millisecond later. Raises ValueError below 0."""
        if seed < 0:
            raise ValueError(f"seed: expected an integer >= 0, got {seed}")
        # Separate streams: how a scene looks does not change where its things are.
        scene_rng, visual_rng = (np.random.default_rng([seed, stream]) for stream in range(2))
        mujoco.mj_resetData(self.model, self.data)
        target = self._home_position + self.task.home_offset(scene_rng)
        joints = solve(self.model, self._home, target)
        self.data.qpos[self._qpos] = joints
        self.data.ctrl[:] = joints
        self.task.spawn(self.world, scene_rng)
        self._visuals.reset()
        if self.randomise_visuals:
            self._visuals.randomise(visual_rng)
        mujoco.mj_forward(self.model, self.data)
        self.servos.reset(joints)
        self._succeeded = False
        self.time_ns += RESET_NS
        return self.observe(render=render)

    def step(
        self,
        joint_goal: NDArray[np.float64],
        joint_speed: NDArray[np.float64] | None = None,
        *,
        render: bool = True,
    ) -> Frame:
        """One control period towards `joint_goal`, shape (6,) [rad], at most at `joint_speed` (6,) [rad/s].

        A speed of 0, or none, is the servo's maximum. Raises ValueError for goals that are no such arrays;
        nothing moves then.
        """
        self.servos.command(joint_goal, joint_speed)
        self.advance(self.substeps)
        return self.observe(render=render)

    def advance(self, substeps: int) -> None:
        """Let physics run for `substeps * timestep_ns` towards the goal commanded last."""
        for _ in range(substeps):
            self.data.ctrl[:] = self.servos.advance()
            mujoco.mj_step(self.model, self.data)
        self.time_ns += substeps * self.timestep_ns
        # mj_step leaves poses and contacts one substep behind the joints.
        mujoco.mj_forward(self.model, self.data)
        self._succeeded = self._succeeded or bool(self.task.is_done(self.world))

    def observe(self, *, render: bool = True) -> Frame:
        """The world as it is now."""
        position, velocity, effort = self.servos.readout(
            self.data.qpos[self._qpos],
            self.data.qvel[self._dofs],
            self.data.qfrc_actuator[self._dofs],
        )
        return Frame(
            time_ns=self.time_ns,
            joint_position=position,
            joint_velocity=velocity,
            joint_effort=effort,
            reward=float(self._succeeded),
            success=self._succeeded,
            ground_truth=GroundTruth(
                task=self.task.name,
                names=self.task.objects,
                poses=np.stack([self.world.pose(name) for name in self.task.objects]),
                grasped=self.world.is_held(self.task.objects[0]),
            ),
            images=self.render() if render else {},
        )

    def render(self) -> dict[str, NDArray[np.uint8]]:
        """Camera name to rgb image of now, shape (size, size, 3), dtype uint8."""
        return self._renderer.render(self.data)

    def close(self) -> None:
        """Free what the renderer holds."""
        self._renderer.close()

    def _tcp_at(self, joints: NDArray[np.float64]) -> NDArray[np.float64]:
        self.data.qpos[self._qpos] = joints
        mujoco.mj_kinematics(self.model, self.data)
        return self.world.position("gripper_frame_link")
