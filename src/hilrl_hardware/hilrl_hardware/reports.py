"""What a core has to tell a person, on its way to the node's log."""

from collections.abc import Callable
from enum import IntEnum


class Severity(IntEnum):
    """As in a log."""

    INFO = 0
    WARNING = 1
    ERROR = 2


Report = Callable[[Severity, str], None]
"""Takes a text. Where trouble may come in every cycle, its text begins with the same words up to ':'."""
