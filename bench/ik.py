"""Inverse kinematics: time and error over reachable targets in the default workspace, beside Pink.

    python bench/ik.py [--targets 10000] [--pink-targets 500]

Targets are the TCP positions of random joint angles that lie in the box, with a wish for a vertical
approach and no roll, as the controller has it. Two starts: home, and 2 cm away, which is one full step.
Times are of single calls on one thread, wall clock and CPU.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pink
import pinocchio as pin
from pink.tasks import FrameTask, PostureTask

from hilrl_control.inverse_kinematics import InverseKinematics
from hilrl_control.kinematics import TCP_FRAME, Kinematics, rotation_from
from hilrl_control.settings import Settings
from hilrl_ros.joints import ARM_JOINTS

URDF = Path(__file__).parents[1] / "urdf" / "so101.urdf.xacro"
DOWN = math.pi / 2
REACHED_M = 5e-4
PINK_ITERATIONS = 100
PINK_STEP_S = 1.0
PINK_DONE_M = 1e-4


def reachable_targets(kinematics: Kinematics, count: int, rng: np.random.Generator) -> np.ndarray:
    """TCP positions in the box that some joint angles are known to reach, shape (count, 3) [m]."""
    workspace, found = Settings.default().workspace, []
    while len(found) < count:
        position = kinematics.forward(rng.uniform(kinematics.lower[:5], kinematics.upper[:5])).position
        if workspace.excess(position) == 0.0:
            found.append(position)
    return np.array(found)


class Pink:
    """Pink's differential QP, repeated until it is at the target: position before orientation by weight."""

    def __init__(self, kinematics: Kinematics) -> None:
        self.kinematics = kinematics
        jaw = kinematics.joint_ids[5]
        self.model = pin.buildReducedModel(kinematics.model, [jaw], pin.neutral(kinematics.model))
        self.data = self.model.createData()
        self.task = FrameTask(TCP_FRAME, position_cost=1.0, orientation_cost=1e-3, lm_damping=1e-6)
        self.posture = PostureTask(cost=1e-6)
        assert list(self.model.names)[1:] == list(ARM_JOINTS)

    def solve(self, position: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Joint angles, shape (5,) [rad]."""
        q = np.clip(start, self.model.lowerPositionLimit, self.model.upperPositionLimit)
        configuration = pink.Configuration(self.model, self.data, q)
        heading = math.atan2(position[1], position[0] - 0.0388)
        self.task.set_target(pin.SE3(rotation_from(heading, DOWN, 0.0), position))
        self.posture.set_target(q)
        limits = [configuration.model.configuration_limit]
        for _ in range(PINK_ITERATIONS):
            speed = pink.solve_ik(
                configuration, [self.task, self.posture], PINK_STEP_S, solver="quadprog", limits=limits
            )
            configuration.integrate_inplace(speed, PINK_STEP_S)
            placement = configuration.get_transform_frame_to_world(TCP_FRAME)
            if math.dist(placement.translation, position) < PINK_DONE_M:
                break
            if float(np.abs(speed).max()) * PINK_STEP_S < 1e-6:
                break
        return configuration.q


def measure(
    name: str,
    solve: Callable[[np.ndarray, np.ndarray], np.ndarray],
    kinematics: Kinematics,
    targets: np.ndarray,
    starts: np.ndarray,
) -> str:
    """One row of the table."""
    wall, cpu, errors, tilts = [], [], [], []
    for target, start in zip(targets, starts, strict=True):
        wall_start, cpu_start = time.perf_counter(), time.thread_time()
        q = solve(target, start)
        cpu.append(time.thread_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
        pose = kinematics.forward(q)
        errors.append(math.dist(pose.position, target))
        tilts.append(abs(pose.pitch - DOWN))
    times = " ".join(
        f"{value * 1e3:8.3f}"
        for value in [*np.percentile(wall, [50, 99, 100]), *np.percentile(cpu, [50, 99, 100])]
    )
    missed = float(np.mean(np.array(errors) > REACHED_M))
    quality = f"{max(errors) * 1e3:>11.4f} {missed:>8.2%} {np.mean(tilts):>11.3f}"
    return f"{name:<22} {len(targets):>7} {times} {quality}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=10_000)
    parser.add_argument("--pink-targets", type=int, default=500)
    options = parser.parse_args()
    kinematics, rng = Kinematics(URDF), np.random.default_rng(0)
    inverse, other = InverseKinematics(kinematics), Pink(kinematics)
    targets = reachable_targets(kinematics, options.targets, rng)
    home = np.array(Settings.default().home_joints[:5])
    from_home = np.tile(home, (len(targets), 1))
    aside = rng.normal(size=targets.shape)
    aside *= 0.02 / np.linalg.norm(aside, axis=1, keepdims=True)
    near = np.array([inverse.solve(p, DOWN, 0.0, home).q for p in targets + aside])

    def ours(target: np.ndarray, start: np.ndarray) -> np.ndarray:
        return inverse.solve(target, DOWN, 0.0, start).q

    versions = ", ".join(f"{name} {version(name)}" for name in ("pin", "pin-pink", "quadprog", "numpy"))
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {versions}")
    print(f"{'':<30} {'wall [ms]':^26} {'CPU [ms]':^26}")
    columns = " ".join(f"{title:>8}" for title in ("p50", "p99", "max") * 2)
    print(f"{'':<22} {'targets':>7} {columns} {'error [mm]':>11} {'missed':>8} {'tilt [rad]':>11}")
    few = slice(options.pink_targets)
    print(measure("ours, 2 cm away", ours, kinematics, targets, near))
    print(measure("ours, from home", ours, kinematics, targets, from_home))
    print(measure("pink, 2 cm away", other.solve, kinematics, targets[few], near[few]))
    print(measure("pink, from home", other.solve, kinematics, targets[few], from_home[few]))
    box = Settings.default().workspace
    for name, points in (
        ("anywhere in the box", rng.uniform(box.minimum, box.maximum, (2000, 3))),
        ("beyond the box", box.maximum * rng.uniform(1.3, 3.0, (2000, 1))),
    ):
        answers = [inverse.solve(point, DOWN, 0.0, home) for point in points]
        flagged = np.mean([not answer.reachable for answer in answers])
        print(f"{name}: {flagged:.1%} flagged unreachable")


if __name__ == "__main__":
    main()
