"""How often the reward classifier is wrong on simulated episodes it was not trained on, and what it costs.

Collects episodes of the lift task, successes and near misses, trains on some and tries the others:

    . .venv/ros.sh && python bench/reward.py [--train-episodes 240] [--test-episodes 80] [--folder KEPT]

Claims are of frames: a success is one that the simulator's ground truth does not show in that very frame.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from hilrl import reward
from hilrl_perception import reward_data, reward_report, reward_training
from hilrl_perception.reward_guard import Guard
from hilrl_perception.reward_metrics import given_up, live_through
from hilrl_perception.reward_model import load_model

TRAIN_SEED, TEST_SEED = 1, 2
GUARD = Guard(gripper_range=(-0.05, 0.1), gripper_target_range=(-0.3, -0.05), ee_min=(-1.0, -1.0, 0.05))
"""Jaws closed on something, and TCP 5 cm up."""
DEBOUNCES = ((1, 1), (2, 3), (3, 3))


def collect(folder: Path, episodes: int, seed: int) -> None:
    """Until there are so many."""
    missing = episodes - len(list(folder.glob("[!.]*/episode.json")))
    if missing <= 0:
        return
    parser = argparse.ArgumentParser()
    reward.add_arguments(parser)
    words = ["collect", "--data", str(folder), "--episodes", str(missing), "--seed", str(seed)]
    if status := reward.run(parser.parse_args(words)):
        sys.exit(status)


def ms_per_frame(model, episodes, frames: int = 300) -> tuple[float, float]:
    """Wall and CPU time of one answer on one thread [ms]."""
    pool = [frame.copy() for episode in episodes[:10] for frame in episode.frames][:frames]
    model.probability(pool[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for frame in pool:
        model.probability(frame)
    return tuple(1e3 * (now - then) / len(pool) for now, then in (
        (time.perf_counter(), wall), (time.process_time(), cpu)
    ))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train-episodes", type=int, default=240)
    parser.add_argument("--test-episodes", type=int, default=80)
    parser.add_argument("--folder", type=Path, help="keeps frames, model and report, and goes on with them")
    parser.add_argument("--encoder", choices=("small_cnn", "end_to_end"), default="small_cnn")
    parser.add_argument("--updates", type=int, default=1200, help="at most")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        run(chosen, chosen.folder or Path(temporary))


def run(chosen: argparse.Namespace, folder: Path) -> None:
    """Collect, train, try, print."""
    collect(folder / "train", chosen.train_episodes, TRAIN_SEED)
    collect(folder / "test", chosen.test_episodes, TEST_SEED)
    model_file = folder / f"{chosen.encoder}.safetensors"
    if not model_file.exists():
        layout, episodes = reward_data.read([folder / "train"])
        settings = reward_training.TrainingSettings(encoder=chosen.encoder, most_updates=chosen.updates)
        trained = reward_training.train(layout, episodes, settings)
        trained.model.save(model_file)
        print(f"trained: {trained.losses[-1][0]} updates, {trained.taken_s:.0f} s, {trained.choice}")
    model = load_model(model_file)
    _, tested = reward_data.read([folder / "test"])
    evaluation = reward_report.evaluate(model, tested)
    reward_report.write(folder / f"report-{chosen.encoder}", evaluation)
    wall, cpu = ms_per_frame(model, tested)
    positives = sum(bool(episode.labels.any()) for episode in tested)
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; torch "
        f"{torch.__version__}, one thread\n{chosen.encoder}: {cpu:.2f} ms of CPU per frame ({wall:.2f} ms of "
        f"wall time), two cameras of {model.spec.image_size[0]} px"
    )
    frames = evaluation.labels.size
    wrong = ~evaluation.labels & (evaluation.probabilities >= model.spec.threshold)
    ceased = np.concatenate([given_up(episode.labels) for episode in tested])
    print(
        f"single frames above the threshold without success: {wrong.sum()} of {frames}, "
        f"{(wrong & ceased).sum()} of them where a success has just been given up"
    )
    Console(width=110).print(_table(model, tested, evaluation, positives))


def _table(model, tested, evaluation, positives: int) -> Table:
    table = Table(
        title=f"{len(tested)} held-out episodes ({positives} with success), {len(evaluation.labels)} frames "
        f"({int(evaluation.labels.sum())} a success), threshold {model.spec.threshold:.3f}"
    )
    for heading in (
        "", "false per\n1,000 frames", "frames:\nprecision", "\nrecall", "episodes:\nprecision", "\nrecall",
        "false\nclaims", "delay\n[frames]",
    ):  # fmt: skip
        table.add_column(heading, justify="right" if heading else "left")
    ends = [0]
    for episode in tested:
        ends.append(ends[-1] + len(episode.labels))
    for guard, name in ((Guard(), ""), (GUARD, ", guard")):
        for k, n in DEBOUNCES:
            outcomes = [
                live_through(episode, evaluation.probabilities[begin:end], model.spec.threshold, k, n, guard)
                for episode, begin, end in zip(tested, ends[:-1], ends[1:], strict=True)
            ]
            found = reward_report.Evaluation(
                tested, evaluation.labels, evaluation.probabilities, model.spec.threshold, k, n, outcomes
            )
            frames, episodes = found.debounced, found.per_episode
            table.add_row(
                f"{k} of {n}{name}",
                f"{frames.false_positives_per_1000:.1f}",
                *(f"{100 * x:.1f} %" for x in (frames.precision, frames.recall)),
                *(f"{100 * x:.1f} %" for x in (episodes.precision, episodes.recall)),
                str(episodes.false_positives),
                f"{found.delay_frames:g}" if found.delay_frames is not None else "-",
            )
    return table


if __name__ == "__main__":
    main()
