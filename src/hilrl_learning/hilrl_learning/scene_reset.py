"""Brings the scene to the start of an episode: `sim/reset`, or `ee_controller/go_home` on a real arm.

Before either, a service of the user's own may put things back to where they belong: a learned policy that
does the task in reverse, a script, a person at a button. In simulation `sim/reset` itself places all objects.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from hilrl_interfaces.srv import ResetScene
from hilrl_ros.stamps import to_ns

RETRY_S = 2.0
"""Both answer within milliseconds; a process that was restarted meanwhile never does."""

MEET_S = 2.0
"""So long after it was found, a service has found its client too; what it answers before may be lost."""

SETTLE_S = 0.2
"""Until what an arm says of itself is of after it set out for home."""

AT_HOME = "holding: at home"
"""`EeState.status` of an arm that has gone home, until something else is asked of it."""


@dataclass
class _PutBack:
    """The service that is called first, once: to be asked again may not be the same to it."""

    client: Client
    found_s: float | None = None
    """Since when it is there."""
    until_s: float | None = None
    """It is being waited for."""
    future: Future | None = None


class SceneReset:
    """Calls the services until they succeed. Asking again with the same seed changes nothing."""

    def __init__(
        self,
        node: Node,
        simulated: bool,
        on_ready: Callable[[int], None],
        put_back: str = "",
    ) -> None:
        """`on_ready(stamp_ns)`: observations from this stamp on are of the new scene.

        A real arm answers when it sets out for home, with stamp 0: it is there when it says `AT_HOME`.
        `put_back`: name of a std_srvs/Trigger to be called first, '': none. Where it fails, or gives no
        answer in time, that is said and the arm goes home all the same.
        """
        self._node = node
        self._on_ready = on_ready
        self._simulated = simulated
        self._client = (
            node.create_client(ResetScene, "sim/reset")
            if simulated
            else node.create_client(Trigger, "ee_controller/go_home")
        )
        self._put_back = _PutBack(node.create_client(Trigger, put_back)) if put_back else None
        self.timeout_s = 30.0
        """Longest wait for `put_back` [s]."""
        self._request: Any = None
        self._future: Future | None = None
        self._asked_s = self._ready_s = 0.0

    def ask(self, seed: int, now_s: float) -> None:
        """Begin; `on_ready` is called when it is done. What is being put back already is waited for."""
        self._forget_call()
        self._request = ResetScene.Request(seed=seed) if self._simulated else Trigger.Request()
        if self._put_back is None:
            self._call(now_s)
        elif self._put_back.until_s is None:
            self._put_back.until_s = now_s + self.timeout_s
            self._call_put_back(self._put_back, now_s)

    def is_home(self, holding: bool, status: str, now_s: float) -> bool:
        """Whether a real arm has got home, by its `EeState`. One that stopped elsewhere is asked again."""
        waited_s = now_s - self._ready_s
        if self._request is not None or not holding or waited_s < SETTLE_S:
            return False
        if status != AT_HOME and waited_s > RETRY_S:
            self._node.get_logger().warning(f"the arm is not at home ({status}): asking it again")
            self._request = Trigger.Request()
            self._call(now_s)
        return status == AT_HOME

    def cancel(self) -> None:
        """No scene is wanted now; an answer still to come is ignored."""
        self._forget_call()
        self._request = None
        if self._put_back is not None:
            self._end_put_back(self._put_back)

    def poll(self, now_s: float) -> None:
        """Ask again where nobody answered."""
        put_back = self._put_back
        if put_back is not None and put_back.until_s is not None:
            if now_s > put_back.until_s:
                self._proceed(put_back, f"no answer within {self.timeout_s:g} s")
            elif put_back.future is None:
                self._call_put_back(put_back, now_s)
        elif self._request is not None and (self._future is None or now_s - self._asked_s > RETRY_S):
            self._call(now_s)

    def _call_put_back(self, put_back: _PutBack, now_s: float) -> None:
        if not put_back.client.service_is_ready():
            put_back.found_s = None
        elif put_back.found_s is None:
            put_back.found_s = now_s
        elif now_s - put_back.found_s > MEET_S:
            put_back.future = put_back.client.call_async(Trigger.Request())
            put_back.future.add_done_callback(self._on_put_back)

    def _on_put_back(self, future: Future) -> None:
        if self._put_back is not None and future is self._put_back.future:
            response = future.result()
            self._proceed(self._put_back, "" if response.success else response.message or "no reason given")

    def _proceed(self, put_back: _PutBack, failure: str) -> None:
        """On to the reset itself; `poll` calls it."""
        if failure:
            self._node.get_logger().error(
                f"reset_service {put_back.client.srv_name} failed: {failure}; going on without"
            )
        self._end_put_back(put_back)

    @staticmethod
    def _end_put_back(put_back: _PutBack) -> None:
        if put_back.future is not None:
            put_back.client.remove_pending_request(put_back.future)
        put_back.future, put_back.until_s = None, None

    def _forget_call(self) -> None:
        if self._future is not None:
            self._client.remove_pending_request(self._future)
            self._future = None

    def _call(self, now_s: float) -> None:
        self._forget_call()
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
        self._ready_s = time.monotonic()
        self._on_ready(to_ns(response.stamp) if self._simulated else 0)
