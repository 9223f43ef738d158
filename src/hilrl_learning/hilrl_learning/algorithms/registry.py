"""Algorithms by name. An algorithm is one file with one class and its config dataclass.

Other packages add theirs by an entry point of the group `hilrl_learning.algorithms`, named as the algorithm:

    [options.entry_points]
    hilrl_learning.algorithms =
        cloning = my_lab.cloning
"""

from collections.abc import Callable
from importlib.metadata import entry_points

from hilrl_learning.algorithms.base import RLAlgorithm

GROUP = "hilrl_learning.algorithms"
_ALGORITHMS: dict[str, type[RLAlgorithm]] = {}


def register(name: str) -> Callable[[type[RLAlgorithm]], type[RLAlgorithm]]:
    """Class decorator: make an `RLAlgorithm` known under `name`. Raises ValueError when taken."""

    def add(cls: type[RLAlgorithm]) -> type[RLAlgorithm]:
        if name in _ALGORITHMS:
            raise ValueError(f"algorithm {name!r} is registered already, by {_ALGORITHMS[name].__name__}")
        _ALGORITHMS[name] = cls
        cls.name = name
        return cls

    return add


def algorithm(name: str) -> type[RLAlgorithm]:
    """The class registered under `name`. Raises ValueError naming the known ones."""
    if name in _ALGORITHMS:  # looking through what is installed takes milliseconds
        return _ALGORITHMS[name]
    others = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name in others:
        others[name].load()
    try:
        return _ALGORITHMS[name]
    except KeyError:
        known = sorted({*_ALGORITHMS, *others})
        raise ValueError(f"algorithm: expected one of {known}, got {name!r}") from None
