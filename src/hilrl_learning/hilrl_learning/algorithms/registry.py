"""Algorithms by name. An algorithm is one file with one class and its config dataclass."""

from hilrl_learning.algorithms.base import RLAlgorithm

_ALGORITHMS: dict[str, type[RLAlgorithm]] = {}


def register(name: str):
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
    try:
        return _ALGORITHMS[name]
    except KeyError:
        raise ValueError(f"algorithm: expected one of {sorted(_ALGORITHMS)}, got {name!r}") from None
