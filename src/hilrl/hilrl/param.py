"""`hilrl param`: look at and change the parameters of a running graph, where there is no `ros2 param`."""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rcl_interfaces.msg import ParameterDescriptor

from hilrl import parameter_files
from hilrl.graph_client import GraphClient, connected, fitted
from hilrl.session import attach


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `hilrl param`."""
    parser.description = (
        "Parameters of the nodes of the newest run on this machine, or of the ROS domain that ROS_DOMAIN_ID "
        "names. A node is named with or without its namespace. What docs/parameters.md calls tunable can be "
        "set while the graph runs; a value that makes no sense is refused with the reason."
    )
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", dest="verb", required=True)
    add = verbs.add_parser
    listing = add("list", help="names of all parameters")
    listing.add_argument("node", nargs="?", help="default: all nodes")
    getting = add("get", help="values")
    getting.add_argument("node")
    getting.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    setting = add("set", help="change values, all of them or none")
    setting.add_argument("node")
    setting.add_argument(
        "values", nargs="+", metavar="NAME VALUE | NAME=VALUE", help="a value is written as in YAML"
    )
    describing = add("describe", help="what parameters are for, and what they may be")
    describing.add_argument("node")
    describing.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    dumping = add("dump", help="all values as a parameter file")
    dumping.add_argument("node", nargs="?", help="default: all nodes")
    loading = add("load", help="set what a parameter file says and the running graph can change")
    loading.add_argument("file", type=Path)
    add("table", help="the reference of all nodes' parameters, docs/parameters.md; needs no running graph")


def run(chosen: argparse.Namespace) -> int:
    """The exit status. Raises RuntimeError where something is refused, ValueError for bad input."""
    if chosen.verb == "table":
        from hilrl import parameter_reference  # which imports all nodes

        print(parameter_reference.markdown(), end="")
        return 0
    asked = assignments(chosen.values) if chosen.verb == "set" else {}
    wanted = parameter_files.load(chosen.file) if chosen.verb == "load" else {}
    folder = attach()
    started = folder.started() if folder else set()
    with connected() as graph:
        if chosen.verb == "set":
            return _set(graph, graph.find(chosen.node), asked)
        if chosen.verb == "load":
            return _load(graph, wanted, started)
        if chosen.node:
            nodes, concerned = [graph.find(chosen.node)], set[str]()
        else:
            nodes, concerned = graph.nodes(lambda found: bool(found) and started <= found), started
        if not nodes:
            raise RuntimeError("no node runs in this ROS domain; start a graph with `hilrl up`")
        show = {"list": _list, "get": _get, "describe": _describe, "dump": _dump}[chosen.verb]
        for node in nodes:
            show(graph, node, getattr(chosen, "names", None) or graph.parameter_names(node))
        return 1 if _missing(concerned, nodes) else 0


def assignments(words: Sequence[str]) -> dict[str, Any]:
    """Values by name, of `NAME VALUE` or any number of `NAME=VALUE`.

    Raises ValueError saying what is missing.
    """
    if len(words) == 2 and "=" not in words[0]:
        words = ["=".join(words)]
    values = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (equals and name):
            raise ValueError(f"{word!r}: expected NAME VALUE, or any number of NAME=VALUE")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{name}: expected a YAML value: {parameter_files.one_line(error)}") from error
        if values[name] is None or isinstance(values[name], dict):
            raise ValueError(f"{name}: expected a value or a list of values, got {text!r}")
    return values


def _set(graph: GraphClient, node: str, values: Mapping[str, Any]) -> int:
    if reason := graph.change(node, values):
        raise RuntimeError(f"{node} refuses it: {reason}")
    for name, value in graph.values(node, list(values)).items():
        print(f"{node} {name}: {_text(value)}")
    return 0


def _load(graph: GraphClient, wanted: Mapping[str, Mapping[str, Any]], started: set[str]) -> int:
    """Everything that can be set; 1 where something of the file is not in force afterwards.

    `started`: the graph's nodes by fully qualified name, none where that is not known. One of them that is
    not found is amiss; others of the file are waited for and need not be there.
    """
    concerned = {node for node in started if _base(node) in wanted}

    def all_there(found: set[str]) -> bool:
        return concerned <= found if started else set(wanted) <= {_base(node) for node in found}

    running = graph.nodes(all_there)
    missed = 0
    for name, values in wanted.items():
        nodes = [node for node in running if _base(node) == name]
        if not nodes:
            print(f"{name}: does not run; nothing to set")
        for node in nodes:
            missed += _load_one(graph, node, values)
    return 1 if missed + _missing(concerned, running) else 0


def _missing(started: Collection[str], found: Collection[str]) -> int:
    """How many of the graph's nodes were not found; each is named beside the output proper."""
    missing = sorted(set(started) - set(found))
    for node in missing:
        print(f"{node}: was started and does not answer", file=sys.stderr)
    return len(missing)


def _base(node: str) -> str:
    return node.rpartition("/")[2]


def _load_one(graph: GraphClient, node: str, values: Mapping[str, Any]) -> int:
    """How many of the values are not in force."""
    about, now = graph.descriptors(node, list(values)), graph.values(node, list(values))
    changes = {name: value for name, value in values.items() if fitted(value, about[name].type) != now[name]}
    fixed = [name for name in changes if about[name].read_only]
    for name in fixed:
        print(
            f"{node} {name}: stays {_text(now[name])}: it is fixed while the node runs; "
            f"start the graph with {_text(changes[name])}"
        )
    tunable = {name: value for name, value in changes.items() if name not in fixed}
    if tunable and (reason := graph.change(node, tunable)):
        print(f"{node}: refuses {', '.join(tunable)}: {reason}")
        return len(changes)
    for name in tunable:
        print(f"{node} {name}: {_text(now[name])} -> {_text(tunable[name])}")
    return len(fixed)


def _list(graph: GraphClient, node: str, names: Sequence[str]) -> None:
    print("\n".join([f"{node}:", *(f"  {name}" for name in names)]))


def _get(graph: GraphClient, node: str, names: Sequence[str]) -> None:
    for name, value in graph.values(node, names).items():
        print(f"{name}: {_text(value)}")


def _describe(graph: GraphClient, node: str, names: Sequence[str]) -> None:
    values = graph.values(node, names)
    for name, descriptor in graph.descriptors(node, names).items():
        kept = "fixed while the node runs" if descriptor.read_only else "tunable"
        print(f"{name}: {_text(values[name])}\n  {descriptor.description}; {range_text(descriptor)}{kept}")


def _dump(graph: GraphClient, node: str, names: Sequence[str]) -> None:
    # ROS files cannot hold a list without an element to tell a type by.
    values = {name: value for name, value in graph.values(node, names).items() if value not in (None, [])}
    print(parameter_files.dump({node: values}), end="")


def range_text(descriptor: ParameterDescriptor) -> str:
    """The range, with a separator behind it, or ''."""
    for span in (*descriptor.floating_point_range, *descriptor.integer_range):
        return f"from {span.from_value} to {span.to_value}; "
    return ""


def _text(value: Any) -> str:
    """As one writes it in YAML, on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
