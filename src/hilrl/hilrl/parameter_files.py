"""ROS parameter files in the `/**/node_name: ros__parameters:` style, read and written."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

NodeParameters = dict[str, dict[str, Any]]
"""Parameter values by node name (without namespace) and parameter name."""


def load(path: Path) -> NodeParameters:
    """The parameters in a file. Raises ValueError naming the file and the key at fault."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: expected a readable YAML file: {one_line(error)}") from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: expected node names at the top, got {document!r}")
    parameters: NodeParameters = {}
    for key, block in document.items():
        values = block.get("ros__parameters") if isinstance(block, dict) else None
        if not isinstance(values, dict):
            raise ValueError(f"{path}: {key}: expected a block ros__parameters, got {block!r}")
        parameters.setdefault(str(key).rsplit("/", 1)[-1], {}).update(values)
    return parameters


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """(node, parameter, value) of "node.parameter=value", the value read as YAML.

    Raises ValueError saying what is missing.
    """
    target, equals, value = text.partition("=")
    node, dot, parameter = target.strip().partition(".")
    if not (equals and dot and node and parameter):
        raise ValueError(f"--set {text}: expected NODE.PARAMETER=VALUE")
    try:
        return node, parameter, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"--set {text}: expected a YAML value: {one_line(error)}") from error


def merged(layers: Iterable[Mapping[str, Mapping[str, Any]]]) -> NodeParameters:
    """All layers in one; later layers win."""
    result: NodeParameters = {}
    for layer in layers:
        for node, values in layer.items():
            result.setdefault(node, {}).update(values)
    return result


def dump(parameters: Mapping[str, Mapping[str, Any]]) -> str:
    """A parameter file for these nodes; keys may be bare or fully qualified names."""
    blocks = {node: {"ros__parameters": dict(v)} for node, v in parameters.items() if v}
    return yaml.dump(blocks, Dumper=_QuotedStrings, sort_keys=True)


class _QuotedStrings(yaml.SafeDumper):
    """To ROS a bare y or n is a boolean, to PyYAML a text."""


_QuotedStrings.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")
)


def one_line(error: Exception) -> str:
    """An error on one line; YAML errors span several."""
    return " ".join(str(error).split())
