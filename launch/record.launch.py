"""Demonstrations into a LeRobotDataset, as `hilrl up record` starts it.

The nodes stand in hilrl/nodes.py, the graph in hilrl/graph.py, the arguments in hilrl/options.py.
"""

from hilrl.launching import recording


def generate_launch_description():
    """Arguments and nodes."""
    return recording()
