"""A node that takes one topic, gives another and says how it is."""

from typing import Any

from std_msgs.msg import String

from hilrl_ros import qos
from hilrl_ros.diagnostics import Report
from hilrl_ros.main import run_node
from hilrl_ros.node import Node


class ListeningNode(Node):
    """Repeats what it hears, and refuses an empty word."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("listener", **kwargs)
        self._heard = ""
        self._echoes = self.create_publisher(String, "echo", qos.EVENTS)
        self.create_subscription(String, "words", self._on_word, qos.EVENTS)
        self.diagnostics.expect("words", "is anybody there?", within_s=1.0)
        self.diagnostics.ask(self._diagnose)

    def _on_word(self, message: String) -> None:
        if not message.data:
            self.diagnostics.refused("words data: expected a word, got none")
            return
        self._heard = message.data
        self._echoes.publish(message)

    def _diagnose(self, report: Report) -> None:
        report.values["heard"] = self._heard
        if self._heard == "help":
            report.error("somebody calls for help")


if __name__ == "__main__":
    run_node(ListeningNode)
