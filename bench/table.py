"""How the benchmarks run and print: a fresh process a round, ours and the peer's in turn, plain tables.

Standard library only, as the peer's interpreter imports it too.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

BENCH = Path(__file__).parent
PEER_SCRIPT = BENCH / "peer" / "lerobot_cases.py"
PEER_VARIABLE = "LEROBOT_PYTHON"
HOW_TO_GET_THE_PEER = (
    "LeRobot: not measured. To have it beside ours, pip install 'lerobot[hilserl]>=0.6' into an environment\n"
    f"of its own with Python 3.12 and set {PEER_VARIABLE} to that environment's python."
)

SIDES = ("ours", "LeRobot")

Result = dict[str, float]
"""What one process measured, by name."""
Samples = dict[str, list[float]]
"""What every round measured, by name."""
Case = Callable[..., Result]
"""Measures in the process it is called in; called with the options as keywords."""


@dataclass(frozen=True)
class Row:
    """One line of a table: a figure of ours beside the same figure of the peer's."""

    title: str
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()


def parser(description: str) -> argparse.ArgumentParser:
    """With the options every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of each side")
    parser.add_argument("--threads", type=int, default=2, help="torch and OpenMP threads of each process")
    parser.add_argument("--seconds", type=float, default=15.0, help="timed stretch in each process [s]")
    return parser


def calls_per_s(work: Callable[[], object], seconds: float) -> float:
    """How often `work` runs in a second, over a stretch of at least `seconds` after a warm-up.

    The warm-up takes a fifth of that time, or one call where that takes longer (compilation, first touch).
    """
    _calls(work, seconds / 5)
    calls, taken_s = _calls(work, seconds)
    return calls / taken_s


def _calls(work: Callable[[], object], seconds: float) -> tuple[int, float]:
    start, calls = time.perf_counter(), 0
    while True:
        work()
        calls += 1
        taken_s = time.perf_counter() - start
        if taken_s >= seconds:
            return calls, taken_s


def run_alone(cases: dict[str, Case], arguments: list[str]) -> None:
    """The other end of `own` and `peer`: measure the case named on the command line, answer on stdout."""
    case, options = arguments[-2:]
    result = cases[case](**json.loads(options))
    print(json.dumps(result), flush=True)


def own(script: str, case: str, threads: int, **options: object) -> Result:
    """Run a case of `script`, which hands `run_alone` its cases, in a fresh process of this interpreter."""
    return _run([sys.executable, script, "--alone"], case, threads, options, dict(os.environ))


def peer(case: str, threads: int, **options: object) -> Result:
    """Run a case of the peer in a fresh process of its interpreter. Empty where there is no peer."""
    python = os.environ.get(PEER_VARIABLE)
    if not python:
        return {}
    environment = {
        name: value
        for name, value in os.environ.items()
        # The peer's interpreter must not load what our own workspace added for ours.
        if name not in ("PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    }
    environment |= {"PYTHONPATH": str(BENCH), "HF_HUB_OFFLINE": "1"}
    return _run([python, str(PEER_SCRIPT)], case, threads, options, environment)


def _run(command: list[str], case: str, threads: int, options: dict, environment: dict[str, str]) -> Result:
    environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}  # torch takes them
    done = subprocess.run(
        [*command, case, json.dumps(options)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def alternate(
    rounds: int,
    ours: Callable[[], Result],
    theirs: Callable[[], Result],
    sides: tuple[str, str] = SIDES,
) -> tuple[Samples, Samples]:
    """Ours, theirs, ours, theirs: so that both meet the same mood of the machine."""
    samples: tuple[Samples, Samples] = (defaultdict(list), defaultdict(list))
    for number in range(1, rounds + 1):
        for side, measure, collected in zip(sides, (ours, theirs), samples, strict=True):
            result = measure()
            for name, value in result.items():
                collected[name].append(value)
            if result:
                line = ", ".join(f"{name} {format_number(value)}" for name, value in result.items())
                print(f"round {number}/{rounds}, {side}: {line}", file=sys.stderr, flush=True)
    return samples


def header(threads: int) -> str:
    """The machine, its load and the versions of both sides."""
    lines = [
        f"{cpu_model()}, {os.cpu_count()} cores, {threads} torch threads, "
        f"load {os.getloadavg()[0]:.2f} at the start",
        f"ours:    Python {platform.python_version()}, torch {version('torch')}, numpy {version('numpy')}",
    ]
    theirs = peer("versions", threads)
    if theirs:
        lines.append("LeRobot: " + ", ".join(f"{name} {value}" for name, value in theirs.items()))
    else:
        lines.append(HOW_TO_GET_THE_PEER)
    return "\n".join(lines)


def cpu_model() -> str:
    """As the kernel names it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def show(title: str, rows: Sequence[Row], sides: tuple[str, str] = SIDES) -> None:
    """Medians over the rounds, with the lowest and the highest in brackets."""
    width = max(len(row.title) for row in rows)
    left, right = sides
    print(f"\n{title}\n{'':<{width}} {left:>26} {right:>26} {f'{left}/{right}':>13}")
    for row in rows:
        ratio = f"{median(row.ours) / median(row.theirs):.3g}" if row.ours and row.theirs else ""
        print(f"{row.title:<{width}} {_spread(row.ours):>26} {_spread(row.theirs):>26} {ratio:>13}".rstrip())


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return format_number(values[0])
    low, middle, high = (format_number(value) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low}..{high})"


def format_number(value: float | str) -> str:
    """Four digits, without an exponent."""
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
