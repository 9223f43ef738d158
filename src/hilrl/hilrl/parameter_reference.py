"""docs/parameters.md: every parameter of every node, from the tables that declare them."""

from hilrl.parameter_tables import ALGORITHM, CAMERAS, PAD, parameter_tables
from hilrl_ros.parameters import Parameter, Value

HEAD = f"""\
# Parameters

Written by `hilrl param table > docs/parameters.md` from what the nodes declare; do not edit.

A *tunable* parameter can be changed while the graph runs: `hilrl param set ee_controller step_m 0.01`, or
`ros2 param set /so101/ee_controller step_m 0.01`; it takes effect on the next tick. A *fixed* one is given at
the start: `hilrl up train --set ee_controller.leash_m=0.05`, or in a parameter file. A value out of range, or
one that does not go together with others, is refused with the reason. Values that only make sense together
are set together: `hilrl param set ee_controller workspace_min=[0.1,-0.1,0.0] workspace_max=[0.3,0.1,0.2]`.

Of blocks that there may be several of, one is shown: `crop.<camera>` for {" and ".join(CAMERAS)}, the pad
`{PAD}`, the algorithm `{ALGORITHM}`, one camera. `config/presets/` holds sets of values that belong together:
`--params-file` starts a graph with one, `hilrl param load` lays one over a running graph.
"""
TYPES = {bool: "bool", int: "int", float: "double", str: "string"}


def markdown() -> str:
    """The whole page."""
    sections = [HEAD]
    for node, table in parameter_tables().items():
        sections.append(f"\n## {node}\n\n| name | type | default | may be | | |\n|---|---|---|---|---|---|\n")
        sections += [_row(parameter) for parameter in table]
    return "".join(sections)


def _row(parameter: Parameter) -> str:
    cells = (
        f"`{parameter.name}`",
        _type(parameter),
        _value(parameter.default),
        _range(parameter),
        "fixed" if parameter.read_only else "tunable",
        parameter.description,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _type(parameter: Parameter) -> str:
    default = parameter.default
    if not isinstance(default, list):
        return TYPES[type(default)]
    element = type(default[0]) if default else parameter.element_type
    return f"{TYPES[element]}[{parameter.length or ''}]"


def _value(value: Value) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return (
        f"{value:.6g}" if isinstance(value, float) else f'"{value}"' if isinstance(value, str) else str(value)
    )


def _range(parameter: Parameter) -> str:
    if parameter.choices is not None:
        return ", ".join(map(_value, parameter.choices))
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return f"at most {high:g}" if high is not None else ""
