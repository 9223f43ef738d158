"""One choice of a user: its name, its type, what it may be."""

from dataclasses import dataclass
from typing import Any

Value = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One choice; its type is that of the default."""

    name: str
    default: Value
    description: str
    sets: tuple[str, ...] = ()
    """Node parameters that take this value, as "node.parameter"."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    may_change: bool = False
    """May differ when an existing run goes on."""

    def parse(self, text: str) -> Value:
        """The value that `text` stands for. Raises ValueError naming the option."""
        try:
            value: Value = _BOOLEANS[text.lower()] if self.kind is bool else self.kind(text)
        except (KeyError, ValueError):
            raise ValueError(f"{self.name}: expected {_KIND_NAMES[self.kind]}, got {text!r}") from None
        return self.check(value)

    def check(self, value: Any) -> Value:
        """`value`, if it may stand for this option. Raises ValueError naming the option."""
        if self.kind is float and type(value) is int:
            value = float(value)
        if type(value) is not self.kind:
            raise ValueError(f"{self.name}: expected {_KIND_NAMES[self.kind]}, got {value!r}")
        if self.choices and value not in self.choices:
            raise ValueError(f"{self.name}: expected one of {list(self.choices)}, got {value!r}")
        # Written so that nan is refused too.
        if self.minimum is not None and not value >= self.minimum:
            raise ValueError(f"{self.name}: expected at least {self.minimum}, got {value!r}")
        return value

    @property
    def default_text(self) -> str:
        """The default as a user would write it."""
        return str(self.default).lower() if self.kind is bool else str(self.default)

    @property
    def kind(self) -> type:
        """bool, int, float or str."""
        return type(self.default)


_BOOLEANS = {"true": True, "false": False}
_KIND_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
