"""The way home by MoveIt: it proposes, and the clearances of our own planner decide.

MoveIt runs in a process of its own (moveit_process.py): while it plans it holds Python's lock, and a control
loop in the same process would stand still for as long.
"""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection

import numpy as np

from hilrl_control.home_path import HomePath, HomePlanner, HomeQuestion
from hilrl_control.kinematics import Array

PROPOSALS = 3
"""Ways that are looked at: each is drawn anew, and may come nearer to something than the clearance."""
LIMIT_S = 1.5
"""For all of them together; whoever asked does so again after 2 s."""
END_S = 2.0


@dataclass(frozen=True)
class Request:
    """What MoveIt needs to know for one proposal. Goes from one of our processes to the other."""

    start: Array
    """Shape (6,) [rad]."""
    goal: Array
    """Shape (6,) [rad]; the jaw is as at the start."""
    table_z_m: float
    """Height of the table in the base frame [m]."""
    limit_s: float
    """For planning [s]."""


Serve = Callable[[Connection, str, str], None]
"""serve(connection, urdf, namespace), in a process of its own: gets pairs of a number and a Request, and
answers with the number and waypoints, shape (n, 5) [rad], or a str, why there are none. None ends it."""


def expect_moveit() -> None:
    """Raises ValueError where moveit_py is not installed."""
    if find_spec("moveit") is None:
        raise ValueError(
            "planner: expected moveit_py to be installed for 'moveit', it is missing; "
            "sudo apt install ros-jazzy-moveit ros-jazzy-moveit-py, or leave planner at 'own'"
        )


class MoveItPlanner:
    """The contract of `Planner`."""

    def __init__(self, own: HomePlanner, urdf: str, namespace: str, serve: Serve) -> None:
        """`own`: looks at what is proposed. `urdf`: the arm's description. Starts the process."""
        self._own = own
        self._new_process = lambda: _Process(serve, urdf, namespace)
        self._process: _Process | None = self._new_process()
        self.limit_s = LIMIT_S
        """Of wall time for one plan."""

    def plan(self, question: HomeQuestion) -> HomePath | str:
        """See `Planner.plan`."""
        until_s = time.monotonic() + self.limit_s
        refusal: HomePath | str = ""
        for _ in range(PROPOSALS):
            left_s = until_s - time.monotonic()
            if left_s <= 0.0:
                break
            proposed = self._propose(question, left_s)
            if isinstance(proposed, str):
                return proposed
            refusal = self._own.checked(question, proposed, "moveit")
            if isinstance(refusal, HomePath):
                return refusal
        return refusal

    def close(self) -> None:
        """End MoveIt, and with it what is being planned."""
        if self._process is not None:
            self._process.end()

    def _propose(self, question: HomeQuestion, limit_s: float) -> list[Array] | str:
        goal = np.append(question.settings.home_joints[:5], question.start[5])
        request = Request(question.start, goal, question.settings.table_z_m, limit_s)
        if self._process is None:
            self._process = self._new_process()
        try:
            answer = self._process.ask(request, limit_s)
        except (EOFError, OSError):
            # The next question starts another one.
            self._process.end()
            self._process = None
            return "MoveIt has ended; it is started again"
        if answer is None:
            return f"MoveIt has found no way within {self.limit_s:.1f} s, or is still starting"
        return answer if isinstance(answer, str) else list(answer)


class _Process:
    """One process that answers requests in turn."""

    def __init__(self, serve: Serve, urdf: str, namespace: str) -> None:
        # Not forked: what a fork of a process with threads holds locked is locked for ever.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, urdf, namespace), daemon=True)
        self._process.start()
        theirs.close()
        self._number = 0

    def ask(self, request: Request, limit_s: float) -> Array | str | None:
        """The answer, or None where there is none in time. Raises EOFError or OSError where it has ended."""
        self._number += 1
        self._connection.send((self._number, request))
        until_s = time.monotonic() + limit_s
        while self._connection.poll(max(0.0, until_s - time.monotonic())):
            number, answer = self._connection.recv()
            # One that came too late answers another question.
            if number == self._number:
                return answer
        return None

    def end(self) -> None:
        """Whatever it is doing. Asked to first: other nodes would take a killed one for alive."""
        with suppress(OSError):
            self._connection.send(None)
        self._process.join(END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()
