"""What a message type is made of, as text: whoever reads a recording needs nothing installed."""

import re
from importlib import import_module
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

_SEPARATOR = "=" * 80
_NESTED = re.compile(r"\w+/\w+")


def message_class(type_name: str) -> type:
    """The class of a message type such as "sensor_msgs/msg/Image". Raises ValueError if it is not here."""
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        raise ValueError(f"{type_name}: expected a message type that is installed here") from None


def full_definition(type_name: str) -> str:
    """The .msg file of the type, followed by those of all types in it, as rosbag2 joins them.

    Raises ValueError naming a type that is not installed, or comes without its .msg file.
    """
    wanted = [type_name]
    # Grows while it is walked through.
    for wanted_name in wanted:
        fields = message_class(wanted_name).get_fields_and_field_types().values()
        nested = (name.replace("/", "/msg/") for kind in fields for name in _NESTED.findall(kind))
        wanted += [name for name in dict.fromkeys(nested) if name not in wanted]
    first, *others = wanted
    parts = [_own_definition(first)]
    parts += [f"{_SEPARATOR}\nMSG: {name.replace('/msg/', '/')}\n{_own_definition(name)}" for name in others]
    return "".join(parts)


def _own_definition(type_name: str) -> str:
    package, _, name = type_name.partition("/msg/")
    try:
        path = Path(get_package_share_directory(package), "msg", f"{name}.msg")
        return path.read_text().rstrip("\n") + "\n"
    except (PackageNotFoundError, OSError) as error:
        raise ValueError(f"{type_name}: expected its .msg file: {error}") from error
