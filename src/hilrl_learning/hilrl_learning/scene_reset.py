"""Brings the scene to the start of an episode: `sim/reset`, or `ee_controller/go_home` on a real arm."""

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from hilrl_interfaces.srv import ResetScene
from hilrl_ros.stamps import to_ns

RETRY_S = 2.0
"""Both answer within milliseconds; a process that was restarted meanwhile never does."""


class SceneReset:
    """Calls the service until it succeeds. Asking again with the same seed changes nothing."""

    def __init__(self, node: Node, simulated: bool, on_ready: Callable[[int], None]) -> None:
        """`on_ready(stamp_ns)`: observations from this stamp on are of the new scene.

        A real arm answers when it sets out for home, with stamp 0: it is there when it holds.
        """
        self._node = node
        self._on_ready = on_ready
        self._simulated = simulated
        self._client = (
            node.create_client(ResetScene, "sim/reset")
            if simulated
            else node.create_client(Trigger, "ee_controller/go_home")
        )
        self._request: Any = None
        self._future: Future | None = None
        self._asked_s = 0.0

    def ask(self, seed: int, now_s: float) -> None:
        """Begin; `on_ready` is called when it is done."""
        self._request = ResetScene.Request(seed=seed) if self._simulated else Trigger.Request()
        self._call(now_s)

    def poll(self, now_s: float) -> None:
        """Ask again where nobody answered."""
        if self._request is not None and (self._future is None or now_s - self._asked_s > RETRY_S):
            self._call(now_s)

    def _call(self, now_s: float) -> None:
        if self._future is not None:
            self._client.remove_pending_request(self._future)
            self._future = None
        if not self._client.service_is_ready():
            self._node.get_logger().info(
                f"waiting for the service {self._client.srv_name}", throttle_duration_sec=5.0
            )
            return
        self._asked_s = now_s
        self._future = self._client.call_async(self._request)
        self._future.add_done_callback(self._on_answer)

    def _on_answer(self, future: Future) -> None:
        if future is not self._future:
            return
        response = future.result()
        if not response.success:
            # `poll` asks again when the retry time is over.
            self._node.get_logger().error(
                f"{self._client.srv_name} refused: {response.message}", throttle_duration_sec=5.0
            )
            return
        self._request = self._future = None
        self._on_ready(to_ns(response.stamp) if self._simulated else 0)
