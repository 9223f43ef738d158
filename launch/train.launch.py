"""The training graph for an installed ROS: `ros2 launch hilrl train.launch.py`.

The same graph as `hilrl up train` starts: the nodes stand in hilrl/graph.py, the arguments in
hilrl/options.py.
"""

from hilrl.launching import training


def generate_launch_description():
    """Arguments and nodes."""
    return training()
