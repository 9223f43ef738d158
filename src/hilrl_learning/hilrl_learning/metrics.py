"""Numbers of a run: `metrics.jsonl`, one JSON object per line, and TensorBoard events.

A reader leaves out lines that are no JSON: their writer died in the middle of them.
"""

import json
import math
import os
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
        self._file = path.open("ab+")
        if self._file.tell() > 0:
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                # The process died within its last line; the next one must not continue it.
                self._file.write(b"\n")
        self._events = SummaryWriter(str(run_dir))

    def write(self, values: Mapping[str, float]) -> None:
        """`values` must hold env_steps, the x axis. What is not finite is written as null."""
        record = {"wall_time": time.time(), **values}
        clean = {name: value if math.isfinite(value) else None for name, value in record.items()}
        self._file.write(json.dumps(clean).encode() + b"\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, int(values["env_steps"]))

    def close(self) -> None:
        """Flush both."""
        self._file.close()
        self._events.close()
