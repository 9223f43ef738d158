"""Several of the robot's nodes in one process: fewer wake-ups and copies between camera and arm.

The nodes keep their names, topics and parameters; only the process is shared.
`composed NODE... --ros-args ...`
"""

import sys
from collections.abc import Callable
from importlib import import_module

COMPONENTS = {
    "image_cropper": ("hilrl_perception.image_cropper_node", "ImageCropper"),
    "ee_controller": ("hilrl_control.ee_controller_node", "EeController"),
    "intervention_mux": ("hilrl_teleop.intervention_mux_node", "InterventionMux"),
    "actor": ("hilrl_learning.actor_node", "Actor"),
}
"""Module and class of each node that can share a process, by its name.

Not the drivers: what bounds and holds the arm must outlive a fault in any of these. Not the learner: it would
stop them for as long as it computes."""


def component(name: str) -> Callable:
    """The class of a node. Raises ValueError where it has none here."""
    if name not in COMPONENTS:
        raise ValueError(f"{name}: expected some of {sorted(COMPONENTS)}")
    module, attribute = COMPONENTS[name]
    return getattr(import_module(module), attribute)


def main() -> None:
    """Entry point: the arguments before those of ROS name the nodes."""
    from hilrl_ros.main import run_nodes

    arguments = sys.argv[1:]
    names = arguments[: arguments.index("--ros-args")] if "--ros-args" in arguments else arguments
    run_nodes([component(name) for name in names])
