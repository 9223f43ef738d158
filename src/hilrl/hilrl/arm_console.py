"""What a person can type where `hilrl up arm` runs: Enter alone stops the arms."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.client import Client
from rclpy.node import Node as RosNode
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from hilrl.graph import Node

HELP = "Enter: emergency stop.   on, Enter: torque, the follower holds.   off, Enter: let it down."
LAST_RESORT = "to stop the arm, pull its power plug"
STOP_ANSWER_S = 1.0
TORQUE_ANSWER_S = 5.0
"""Longer than the driver lets its servos take."""
LONGEST = 4096
"""Bytes read at once: more than anybody types."""


class ArmConsole:
    """Listens to standard input, on the running event loop. One that cannot be listened to is left alone."""

    def __init__(self, node: RosNode, arms: Sequence[Node], say: Callable[[str], None]) -> None:
        """The first of `arms` is the one that `on` and `off` are for."""
        self._say = say
        names = [arm.fully_qualified_name for arm in arms]
        self._stops = [(name, node.create_client(Trigger, f"{name}/emergency_stop")) for name in names]
        self._torque = node.create_client(SetBool, f"{names[0]}/enable_torque")
        self._typed = b""
        try:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._on_input)
        except (OSError, ValueError):
            return  # /dev/null, or closed

    def _on_input(self) -> None:
        data = os.read(sys.stdin.fileno(), LONGEST)
        if not data:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        *lines, self._typed = (self._typed + data).split(b"\n")
        for line in lines:
            self._obey(line.decode(errors="replace").strip())

    def _obey(self, line: str) -> None:
        if not line:
            for name, client in self._stops:
                self._call(client, Trigger.Request(), f"{name}: emergency stop", STOP_ANSWER_S)
        elif line in ("on", "off"):
            self._call(self._torque, SetBool.Request(data=line == "on"), f"torque {line}", TORQUE_ANSWER_S)
        else:
            self._say(f"{line!r} is not known. {HELP}")

    def _call(self, client: Client, request: Any, what: str, within_s: float) -> None:
        if not client.service_is_ready():
            self._say(f"{what}: NOT DONE, the driver is not there; {LAST_RESORT}")
            return
        future = client.call_async(request)
        future.add_done_callback(self._answer(what))
        asyncio.get_running_loop().call_later(within_s, self._miss, future, what)

    def _miss(self, future: Future, what: str) -> None:
        if not future.done():
            self._say(f"{what}: NO ANSWER of the driver; {LAST_RESORT}")

    def _answer(self, what: str) -> Callable[[Future], Any]:
        def take(future: Future) -> None:
            answer = future.result()
            self._say(f"{what}: {answer.message}" if answer.success else f"{what}: refused: {answer.message}")

        return take
