"""Everything a run is made from, resolved: for a new run, and for one that goes on."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory

from hilrl import graph, options, parameter_files
from hilrl.parameter_files import NodeParameters

VERSIONED = ("circus", "mujoco", "numpy", "pin", "pin-pink", "ros-rclpy", "torch")
Assignment = tuple[str, str, Any]
"""(node, parameter, value), from `--set`."""


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made from, resolved; `config.yaml` in its folder."""

    options: dict[str, Any]
    parameters: NodeParameters
    """Of all nodes, by node name."""
    created: str = ""
    commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def new_config(choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> RunConfig:
    """Resolve a new run: config files, options and `--set`. Raises ValueError naming what is wrong."""
    chosen = options.checked(choices)
    share = Path(get_package_share_directory("hilrl"))
    files = ("train.yaml" if chosen["sim"] else "arm.yaml", "teleop.yaml")
    layers = [parameter_files.load(share / "config" / name) for name in files]
    if chosen["params_file"]:
        layers.append(parameter_files.load(Path(chosen["params_file"])))
    layers.append(as_parameters(assignments))
    return RunConfig(
        options=chosen,
        parameters=graph.resolve_parameters(chosen, layers),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        commit=_commit(),
        versions={"python": sys.version.split()[0], **_versions()},
    )


def resumed_config(
    stored: RunConfig, choices: Mapping[str, Any], assignments: Sequence[Assignment]
) -> RunConfig:
    """The stored configuration with what may change in the middle of a run.

    Raises ValueError for a choice that contradicts the run.
    """
    parameters = parameter_files.merged([stored.parameters])
    for name, value in choices.items():
        option = options.BY_NAME[name]
        option.check(value)
        if value == stored.options[name]:
            continue
        if not option.may_change:
            raise ValueError(
                f"{name}: the run was begun with {stored.options[name]!r}, got {value!r}; "
                "leave it out, or begin a new run"
            )
        for target in option.sets:
            node, parameter = target.split(".")
            parameters[node][parameter] = value
    for node, parameter, value in assignments:
        begun_with = parameters.get(node, {}).get(parameter)
        if begun_with != value:
            raise ValueError(
                f"--set {node}.{parameter}: the run was begun with {begun_with!r}, got {value!r}; "
                "leave it out, or begin a new run"
            )
    changed = options.checked({**stored.options, **choices})
    return replace(stored, options=changed, parameters=parameters)


def default_name(choices: Mapping[str, Any]) -> str:
    """For example lift-s0-20261121-093000."""
    return f"{choices['task']}-s{choices['seed']}-{time.strftime('%Y%m%d-%H%M%S')}"


def as_parameters(assignments: Sequence[Assignment]) -> NodeParameters:
    """Assignments by node."""
    parameters: NodeParameters = {}
    for node, parameter, value in assignments:
        parameters.setdefault(node, {})[parameter] = value
    return parameters


def _versions() -> dict[str, str]:
    """Versions of what a result depends on; what is not installed as a distribution is left out."""
    found = {}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """Commit of the source tree, with "-dirty" where it was changed; empty for a copied install."""
    described = subprocess.run(
        ["git", "-C", str(Path(__file__).resolve().parent), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip()
