"""The way home by MoveIt: it proposes, and the clearances of our own planner decide.

MoveIt runs in a process of its own (moveit_process.py): while it plans it holds Python's lock, and a control
loop in the same process would stand still for as long.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from multiprocessing import Pipe

import numpy as np

from hilrl_control.home_path import HomePath, HomePlanner, HomeQuestion
from hilrl_control.kinematics import Array
from hilrl_control.moveit_request import Request

PROPOSALS = 3
"""Ways that are looked at: each is drawn anew, and may come nearer to something than the clearance."""
LIMIT_S = 1.5
"""For all of them together; whoever asked does so again after 2 s."""
END_S = 2.0


MOVEIT = ("-m", "hilrl_control.moveit_process")
"""Arguments of Python; the number of a connection and the namespace follow. The process gets the arm's
description, then pairs of a number and a Request; it answers with the number and waypoints, shape (n, 5)
[rad], or a str, why there are none. None, or the end of the connection, ends it."""


def expect_moveit() -> None:
    """Raises ValueError where moveit_py is not installed."""
    if find_spec("moveit") is None:
        raise ValueError(
            "planner: expected moveit_py to be installed for 'moveit', it is missing; "
            "sudo apt install ros-jazzy-moveit ros-jazzy-moveit-py, or leave planner at 'own'"
        )


class MoveItPlanner:
    """The contract of `Planner`."""

    def __init__(self, own: HomePlanner, urdf: str, namespace: str, program: Sequence[str] = MOVEIT) -> None:
        """`own`: looks at what is proposed. `urdf`: the arm's description. Starts `program`."""
        self._own = own
        self._new_process = lambda: _Process(program, urdf, namespace)
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

    def __init__(self, program: Sequence[str], urdf: str, namespace: str) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            command = [sys.executable, *program, str(theirs.fileno()), namespace]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        with suppress(OSError):  # it has ended already, which the first request tells
            self._connection.send(urdf)
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
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._connection.close()
