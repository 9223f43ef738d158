"""The values of `hilrl_interfaces/msg/EeAction`, for code that is free of ROS."""

from enum import IntEnum


class Gripper(IntEnum):
    """What is asked of the gripper; the values of `EeAction.gripper`. STAY is neutral."""

    STAY = 0
    CLOSE = 1
    OPEN = 2


class Source(IntEnum):
    """Who chose an action; the values of `EeAction.source`."""

    POLICY = 0
    INTERVENTION = 1
    DEMONSTRATION = 2
