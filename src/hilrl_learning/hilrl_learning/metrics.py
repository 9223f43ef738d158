"""Numbers of a run: `metrics.jsonl`, one JSON object per line, and TensorBoard events."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.jsonl"


class MetricsWriter:
    """Appends to the metrics of a run folder; a resumed run goes on where it was."""

    def __init__(self, run_dir: Path) -> None:
        run_dir.mkdir(parents=True, exist_ok=True)
        path = run_dir / METRICS_FILE
        torn = path.exists() and not path.read_bytes()[-1:] in (b"", b"\n")
        self._file = path.open("a", encoding="utf-8")
        if torn:
            # The process died within its last line; the next one must not continue it.
            self._file.write("\n")
        self._events = SummaryWriter(str(run_dir))

    def write(self, values: Mapping[str, float]) -> None:
        """`values` must hold env_steps, the x axis. What is not finite is written as null."""
        record = {"wall_time": time.time(), **values}
        clean = {name: value if math.isfinite(value) else None for name, value in record.items()}
        self._file.write(json.dumps(clean) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, int(values["env_steps"]))

    def close(self) -> None:
        """Flush both."""
        self._file.close()
        self._events.close()


def read_metrics(run_dir: Path) -> list[dict[str, float | None]]:
    """All records of a run, oldest first. A line torn by the death of its writer is left out."""
    records = []
    path = run_dir / METRICS_FILE
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records
