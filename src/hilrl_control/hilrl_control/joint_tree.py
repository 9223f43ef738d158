"""RRT-Connect (Kuffner and LaValle, 2000): two trees in joint space that grow towards each other."""

from collections.abc import Callable

import numpy as np

from hilrl_control.kinematics import Array

STEP_RAD = 0.5
"""Length of a branch, of the joint that turns most."""
SHORT_CUTS = 20
"""Pairs of points that a found way is tried to be cut short between."""

IsFree = Callable[[Array, Array], bool]
"""Whether the straight joint line between two poses can be gone."""


class SearchEnded(Exception):
    """Raised by `IsFree` when it has been asked too much."""


class _Tree:
    def __init__(self, root: Array) -> None:
        self.poses, self.parents = [root], [-1]

    def nearest(self, pose: Array) -> int:
        return int(np.abs(np.array(self.poses) - pose).max(axis=1).argmin())

    def add(self, pose: Array, parent: int) -> int:
        self.poses.append(pose)
        self.parents.append(parent)
        return len(self.poses) - 1

    def way_from_root(self, index: int) -> list[Array]:
        way = []
        while index >= 0:
            way.append(self.poses[index])
            index = self.parents[index]
        return way[::-1]


def connect(
    start: Array,
    goal: Array,
    lower: Array,
    upper: Array,
    is_free: IsFree,
    generator: np.random.Generator,
) -> list[Array]:
    """A way from `start` to `goal`, both included; goes on until `is_free` raises SearchEnded."""
    here, there = _Tree(start), _Tree(goal)
    forwards = True
    while True:
        wanted = generator.uniform(lower, upper)
        near = here.nearest(wanted)
        new = _towards(here.poses[near], wanted)
        if is_free(here.poses[near], new):
            at = here.add(new, near)
            other = there.nearest(new)
            while is_free(there.poses[other], step := _towards(there.poses[other], new)):
                other = there.add(step, other)
                if np.array_equal(step, new):
                    way = here.way_from_root(at) + there.way_from_root(other)[-2::-1]
                    return way if forwards else way[::-1]
        here, there, forwards = there, here, not forwards


def shortened(way: list[Array], is_free: IsFree, generator: np.random.Generator) -> list[Array]:
    """The way with its detours left out, as far as `is_free` answers."""
    try:
        for _ in range(SHORT_CUTS):
            if len(way) < 3:
                break
            first, last = sorted(generator.choice(len(way), 2, replace=False))
            if last - first > 1 and is_free(way[first], way[last]):
                way = [*way[: first + 1], *way[last:]]
    except SearchEnded:
        pass
    return way


def _towards(pose: Array, wanted: Array) -> Array:
    turn = wanted - pose
    largest = float(np.abs(turn).max())
    return wanted if largest <= STEP_RAD else pose + turn * (STEP_RAD / largest)
