"""Forward kinematics of the SO-101 from its URDF, with Pinocchio.

The end effector is `gripper_frame_link`, the TCP: its z axis is the approach direction, out of the jaws.
Five joints cannot turn it freely: the heading of the approach axis is tied to the pan joint. What is left
is pitch, the angle of the approach axis below the horizontal, and roll about that axis. Both are measured
in the plane of the arm, so pitch runs on past vertical without a jump.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pinocchio as pin
import xacro
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from numpy.typing import ArrayLike, NDArray

from hilrl_ros.joints import JOINT_NAMES

TCP_FRAME = "gripper_frame_link"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """A TCP pose in the base frame."""

    position: Array
    """Shape (3,) [m]."""
    pitch: float
    """Angle of the approach axis below the horizontal [rad]; pi/2 points straight down."""
    roll: float
    """Right-handed about the approach axis [rad]; at zero the TCP's x axis lies in the arm's plane."""
    rotation: Array
    """TCP axes as columns, shape (3, 3)."""


class Kinematics:
    """Where the TCP is and how fast it moves, from joint angles in `JOINT_NAMES` order.

    Holds work space of Pinocchio, so one instance belongs to one thread.
    """

    def __init__(self, urdf_path: str | Path) -> None:
        """Read a URDF, or a xacro file with its default arguments.

        Raises ValueError, naming the file, where it cannot be read or lacks a joint or the TCP frame.
        """
        self.path = path = Path(urdf_path)
        if not path.is_file():
            raise ValueError(f"urdf: expected a URDF or xacro file, found none at {path}")
        try:
            description = (
                xacro.process_file(str(path)).toxml() if path.suffix == ".xacro" else path.read_text()
            )
            self.model = pin.buildModelFromXML(description)
            self.urdf: str = description
            """The description itself, as URDF."""
        except Exception as error:  # xacro and urdfdom have a class per kind of misfit
            raise ValueError(f"urdf: {path} is no valid robot description: {error}") from error
        for name in JOINT_NAMES:
            if not self.model.existJointName(name):
                raise ValueError(f"urdf: {path} has no joint {name!r}; expected {list(JOINT_NAMES)}")
        if not self.model.existFrame(TCP_FRAME):
            raise ValueError(f"urdf: {path} has no link {TCP_FRAME!r}")
        self.data = self.model.createData()
        self.joint_ids = [self.model.getJointId(name) for name in JOINT_NAMES]
        self._columns = [
            self.model.joints[i].idx_q for i in self.joint_ids
        ]  # one number per joint: also idx_v
        self._tcp = self.model.getFrameId(TCP_FRAME)
        self._q = pin.neutral(self.model)
        self.lower: Array = self.model.lowerPositionLimit[self._columns].copy()
        """Joint limits [rad], shape (6,)."""
        self.upper: Array = self.model.upperPositionLimit[self._columns].copy()
        self.servo_speed: Array = self.model.velocityLimit[self._columns].copy()
        """The fastest each joint can turn [rad/s], shape (6,)."""

    def forward(self, q: ArrayLike) -> Pose:
        """The TCP pose at joint angles `q` [rad], shape (5,) or (6,); the gripper does not move the TCP."""
        self._place(q)
        return self._pose(q)

    def forward_with_twist(self, q: ArrayLike, dq: ArrayLike) -> tuple[Pose, Array]:
        """The TCP pose, and its velocity in the base frame, shape (6,): [m/s] * 3, [rad/s] * 3."""
        jacobian = self.jacobian(q)
        pin.updateFramePlacement(self.model, self.data, self._tcp)
        return self._pose(q), jacobian @ np.asarray(dq, float)[:5]

    def jacobian(self, q: ArrayLike) -> Array:
        """d(TCP twist)/d(joint velocity) in the base frame at the TCP, shape (6, 5)."""
        self._q[self._columns[: len(q)]] = q
        full = pin.computeFrameJacobian(
            self.model, self.data, self._q, self._tcp, pin.ReferenceFrame.LOCAL_WORLD_ALIGNED
        )
        return full[:, self._columns[:5]]

    def twist(self, q: ArrayLike, dq: ArrayLike) -> Array:
        """TCP velocity in the base frame, shape (6,): [m/s] * 3, [rad/s] * 3."""
        return self.jacobian(q) @ np.asarray(dq, float)[:5]

    def _place(self, q: ArrayLike) -> None:
        self._q[self._columns[: len(q)]] = q
        pin.forwardKinematics(self.model, self.data, self._q)
        pin.updateFramePlacement(self.model, self.data, self._tcp)

    def _pose(self, q: ArrayLike) -> Pose:
        placement = self.data.oMf[self._tcp]
        rotation = placement.rotation.copy()
        (xx, _, zx), (xy, _, zy), (xz, _, zz) = rotation.tolist()
        heading = -float(q[0])  # the pan axis points down
        cos_h, sin_h = math.cos(heading), math.sin(heading)
        forward = zx * cos_h + zy * sin_h
        pitch = math.atan2(-zz, forward)
        along_y = -xx * sin_h + xy * cos_h
        along_x = -math.sin(pitch) * (xx * cos_h + xy * sin_h) - math.cos(pitch) * xz
        return Pose(placement.translation.copy(), pitch, math.atan2(along_y, along_x), rotation)


def installed_urdf() -> Path:
    """The SO-101 as the bring-up package installs it; raises ValueError where that is not found."""
    try:
        return Path(get_package_share_directory("hilrl")) / "urdf" / "so101.urdf.xacro"
    except PackageNotFoundError as error:
        raise ValueError("urdf: expected a path, or the package hilrl in the sourced workspace") from error


def rotation_from(heading: float, pitch: float, roll: float) -> Array:
    """TCP axes as columns, shape (3, 3), for an arm plane at `heading` (from x towards y) [rad].

    Rz(heading) Ry(pitch + pi/2) Rz(roll).
    """
    ch, sh = math.cos(heading), math.sin(heading)
    cp, sp = math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    x0, y0 = (-sp * ch, -sp * sh, -cp), (-sh, ch, 0.0)
    return np.array(
        [
            [x0[0] * cr + y0[0] * sr, y0[0] * cr - x0[0] * sr, cp * ch],
            [x0[1] * cr + y0[1] * sr, y0[1] * cr - x0[1] * sr, cp * sh],
            [x0[2] * cr + y0[2] * sr, y0[2] * cr - x0[2] * sr, -sp],
        ]
    )


def quaternion_from(rotation: Array) -> tuple[float, float, float, float]:
    """(x, y, z, w) of a rotation matrix, shape (3, 3)."""
    x, y, z, w = pin.Quaternion(rotation).coeffs().tolist()
    return x, y, z, w
