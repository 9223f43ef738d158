"""What a step costs in the replay: to add, to sample and to keep, ours beside LeRobot's.

    . .venv/ros.sh && python bench/replay.py [--rounds 5]
    . .venv/ros.sh && python bench/replay.py --million [--folder /where/30/GB/are/free]

Two cameras of 128x128 and 18 numbers of state, ours in memory-mapped files, theirs in RAM. What training
reads is cached embeddings with ours, frames shifted at random with theirs. Bytes of theirs: as their learner
stores (the next observation is the following slot, even across the end of an episode), and with both stored.
With LEROBOT_PYTHON set to an interpreter that has LeRobot, its rounds run in between ours.

With --million only ours, with frames of 64x64: memory, sampling and updates of a process that opens a replay
of 1,000,000 steps, beside one that opens 10,000.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

import table
from hilrl_learning import encoders
from hilrl_learning.data import Step
from hilrl_learning.encoders import Encoder
from hilrl_learning.replay import Replay
from hilrl_learning.train_config import TrainConfig
from recording import Learner, observation_spec, steps

SIDE_PX = 128
MILLION_SIDE_PX = 64
FEW = 10_000


def replay(seconds: float, batch: int, stored: int, folder: str | None) -> table.Result:
    """Add into growing files and into used ones; sample what training reads, and the frames themselves."""
    spec = observation_spec(SIDE_PX)
    with tempfile.TemporaryDirectory(dir=folder) as run:
        learner = Learner(Path(run, "cached"), spec, _frozen(SIDE_PX), capacity=stored, batch=batch)
        recorded = steps(spec)
        first, again = (_adds_per_s(learner.replay, recorded, stored) for _ in range(2))
        kept = sum(file.stat().st_size for file in Path(run).rglob("*.bin")) / len(learner.replay)
        learner.fill(0)
        cached = table.calls_per_s(learner.mixer.sample, seconds)
        encoder = encoders.build("end_to_end", 2, (SIDE_PX, SIDE_PX), 256, "")
        learner = Learner(Path(run, "frames"), spec, encoder, capacity=2 * stored, batch=batch)
        learner.fill(stored)
        shifted = table.calls_per_s(learner.mixer.sample, seconds)
        frames = table.calls_per_s(
            partial(_read_frames, learner.replay, batch, np.random.default_rng(0)), seconds
        )
    return {
        "add_first_fill_per_s": first,
        "add_refill_per_s": again,
        "sample_cached_ms": 1e3 / cached,
        "sample_shifted_ms": 1e3 / shifted,
        "sample_frames_ms": 1e3 / frames,
        "bytes_per_step": kept,
    }


def _frozen(side_px: int) -> Encoder:
    """Our default encoder, whose output is cached."""
    settings = TrainConfig()
    encoder = encoders.build(settings.encoder, 2, (side_px, side_px), settings.features_per_camera, "")
    return encoder.requires_grad_(False)


def _adds_per_s(replay: Replay, recorded: Iterator[Step], count: int) -> float:
    start = time.perf_counter()
    for step in islice(recorded, count):
        replay.add(step)
    return count / (time.perf_counter() - start)


def _read_frames(replay: Replay, batch: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Both observations' frames of as many transitions, as they are stored."""
    with replay.lock:
        chosen = replay.sample(rng, batch // 2, batch - batch // 2, length=1, discount=1.0)
        return replay.images[chosen.slots[:, 0]], replay.images[chosen.next_slot]


def fill(batch: int, stored: int, capacity: int, folder: str) -> table.Result:
    """Leave a replay of so many steps in `folder`, written out to the disk."""
    learner = _small_frames(folder, capacity, batch)
    start = time.perf_counter()
    learner.fill(stored)
    learner.replay.flush()
    return {"stored_per_s": stored / (time.perf_counter() - start)}


def reopened(seconds: float, batch: int, capacity: int, folder: str) -> table.Result:
    """Train on what `fill` left, in a process that saw none of it."""
    start = time.perf_counter()
    learner = _small_frames(folder, capacity, batch)
    learner.fill(0)
    opened_s = time.perf_counter() - start
    sampled = table.calls_per_s(learner.mixer.sample, seconds)
    updated = table.calls_per_s(learner.training_step, seconds)
    return {
        "steps": len(learner.replay),
        "anonymous_mb": _resident_mb("RssAnon"),
        "file_mb": _resident_mb("RssFile"),
        "sample_ms": 1e3 / sampled,
        "updates_per_s": updated,
        "open_s": opened_s,
    }


def _small_frames(folder: str, capacity: int, batch: int) -> Learner:
    return Learner(
        Path(folder),
        observation_spec(MILLION_SIDE_PX),
        _frozen(MILLION_SIDE_PX),
        capacity=capacity,
        batch=batch,
    )


def _resident_mb(kind: str) -> float:
    """Memory of this process: RssAnon is its own, RssFile the part of files that the kernel may drop."""
    found = re.search(rf"^{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, f"/proc/self/status names no {kind}"
    return int(found[1]) / 1e3


def beside_lerobot(arguments: argparse.Namespace) -> None:
    """The table of both sides."""
    options = {"seconds": arguments.seconds, "batch": arguments.batch, "stored": arguments.stored}
    ours, theirs = table.alternate(
        arguments.rounds,
        partial(table.own, __file__, "replay", arguments.threads, folder=arguments.folder, **options),
        partial(table.peer, "replay", arguments.threads, **options),
    )
    sample = f"sample({arguments.batch})"
    rows = (
        # title, ours, theirs
        ("add, first fill [/s]", "add_first_fill_per_s", "add_first_fill_per_s"),
        ("add, refill [/s]", "add_refill_per_s", "add_refill_per_s"),
        (f"{sample}, what training reads [ms]", "sample_cached_ms", "sample_shifted_ms"),
        (f"{sample}, frames shifted at random [ms]", "sample_shifted_ms", "sample_shifted_ms"),
        (f"{sample}, frames as they are [ms]", "sample_frames_ms", "sample_frames_ms"),
        ("bytes per step, as their learner stores", "bytes_per_step", "bytes_per_step"),
        ("bytes per step, theirs with both observations", "bytes_per_step", "bytes_per_step_with_next"),
    )
    table.show(
        "replay, two cameras 128x128",
        [table.Row(title, ours[own], theirs[other]) for title, own, other in rows],
    )


def few_and_many(arguments: argparse.Namespace) -> None:
    """The table of our replay when it is nearly empty and when it is full."""
    many = arguments.million
    with tempfile.TemporaryDirectory(dir=arguments.folder) as run:
        folders = {stored: str(Path(run, str(stored))) for stored in (FEW, many)}
        shared = {"batch": arguments.batch, "capacity": many + many // 50}
        for stored, folder in folders.items():
            filled = table.own(__file__, "fill", arguments.threads, stored=stored, folder=folder, **shared)
            print(f"{stored} steps stored at {filled['stored_per_s']:.0f} /s", file=sys.stderr)
        measure = [
            partial(
                table.own,
                __file__,
                "reopened",
                arguments.threads,
                seconds=arguments.seconds,
                folder=folder,
                **shared,
            )
            for folder in folders.values()
        ]
        small, large = table.alternate(arguments.rounds, *measure, sides=("few", "many"))
    rows = {
        "steps stored": "steps",
        "memory of the process, RssAnon [MB]": "anonymous_mb",
        "pages of files, RssFile [MB]": "file_mb",
        f"sample({arguments.batch}) [ms]": "sample_ms",
        "updates with sampling [/s]": "updates_per_s",
        "time to open [s]": "open_s",
    }
    table.show(
        "our replay, two cameras 64x64",
        [table.Row(title, large[name], small[name]) for title, name in rows.items()],
        sides=("many", "few"),
    )


def main() -> None:
    parser = table.parser(__doc__)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--stored", type=int, default=4000, help="steps in either replay")
    parser.add_argument("--folder", help="where our files lie meanwhile; default: where temporary files do")
    parser.add_argument("--million", type=int, nargs="?", const=1_000_000, metavar="STEPS")
    arguments = parser.parse_args()
    print(table.header(arguments.threads))
    if arguments.million:
        few_and_many(arguments)
    else:
        beside_lerobot(arguments)


if __name__ == "__main__":
    if "--alone" in sys.argv:
        table.run_alone({case.__name__: case for case in (replay, fill, reopened)}, sys.argv)
    else:
        main()
