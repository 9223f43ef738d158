"""One reading under watch: which level it has reached, for long enough, and what to say of that."""

import math
from dataclasses import dataclass

from hilrl_hardware.health_limits import NEVER, Level, Steps

_LEVELS = (Level.WARN, Level.HOLD, Level.EASE_OFF)


@dataclass(frozen=True)
class Quantity:
    """How to speak of a reading."""

    name: str
    verb: str
    """What the servo does: "draws"; the figure follows, where there is a `unit`."""
    unit: str = ""
    digits: int = 0
    scale: float = 1.0
    """Of what is shown to what is measured."""
    until: str = ""
    """When a hold ends; by default when the reading is back within its limit."""
    warning: str = ""
    """Follows a mere warning; by default where the hold begins."""

    def text(self, who: str, value: float, level: Level, steps: Steps, gives_way: bool = False) -> str:
        """The message: who, what, the limit, and what the driver does about it."""
        figures = f" {self._show(value)}, limit {self._show(steps.limit(level))}" if self.unit else ""
        after_s = steps.after_s(level)
        lasting = f" for {after_s:g} s" if after_s >= 0.1 else ""
        return f"{who} {self.verb}{figures}{lasting}{self._reaction(level, steps, gives_way)}"

    def _reaction(self, level: Level, steps: Steps, gives_way: bool) -> str:
        if level is Level.EASE_OFF:
            return ": the arm is let down and its torque goes off, until it is enabled again"
        if level is Level.HOLD:
            side = "above" if steps.falling else "below"
            until = (
                f"until it is {side} {self._show(steps.release(level))}"
                if self.unit
                else "until that is over"
            )
            return f": the arm holds{' and this joint gives way' if gives_way else ''} {self.until or until}"
        if self.warning:
            return f"; {self.warning}"
        return f"; the arm holds at {self._show(steps.hold)}" if math.isfinite(steps.hold) else ""

    def _show(self, value: float) -> str:
        return f"{value * self.scale:.{self.digits}f} {self.unit}"


class Watch:
    """The level of one reading."""

    def __init__(self, quantity: Quantity, steps: Steps) -> None:
        self.quantity = quantity
        self.level = Level.OK
        self._beyond_s = [0.0] * len(Level)
        self._clear_s = 0.0
        self.use(steps)

    def use(self, steps: Steps) -> None:
        """Go by these limits from now on."""
        self.steps = steps
        self._sign = -1.0 if steps.falling else 1.0
        self._limits = [(level, self._sign * steps.limit(level), steps.after_s(level)) for level in _LEVELS]
        self._releases = [self._sign * steps.release(level) for level in Level]
        self.first = min(limit for _, limit, _ in self._limits)
        """Readings below this are of no interest to a calm watch; for falling steps, negative readings."""

    @property
    def calm(self) -> bool:
        """Whether the reading is within all limits, and was."""
        return self.level is Level.OK and not any(self._beyond_s)

    def update(self, value: float, elapsed_s: float, recover_s: float) -> bool:
        """Whether `value`, `elapsed_s` after the one before, changes the level. NaN never does."""
        badness, reached = self._sign * value, Level.OK
        for level, limit, after_s in self._limits:
            if badness >= limit != NEVER:
                self._beyond_s[level] += elapsed_s
                if self._beyond_s[level] >= after_s - 1e-9:  # sums of hundredths are not exact
                    reached = level
            elif badness < limit:
                self._beyond_s[level] = 0.0
        if reached > self.level:
            self.level, self._clear_s = reached, 0.0
            return True
        if self.level is Level.OK:
            return False
        release = self._releases[self.level]
        if badness >= release:
            self._clear_s = 0.0
        elif badness < release:
            self._clear_s += elapsed_s
        if self._clear_s < recover_s:
            return False
        self.level, self._clear_s = reached, 0.0
        return True
