"""The learner alone, for arms on other machines, as `hilrl up learner` starts it.

The nodes stand in hilrl/nodes.py, the graph in hilrl/graph.py, the arguments in hilrl/options.py.
"""

from hilrl.launching import learning


def generate_launch_description():
    """Arguments and nodes."""
    return learning()
