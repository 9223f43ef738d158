"""End-effector control of the SO-101: kinematics, workspace bounds, ee_controller."""
