"""Where the joints must be for the TCP to be there: damped least squares on the MuJoCo model."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from hilrl_ros.joints import JOINT_NAMES
from hilrl_sim.description import TCP_FRAME

SOLVED = 4
"""Pan, lift, elbow and wrist flex place the TCP and tip the jaws; the roll is the caller's choice."""
DOWN = np.array([0.0, 0.0, -1.0])
FIRST_DAMPING = 1e-4
SECOND_DAMPING = 0.03
"""Well above what the first leaves of directions that are not free at all."""
ITERATIONS = 80
MAX_STEP_RAD = 0.2
LIMIT_MARGIN_RAD = 0.02
"""So that a measured angle, rounded to a tick, does not read as beyond its limit."""


def solve(
    model: mujoco.MjModel,
    joints: NDArray[np.float64],
    position: NDArray[np.float64],
    approach: NDArray[np.float64] = DOWN,
) -> NDArray[np.float64]:
    """The joints, shape (6,) [rad], that bring the TCP to `position`, shape (3,) [m] in base_link.

    `joints`: where to start from; its wrist roll and gripper angle are kept. `approach`: unit vector that the
    jaws should point along, as far as the position and the joint limits leave room for it. The same question
    always has the same answer, bit for bit.
    """
    data = mujoco.MjData(model)
    tcp = model.body(TCP_FRAME).id
    arm = [model.joint(name) for name in JOINT_NAMES[:SOLVED]]
    addresses = [joint.qposadr[0] for joint in arm]
    dofs = [joint.dofadr[0] for joint in arm]
    lower, upper = np.array([joint.range for joint in arm]).T
    lower, upper = lower + LIMIT_MARGIN_RAD, upper - LIMIT_MARGIN_RAD
    solution = np.clip(joints[:SOLVED], lower, upper)
    jacobian_position, jacobian_rotation = np.zeros((3, model.nv)), np.zeros((3, model.nv))
    for _ in range(ITERATIONS):
        data.qpos[addresses] = solution
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_jacBody(model, data, jacobian_position, jacobian_rotation, tcp)
        axis = data.xmat[tcp].reshape(3, 3)[:, 2]
        step = _step_within_limits(
            jacobian_position[:, dofs],
            position - data.xpos[tcp],
            jacobian_rotation[:, dofs] - np.outer(axis, axis @ jacobian_rotation[:, dofs]),
            np.cross(axis, approach),
            lower - solution,
            upper - solution,
        )
        solution = solution + step * min(1.0, MAX_STEP_RAD / max(np.abs(step).max(), 1e-12))
    return np.concatenate([solution, joints[SOLVED:]])


def _step_within_limits(
    first: NDArray[np.float64],
    first_error: NDArray[np.float64],
    second: NDArray[np.float64],
    second_error: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The joint step that serves the first task, and the second in what freedom and room are left.

    A joint that the first task would take out of [lower, upper] goes to its bound, and the others make up for
    it.
    """
    bounded = np.zeros(SOLVED)
    free = np.ones(SOLVED)
    while True:
        primary = first * free
        inverse = _damped_inverse(primary, FIRST_DAMPING)
        step = bounded + inverse @ (first_error - first @ bounded)
        beyond = (free > 0) & ((step < lower) | (step > upper))
        if not beyond.any():
            break
        bounded[beyond] = np.clip(step, lower, upper)[beyond]
        free[beyond] = 0.0
    rest = np.diag(free) - inverse @ primary
    extra = rest @ _damped_inverse(second @ rest, SECOND_DAMPING) @ (second_error - second @ step)
    room = np.where(extra > 0, upper - step, lower - step)
    moving = np.abs(extra) > 1e-12
    return step + extra * min(1.0, (room[moving] / extra[moving]).min(initial=1.0))


def _damped_inverse(matrix: NDArray[np.float64], damping: float) -> NDArray[np.float64]:
    square = matrix @ matrix.T + damping**2 * np.eye(len(matrix))
    return matrix.T @ np.linalg.inv(square)
