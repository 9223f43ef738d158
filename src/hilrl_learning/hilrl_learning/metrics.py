"""Numbers of a run: `metrics.jsonl`, one JSON object per line, and TensorBoard events.

A reader leaves out lines that are no JSON: their writer died in the middle of them. Weights & Biases or
trackio get the numbers too where one of them is asked for.
"""

import importlib
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from torch.utils.tensorboard import SummaryWriter

METRICS_FILE = "metrics.jsonl"
TRACKERS = ("wandb", "trackio")


class MetricsWriter:
    """Appends to the metrics of a run folder; a resumed run goes on where it was."""

    def __init__(self, run_dir: Path, tracker: str = "") -> None:
        """`tracker`: "wandb" or "trackio", which share their interface; "": none.

        Raises ValueError when it is not installed.
        """
        run_dir.mkdir(parents=True, exist_ok=True)
        self._tracker = None if not tracker else _start_tracker(tracker, run_dir)
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
        if self._tracker is not None:
            self._tracker.log(dict(values), step=int(values["env_steps"]))

    def close(self) -> None:
        """Flush all."""
        self._file.close()
        self._events.close()
        if self._tracker is not None:
            self._tracker.finish()


def _start_tracker(name: str, run_dir: Path) -> ModuleType:
    if name not in TRACKERS:
        raise ValueError(f"tracker: expected one of {TRACKERS} or '', got {name!r}")
    try:
        tracker = importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"tracker: {name} is not installed; pip install {name}") from error
    os.environ.setdefault("WANDB_DIR", str(run_dir))  # trackio has a place of its own
    tracker.init(project="hilrl", name=run_dir.name)
    return tracker
