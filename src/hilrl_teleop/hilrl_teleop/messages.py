"""`Action` from and to `hilrl_interfaces/msg/EeAction`."""

import numpy as np
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeAction
from hilrl_ros import stamps
from hilrl_teleop.ee_action import Action


def to_action(message: EeAction) -> Action:
    """The message as plain data, unchecked."""
    return Action(
        stamp_ns=stamps.to_ns(message.header.stamp),
        delta=np.asarray(message.delta, np.float32),
        gripper=message.gripper,
        gripper_goal=message.gripper_goal if message.gripper_partly else None,
        source=message.source,
        device=message.device,
        engaged=message.engaged,
        policy_version=message.policy_version,
        frame_id=message.header.frame_id,
    )


def to_message(action: Action) -> EeAction:
    """Inverse of `to_action`."""
    return EeAction(
        header=Header(stamp=stamps.from_ns(action.stamp_ns), frame_id=action.frame_id),
        delta=action.delta,
        gripper=int(action.gripper),
        gripper_partly=action.gripper_goal is not None,
        gripper_goal=action.gripper_goal or 0.0,
        source=int(action.source),
        device=action.device,
        engaged=action.engaged,
        policy_version=action.policy_version,
    )
