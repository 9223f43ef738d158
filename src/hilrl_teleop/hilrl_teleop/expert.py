"""An operator made of geometry: knows where everything is, and moves as unevenly as a person.

It reads where it stands off the scene alone and keeps no plan, so it can take over in the middle of
anything: a cube in the jaws, a cube pushed away, jaws closed on nothing. Distances in metres.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hilrl_ros.ee_action import Gripper
from hilrl_teleop.ee_action import AXES

Array = NDArray[np.float64]

TASKS = ("lift", "place")

CUBE_HALF = 0.0125
CLEARANCE = 0.010
"""Between the fixed jaw and the cube on the way down."""
GRASP_Z = 0.003
"""Height of the TCP above the cube's centre in a grasp. The jaws reach 6 mm further down, and lower where the
arm is too high up for a vertical approach: a jaw pressed on the table does not slide."""
CLOSE_BELOW = 0.025
"""Above the grasp height: low enough to begin to close, as the jaws take half a second."""
ALIGNED = 0.010
"""Sideways from the cube's centre: still a grasp."""
COMMITTED = 1.5
"""How much further off a grasp may be once the jaws close: no dithering at the border."""
FUNNEL = 1.2
"""Rise per horizontal distance to the way down."""
HOVER = 0.06
"""Above the grasp height: passes over a cube anywhere."""
LIFT = 0.08
"""Above the present height, so that the arm keeps rising as long as it holds the cube."""

OPEN_ENOUGH = 0.6
"""Jaw angle at which a cube fits in with room to spare [rad]."""
CLOSING = 0.45
"""A jaw goal below this means to hold or to grasp [rad]."""
EMPTY = -0.04
"""Jaw angle that leaves no room for a cube [rad]."""

STEADY = 0.3
"""Noise of a hand at rest, as a share of that of one moving a full step."""
TREMOR_STEPS = 256
"""After so many steps the noise begins anew."""

BIN_HALF = 0.035
CARRY_Z = 0.065
"""Height of the cube's centre on its way to the bin."""
RELEASE_Z = 0.040
"""Height of the cube's centre when let go: the jaws stay above the bin's walls."""
OVER_BIN = 0.012


@dataclass(frozen=True)
class Arm:
    """What ee_controller reports, in the base frame."""

    position: Array
    """Of the TCP, measured, shape (3,)."""
    target: Array
    """Of the TCP, commanded, shape (3,)."""
    opening: Array
    """Unit vector from the fixed to the moving jaw, shape (3,): the TCP's -x axis."""
    gripper_position: float
    """[rad]"""
    gripper_target: float
    """[rad]"""


@dataclass(frozen=True)
class Scene:
    """What the simulator knows, in the base frame."""

    cube: Array
    """Centre, shape (3,)."""
    cube_yaw: float
    """[rad]"""
    bin: Array | None
    """Middle of the bin's underside, shape (3,)."""
    grasped: bool


def intend(task: str, arm: Arm, scene: Scene) -> tuple[Array, Gripper]:
    """Where the TCP should go now, shape (3,), and what the gripper should do."""
    if task == "place" and _in_bin(scene):
        return arm.position + [0, 0, LIFT], Gripper.OPEN
    if scene.grasped and arm.gripper_target < CLOSING:
        if task == "place":
            return _carry(arm, scene)
        return arm.position + [0, 0, LIFT], Gripper.CLOSE
    return _grasp(arm, scene)


def _grasp(arm: Arm, scene: Scene) -> tuple[Array, Gripper]:
    ahead = arm.opening * [1, 1, 0]
    ahead /= np.linalg.norm(ahead)
    aside = np.array([-ahead[1], ahead[0], 0])
    to_cube = scene.cube - arm.position
    gap = to_cube @ ahead - _half_width(ahead, scene.cube_yaw)
    above = -to_cube[2] - GRASP_Z
    closing = arm.gripper_target < CLOSING
    slack = COMMITTED if closing else 1.0
    between = (
        abs(to_cube @ aside) < slack * ALIGNED
        and -CLEARANCE < gap < slack * 2 * CLEARANCE
        and above < slack * CLOSE_BELOW
    )
    contact = arm.position + to_cube @ aside * aside + gap * ahead
    contact[2] -= above
    if between and (arm.gripper_position > EMPTY if closing else arm.gripper_position > OPEN_ENOUGH):
        return contact, Gripper.CLOSE
    if arm.gripper_position < OPEN_ENOUGH:
        return arm.position + [0, 0, HOVER - above], Gripper.OPEN
    down = contact - CLEARANCE * ahead
    away = np.linalg.norm((down - arm.position)[:2])
    return down + [0, 0, min(max(FUNNEL * away - 0.004, 0.0), HOVER)], Gripper.OPEN


def _carry(arm: Arm, scene: Scene) -> tuple[Array, Gripper]:
    to_bin = scene.bin - scene.cube
    away = np.linalg.norm(to_bin[:2])
    height = RELEASE_Z if away < OVER_BIN else CARRY_Z
    to_bin[2] = height - scene.cube[2]
    # The cube first rises clear of the bin's wall.
    if scene.cube[2] < RELEASE_Z - 0.005:
        to_bin[:2] = 0
    if away < OVER_BIN and abs(to_bin[2]) < CLEARANCE:
        return arm.target, Gripper.OPEN
    return arm.position + to_bin, Gripper.CLOSE


def _in_bin(scene: Scene) -> bool:
    offset = scene.cube - scene.bin
    return bool(np.abs(offset[:2]).max() < BIN_HALF and offset[2] < RELEASE_Z and not scene.grasped)


def _half_width(direction: Array, yaw: float) -> float:
    """Of the cube, from its centre to the plane across `direction` that touches it."""
    angle = np.arctan2(direction[1], direction[0]) - yaw
    return CUBE_HALF * (abs(np.cos(angle)) + abs(np.sin(angle)))


class Expert:
    """One episode's operator: as fast and as exact as people differ.

    Its unevenness is a function of the seed and the step, so a step asked for twice, or never, changes
    nothing for the others.
    """

    def __init__(
        self, task: str, rng: np.random.Generator, noise: float = 0.15, step_m: float = 0.02
    ) -> None:
        """`noise`: standard deviation of each delta, and of the aiming error, in full steps."""
        if task not in TASKS:
            raise ValueError(f"task: expected one of {list(TASKS)}, got {task!r}")
        self._task = task
        self._step_m = step_m
        self._speed = 1.0 - rng.uniform(0.0, min(2 * noise, 0.8))
        self._aim_error = np.append(rng.uniform(-1, 1, 2), 0.0) * noise * step_m
        self._tremor = rng.normal(0.0, noise, (TREMOR_STEPS, 3))

    def act(self, step: int, arm: Arm, scene: Scene) -> tuple[NDArray[np.float32], Gripper]:
        """The action for a step of the episode: delta, shape (5,) in [-1, 1], and the gripper.

        Pitch and roll are left alone: what a policy of x, y, z and gripper can do is all it does.
        """
        goal, gripper = intend(self._task, arm, replace(scene, cube=scene.cube + self._aim_error))
        steps = np.clip((goal - arm.target) / self._step_m, -self._speed, self._speed)
        # A hand that hardly moves is steadier than one that sweeps.
        steps += self._tremor[step % TREMOR_STEPS] * max(STEADY, float(np.abs(steps).max()))
        delta = np.zeros(len(AXES), np.float32)
        delta[:3] = np.clip(steps, -1, 1)
        return delta, gripper
