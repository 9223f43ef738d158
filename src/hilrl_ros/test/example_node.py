"""A node as the packages write them, run by the tests in a process of its own."""

import json
from collections.abc import Mapping
from typing import Any

from std_msgs.msg import String
from std_srvs.srv import Trigger

from hilrl_ros import qos
from hilrl_ros.main import run_node
from hilrl_ros.node import Node
from hilrl_ros.parameters import Parameter, Parameters

TABLE = (
    Parameter("step_m", 0.02, "Longest step [m]", minimum=0.0, maximum=0.05),
    Parameter("leash_m", 0.04, "How far the target may lead [m]", minimum=0.0, maximum=0.2),
    Parameter("repeats", 3, "How often", minimum=1, maximum=10),
    Parameter("limits", [0.1, 0.2, 0.3], "Box [m]", minimum=-1.0, maximum=1.0, length=3),
    Parameter("mode", "train", "What to do", choices=("train", "evaluate")),
    Parameter("devices", [], "Devices by priority"),
    Parameter("urdf", "arm.urdf", "Model file", read_only=True),
)


def step_is_within_leash(values: Mapping[str, Any]) -> str | None:
    """The reason for a refusal, or None."""
    if values["step_m"] > values["leash_m"]:
        return f"step_m: expected at most leash_m = {values['leash_m']}, got {values['step_m']}"
    return None


class ExampleNode(Node):
    """Publishes its parameters, latched, whenever they change."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("example", **kwargs)
        self._publisher = self.create_publisher(String, "~/values", qos.LATCHED)
        self._params = Parameters(self, TABLE, check=step_is_within_leash, on_change=self._publish)
        self.create_service(Trigger, "~/fail", self._fail)
        self._publish(self._params.values)

    def close(self) -> None:
        """Said aloud, for the test that it is called."""
        print("closed", flush=True)

    def _publish(self, values: Mapping[str, Any]) -> None:
        self._publisher.publish(String(data=json.dumps(dict(values))))

    def _fail(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        raise ValueError("a bug in a callback")


if __name__ == "__main__":
    run_node(ExampleNode)
