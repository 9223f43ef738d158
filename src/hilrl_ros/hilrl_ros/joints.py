"""The joints of the SO-101, named as in its URDF, in the order in which every array has them."""

ARM_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
"""The joints that move the TCP."""
JOINT_NAMES = (*ARM_JOINTS, "gripper")
