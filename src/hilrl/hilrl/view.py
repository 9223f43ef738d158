"""Shows a run's progress: a table that stays in place on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table

from hilrl.progress import Progress, clock
from hilrl.supervisor import Health

LINE_PERIOD_S = 10.0
REFRESH_PERIOD_S = 0.5

PHASE_MEANINGS = {
    "starting": "the nodes are starting and finding each other",
    "demonstrations": "the operator shows the task; every step is stored",
    "pre-training": "the policy learns from the demonstrations, the arm waits",
    "training": "the policy acts, the operator takes over when it gets stuck, every step trains it",
    "finished": "the time is up; the arm ends its episode",
}


class View:
    """Use as a context: draws on entering, leaves the last state on the screen."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress = progress
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next_draw = 0.0
        self._shown_phase = ""

    def __enter__(self) -> "View":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def draw(self, health: Mapping[str, Health]) -> None:
        """Show the present state if it is time to."""
        now = time.monotonic()
        changed = self.progress.phase != self._shown_phase
        if now < self._next_draw and not changed:
            return
        self._shown_phase = self.progress.phase
        if self._live:
            self._next_draw = now + REFRESH_PERIOD_S
            self._live.update(self._table(health), refresh=True)
        else:
            self._next_draw = now + LINE_PERIOD_S
            self._console.print(self._line(health, changed), highlight=False, soft_wrap=True)

    def _table(self, health: Mapping[str, Health]) -> Table:
        fields = self.progress.fields(health)
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_row("time", clock(self.progress.log.elapsed_s))
        for label, text in fields.items():
            style = {"phase": "bold", "nodes": "red"}.get(label, "")
            table.add_row(label, text, style=style)
        table.add_row("", PHASE_MEANINGS.get(self.progress.phase, ""), style="dim")
        return table

    def _line(self, health: Mapping[str, Health], changed: bool) -> str:
        fields = self.progress.fields(health)
        phase = fields.pop("phase")
        rest = "  ".join(f"{label} {text}" for label, text in fields.items())
        meaning = f"\n      ({PHASE_MEANINGS.get(self.progress.phase, '')})" if changed else ""
        return f"{clock(self.progress.log.elapsed_s):>5} {phase:<21} {rest}{meaning}"
