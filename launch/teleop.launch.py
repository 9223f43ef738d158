"""The arm in the hands of a person, as `hilrl up teleop` starts it.

The nodes stand in hilrl/nodes.py, the graph in hilrl/graph.py, the arguments in hilrl/options.py.
"""

from hilrl.launching import driving


def generate_launch_description():
    """Arguments and nodes."""
    return driving()
