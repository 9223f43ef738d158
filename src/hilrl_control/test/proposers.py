"""Programs in the place of MoveIt's, for a planner that must not trust it.

python proposers.py NAME CONNECTION NAMESPACE
"""

import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np


def answering(connection: Connection, answer: Callable) -> None:
    """Each request in turn."""
    try:
        while (asked := connection.recv()) is not None:
            number, request = asked
            connection.send((number, answer(request)))
    except (EOFError, OSError):
        pass


def straight(connection):
    """The line in joint space, whatever it leads through."""
    answering(connection, lambda request: np.array([request.start[:5], request.goal[:5]]))


def refusing(connection):
    """Finds nothing."""
    answering(connection, lambda request: "MoveIt found no way home, its error code is -1")


def silent(connection):
    """Never answers, and does not end when asked to."""
    time.sleep(3600)


def dying(connection):
    """Is gone when it is asked."""
    connection.recv()


def late(connection):
    """Each answer comes when the next question is there: the way from where the arm was before."""
    first = connection.recv()
    while (asked := connection.recv()) is not None:
        connection.send((first[0], np.full((2, 5), 9.0)))
        connection.send((asked[0], np.array([asked[1].start[:5], asked[1].goal[:5]])))
        first = asked


if __name__ == "__main__":
    pipe = Connection(int(sys.argv[2]))
    assert pipe.recv().startswith("<?xml")
    globals()[sys.argv[1]](pipe)
