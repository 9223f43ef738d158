"""Between the controller's arrays and ROS messages."""

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion, Twist, Vector3
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hilrl_control.ee_state import Command, State
from hilrl_control.kinematics import Array, quaternion_from
from hilrl_interfaces.msg import EeState
from hilrl_ros import stamps
from hilrl_ros.joint_messages import BASE_FRAME
from hilrl_ros.joints import JOINT_NAMES

_JOINT_NAMES = list(JOINT_NAMES)


def joint_angles(message: JointState) -> tuple[Array, Array]:
    """Position [rad] and velocity [rad/s], each shape (6,), in `JOINT_NAMES` order; no velocity reads zero.

    Joints may come in any order, and others beside them. Raises ValueError naming the field otherwise.
    """
    if message.name == _JOINT_NAMES:
        order = None
    else:
        if missing := [name for name in JOINT_NAMES if name not in message.name]:
            raise ValueError(
                f"joint_states name: expected {_JOINT_NAMES}, {missing} missing in {message.name}"
            )
        order = [message.name.index(name) for name in JOINT_NAMES]
    count = len(message.name)
    if len(message.position) != count:
        raise ValueError(f"joint_states position: expected {count} values, got {len(message.position)}")
    if len(message.velocity) not in (0, count):
        raise ValueError(
            f"joint_states velocity: expected {count} values or none, got {len(message.velocity)}"
        )
    position = np.array(message.position)
    velocity = np.array(message.velocity) if message.velocity else np.zeros(count)
    return (position, velocity) if order is None else (position[order], velocity[order])


def joint_command(command: Command) -> JointState:
    """Goals with the speed to go there with."""
    return JointState(
        header=Header(stamp=stamps.from_ns(command.stamp_ns), frame_id=BASE_FRAME),
        name=_JOINT_NAMES,
        position=command.position.tolist(),
        velocity=command.velocity.tolist(),
    )


def pose_message(position: Array, rotation: Array) -> Pose:
    """A pose in the base frame."""
    x, y, z = position.tolist()
    qx, qy, qz, qw = quaternion_from(rotation)
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def ee_state(state: State) -> EeState:
    """The state of one joint state's stamp."""
    vx, vy, vz, wx, wy, wz = state.twist.tolist()
    flags = state.flags
    return EeState(
        header=Header(stamp=stamps.from_ns(state.stamp_ns), frame_id=BASE_FRAME),
        pose=pose_message(state.pose.position, state.pose.rotation),
        twist=Twist(linear=Vector3(x=vx, y=vy, z=vz), angular=Vector3(x=wx, y=wy, z=wz)),
        target=pose_message(state.target.position, state.target_rotation),
        pitch=state.pose.pitch,
        roll=state.pose.roll,
        gripper_position=state.gripper_position,
        gripper_target=state.gripper_target,
        action_stamp=stamps.from_ns(state.action_stamp_ns),
        action_source=state.action_source,
        clipped_workspace=flags.workspace,
        clipped_step=flags.step,
        clipped_joint_limit=flags.joint_limit,
        clipped_speed=flags.speed,
        clipped_leash=flags.leash,
        unreachable=flags.unreachable,
        holding=state.holding,
        status=state.status,
    )
