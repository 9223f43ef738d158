"""The real arms for an installed ROS: `ros2 launch hilrl arm.launch.py`.

The same graph as `hilrl up arm` starts: the nodes stand in hilrl/arm_graph.py, the arguments in
hilrl/options.py. `ros2_control:=true` adds ros2_control on top of the follower.
"""

from hilrl.launching import arm


def generate_launch_description():
    """Arguments and nodes."""
    return arm()
