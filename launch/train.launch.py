"""The training graph for an installed ROS: `ros2 launch hilrl train.launch.py`.

The same graph as `hilrl up train` starts; see hilrl/graph.py for the nodes and hilrl/options.py for the arguments.
"""

from hilrl.launching import training


def generate_launch_description():
    """Arguments and nodes."""
    return training()
