"""The training graph: `ros2 launch hilrl train.launch.py`, as `hilrl up train` starts it.

The nodes stand in hilrl/nodes.py, the graph in hilrl/graph.py, the arguments in hilrl/options.py.
"""

from hilrl.launching import training


def generate_launch_description():
    """Arguments and nodes."""
    return training()
