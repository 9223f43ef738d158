"""Processes in the place of MoveIt's, for a planner that must not trust it."""

import os
import time

import numpy as np


def _serve(connection, answer):
    try:
        while (asked := connection.recv()) is not None:
            number, request = asked
            connection.send((number, answer(request)))
    except (EOFError, OSError):
        pass


def straight(connection, urdf, namespace):
    """The line in joint space, whatever it leads through."""
    _serve(connection, lambda request: np.array([request.start[:5], request.goal[:5]]))


def refusing(connection, urdf, namespace):
    """Finds nothing."""
    _serve(connection, lambda request: "MoveIt found no way home, its error code is -1")


def silent(connection, urdf, namespace):
    """Never answers."""
    time.sleep(3600)


def dying(connection, urdf, namespace):
    """Is gone when it is asked."""
    connection.recv()
    os._exit(1)


def late(connection, urdf, namespace):
    """Each answer comes when the next question is there: the way from where the arm was before."""
    first = connection.recv()
    while (asked := connection.recv()) is not None:
        connection.send((first[0], np.full((2, 5), 9.0)))
        connection.send((asked[0], np.array([asked[1].start[:5], asked[1].goal[:5]])))
        first = asked
