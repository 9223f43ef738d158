"""What operators say about episodes: asks `actor/label` and `actor/pause`, and tells what came of it."""

import time
from collections import deque
from collections.abc import Callable
from functools import partial

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import SetBool

from hilrl_interfaces.srv import LabelEpisode

ANSWER_S = 2.0
"""Longest that an answer is waited for [s]."""
CHECK_S = 0.1

PAUSE = "pause"
CODES = {
    "success": LabelEpisode.Request.SUCCESS,
    "failure": LabelEpisode.Request.FAILURE,
    "discard": LabelEpisode.Request.DISCARD,
    "reset": LabelEpisode.Request.RESET,
    "rerecord": LabelEpisode.Request.RERECORD,
}
REQUESTS = (*CODES, PAUSE)
"""What can be asked for."""


class EpisodeControl:
    """Asks one thing after the other, each once, and never waits.

    Nothing is repeated by itself: a label whose answer was lost may have been taken, and a second one would
    strike the next episode. What was asked for while an answer stayed out is dropped for the same reason.
    """

    def __init__(self, node: Node, tell: Callable[[str], None]) -> None:
        """`tell` gets one line for the person whenever there is something to say."""
        self.paused = False
        """As the actor last confirmed it to this device."""
        self._tell = tell
        self._label = node.create_client(LabelEpisode, "actor/label")
        self._pause = node.create_client(SetBool, "actor/pause")
        self._waiting: deque[str] = deque()
        self._asked: Future | None = None
        self._asked_for = ""
        self._asked_s = 0.0
        # A person's time, also where the arm's is simulated.
        node.create_timer(CHECK_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def ask(self, what: str) -> None:
        """Ask for one of `REQUESTS`. "pause" pauses, or goes on where this device has paused."""
        self._waiting.append(what)
        self._ask_next()

    def _ask_next(self) -> None:
        while self._waiting and self._asked is None:
            what = self._waiting.popleft()
            pauses = what == PAUSE
            name = "continue" if pauses and self.paused else what
            client = self._pause if pauses else self._label
            if not client.service_is_ready():
                self.paused = False  # an actor that comes later runs
                self._tell(f"{name}: no actor is there to be told")
                continue
            self._tell(f"{name} ...")
            if pauses:
                request = SetBool.Request(data=not self.paused)
            else:
                request = LabelEpisode.Request(label=CODES[what])
            self._asked = future = client.call_async(request)
            self._asked_for, self._asked_s = name, time.monotonic()
            future.add_done_callback(partial(self._on_answer, name))

    def _on_answer(self, name: str, future: Future) -> None:
        answer = future.result()
        if answer.success and name in (PAUSE, "continue"):
            self.paused = name == PAUSE
        outcome = "noted" if answer.success else "refused"
        late = "" if future is self._asked else " after all"
        self._tell(f"{name} {outcome}{late}" + (f": {answer.message}" if answer.message else ""))
        if future is self._asked:
            self._asked = None
            self._ask_next()

    def _check(self) -> None:
        if self._asked is None or time.monotonic() - self._asked_s < ANSWER_S:
            return
        told = f"{self._asked_for}: the actor has not answered for {ANSWER_S:g} s; it may have been taken"
        if self._waiting:
            told += f"; dropped: {', '.join(self._waiting)}"
        self._waiting.clear()
        self._asked = None
        self._tell(told)
