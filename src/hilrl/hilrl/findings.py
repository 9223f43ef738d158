"""What `hilrl doctor` finds, and how it says so."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What to make of a finding."""

    WELL = "well"
    NOTE = "note"
    """Nothing is wrong, and somebody may want to know."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    what: str
    advice: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        """One line, or two."""
        lines = [f"  {self.verdict.value:<6}{self.what}"]
        return "\n".join([*lines, f"{'':8}{self.advice}"] if self.advice else lines)


def well(what: str) -> Finding:
    """As it should be."""
    return Finding(Verdict.WELL, what)


def note(what: str, advice: str = "") -> Finding:
    """Worth knowing."""
    return Finding(Verdict.NOTE, what, advice)


def wrong(what: str, advice: str) -> Finding:
    """Somebody has to do something."""
    return Finding(Verdict.WRONG, what, advice)


def wrongs(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are wrong."""
    return [finding for finding in findings if finding.verdict is Verdict.WRONG]
