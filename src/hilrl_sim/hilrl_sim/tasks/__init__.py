"""The tasks. Every module of this package that defines a `Task` subclass adds one; no list to keep."""

import importlib
import inspect
import pkgutil

from hilrl_sim.tasks.base import Task


def _discover() -> dict[str, type[Task]]:
    found: dict[str, type[Task]] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, Task) and value.__module__ == module.__name__ and value is not Task:
                found[value.name] = value
    return found


TASKS = _discover()
"""Name to class."""


def create(name: str) -> Task:
    """The task called `name`. Raises ValueError listing the known ones."""
    if name not in TASKS:
        raise ValueError(f"task: expected one of {sorted(TASKS)}, got {name!r}")
    return TASKS[name]()
