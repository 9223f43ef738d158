"""A learned policy on starts that training never saw, as `hilrl eval` tries it.

The nodes stand in hilrl/nodes.py, the graph in hilrl/graph.py, the arguments in hilrl/options.py.
"""

from hilrl.launching import trying


def generate_launch_description():
    """Arguments and nodes."""
    return trying()
