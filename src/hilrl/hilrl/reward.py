"""`hilrl reward`: labelled frames collected, a reward classifier trained on them, and tried on others."""

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hilrl import graph, parameter_files
from hilrl.graph import Node
from hilrl.run_config import new_config
from hilrl.run_folder import RunFolder
from hilrl.session import Ending, attach, environment, run_graph
from hilrl.supervisor import Health

DESCRIPTION = """\
A reward classifier tells from the cameras alone whether the task is done.

  hilrl reward collect    label frames, of a simulation that it runs itself or of a running graph (--attach)
  hilrl reward train      train a classifier on them; writes the model and a report
  hilrl reward eval       try a model on frames that it was not trained on
"""

COLLECTOR = Node("hilrl_perception", "reward_collector", "reward_collector", respawn=False)
SILENCE_S = 120.0
"""Without an episode for this long, a collection in simulation has failed [s]."""
REPORT_EVERY = 10
"""Episodes between two lines of progress."""


class CollectionWatch:
    """Follows a collection through the folders that it leaves, one per episode."""

    period_s = 0.1

    messages = 0

    def __init__(self, data: Path, wanted: int | None, gives_up: bool, console: Console) -> None:
        """`wanted` None: until a signal comes. `gives_up`: where nothing comes, something is broken."""
        self.collected = 0
        self._data, self._wanted, self._gives_up, self._console = data, wanted, gives_up, console
        self._before = len(_episodes(data))
        self._last_news = time.monotonic()

    def tick(self, health: Mapping[str, Health]) -> bool:
        """True once all episodes are in. Raises RuntimeError when none comes any more."""
        collected = len(_episodes(self._data)) - self._before
        if collected != self.collected:
            if collected // REPORT_EVERY > self.collected // REPORT_EVERY or collected == self._wanted:
                self._console.print(f"  {collected} episodes", highlight=False)
            self.collected, self._last_news = collected, time.monotonic()
        if self._gives_up and time.monotonic() - self._last_news > SILENCE_S:
            raise RuntimeError(f"no episode for {SILENCE_S:.0f} s; the nodes' logs may say why")
        return self._wanted is not None and collected >= self._wanted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    collect = commands.add_parser("collect", help="label frames, of a simulation or of a running graph")
    collect.set_defaults(reward_command=_collect)
    collect.add_argument("--data", type=Path, required=True, help="folder of frames; one that exists grows")
    collect.add_argument("--episodes", type=int, help="default: 100; with --attach until Ctrl+C")
    collect.add_argument("--attach", action="store_true", help="watch a graph that runs")
    collect.add_argument("--robot", default="so101", help="its name; default: %(default)s")
    collect.add_argument(
        "--positive-s",
        type=float,
        default=0.0,
        help="--attach: frames up to so long before a success are successes too [s]; default: %(default)s",
    )
    collect.add_argument("--task", choices=("lift", "place"), default="lift", help="simulation: the task")
    collect.add_argument("--seed", type=int, default=0, help="simulation: of scenes and mishaps")
    collect.add_argument(
        "--set", metavar="NODE.PARAMETER=VALUE", action="append", default=[], help="give a node a parameter"
    )

    train = commands.add_parser("train", help="train a classifier on labelled frames")
    train.set_defaults(reward_command=_train)
    train.add_argument("--data", type=Path, nargs="+", required=True, help="folders of frames, vetoes too")
    train.add_argument("--model", type=Path, required=True, help="where the model goes, *.safetensors")
    train.add_argument("--report", type=Path, help="folder; default: beside the model")
    train.add_argument("--precision", type=float, default=0.99, help="wanted; default: %(default)s")
    train.add_argument("--k", type=int, default=2, help="a success takes k of n frames; default: %(default)s")
    train.add_argument("--n", type=int, default=3, help="see --k; default: %(default)s")
    train.add_argument("--encoder", choices=("small_cnn", "end_to_end"), default="small_cnn")
    train.add_argument("--seed", type=int, default=0)

    evaluate = commands.add_parser("eval", help="try a model on frames it was not trained on")
    evaluate.set_defaults(reward_command=_evaluate)
    evaluate.add_argument("--data", type=Path, nargs="+", required=True, help="folders of frames")
    evaluate.add_argument("--model", type=Path, required=True)
    evaluate.add_argument("--report", type=Path, help="folder of a report; default: none")


def run(chosen: argparse.Namespace) -> int:
    """Do it; the exit status. Raises ValueError for bad input, RuntimeError where a node fails."""
    return int(chosen.reward_command(chosen))


def collection(
    task: str, seed: int, robot: str, collector: Mapping[str, Any], assignments: list
) -> list[Node]:
    """The graph that collects by itself: simulation, operator, and the collector in the actor's place."""
    own = [item for item in assignments if item[0] == COLLECTOR.name]
    others = [item for item in assignments if item[0] != COLLECTOR.name]
    config = new_config({"task": task, "seed": seed, "robot": robot}, others)
    mine = {name: value for _, name, value in own}
    chosen: parameter_files.NodeParameters = {
        # The operator proposes to the collector, which decides.
        "intervention_mux": {"devices": ["keyboard"]},
        COLLECTOR.name: {
            "drive": True,
            "labels": "truth",
            "seed": seed,
            "image_size": config.parameters.get("sim", {}).get("image_size", 128),
            **collector,
            **mine,
        },
    }
    parameters = parameter_files.merged([config.parameters, chosen])
    parameters["intervention_mux"].pop("lockstep_devices", None)
    placed = graph.placed([*graph.ROBOT, graph.OPERATOR, COLLECTOR], config.options["robot"], parameters)
    return [replace(node, respawn=False) for node in placed]


def _collect(chosen: argparse.Namespace) -> int:
    data = chosen.data.resolve()
    if chosen.episodes is not None and chosen.episodes < 1:
        raise ValueError(f"--episodes: expected at least 1, got {chosen.episodes}")
    assignments = [parameter_files.parse_assignment(text) for text in chosen.set]
    if chosen.attach:
        attach()
        wanted = chosen.episodes
        parameters = {"data_dir": str(data), "positive_s": chosen.positive_s}
        for node, name, value in assignments:
            if node != COLLECTOR.name:
                raise ValueError(f"--set {node}.{name}: with --attach only {COLLECTOR.name} is started")
            parameters[name] = value
        nodes = graph.placed([COLLECTOR], chosen.robot, {COLLECTOR.name: parameters})
    else:
        wanted = chosen.episodes or 100
        collector = {"data_dir": str(data)}
        nodes = collection(chosen.task, chosen.seed, chosen.robot, collector, assignments)
    console = Console()
    folder = RunFolder(data / ".collection")
    folder.path.mkdir(parents=True, exist_ok=True)
    watch = CollectionWatch(data, wanted, not chosen.attach, console)
    with environment(folder, own_domain=not chosen.attach) as env:
        ending = run_graph(nodes, folder, env, lambda node: watch)
    console.print(f"{watch.collected} episodes in {data}", highlight=False, soft_wrap=True)
    return 0 if ending is Ending.FINISHED or chosen.attach else 130


def _train(chosen: argparse.Namespace) -> int:
    import torch

    from hilrl_perception import reward_data, reward_report, reward_training

    # More threads than free cores make small products a hundred times slower.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    layout, episodes = reward_data.read(chosen.data)
    settings = reward_training.TrainingSettings(
        encoder=chosen.encoder, k=chosen.k, n=chosen.n, wanted_precision=chosen.precision, seed=chosen.seed
    )
    trained = reward_training.train(layout, episodes, settings, time.strftime("%Y-%m-%dT%H:%M:%S%z"))
    trained.model.save(chosen.model)
    evaluation = reward_report.evaluate(trained.model, trained.validation)
    report = chosen.report or chosen.model.with_suffix("")
    reward_report.write(
        report,
        evaluation,
        model=str(chosen.model),
        settings=asdict(settings),
        wanted_precision_reached=trained.choice.reached,
        data=[str(folder) for folder in chosen.data],
        train_episodes=[episode.name for episode in trained.train],
        validation_episodes=[episode.name for episode in trained.validation],
        losses=trained.losses,
        taken_s=trained.taken_s,
    )
    console = Console()
    console.print(table(evaluation.figures(), "Episodes held out for validation"))
    if not trained.choice.reached:
        console.print(
            f"precision {chosen.precision} is out of reach: {trained.choice.precision:.3f} at best; "
            "collect more episodes, near misses above all",
            highlight=False,
        )
    console.print(f"{chosen.model}   report: {report}", highlight=False, soft_wrap=True)
    return 0


def _evaluate(chosen: argparse.Namespace) -> int:
    from hilrl_perception import reward_data, reward_model, reward_report

    model = reward_model.load_model(chosen.model)
    layout, episodes = reward_data.read(chosen.data)
    if (layout.cameras, layout.image_size) != (model.spec.cameras, model.spec.image_size):
        raise ValueError(
            f"--data: expected frames of {model.spec.cameras} at {model.spec.image_size}, as the model has "
            f"them, got {layout.cameras} at {layout.image_size}"
        )
    evaluation = reward_report.evaluate(model, episodes)
    console = Console()
    console.print(table(evaluation.figures(), str(chosen.model)))
    if chosen.report:
        reward_report.write(chosen.report, evaluation, model=str(chosen.model))
        console.print(f"report: {chosen.report}", highlight=False, soft_wrap=True)
    return 0


def table(figures: Mapping[str, Any], title: str) -> Table:
    """The figures of an evaluation."""
    shown = Table(
        title=f"{title}: {figures['episodes']} episodes, {figures['frames']} frames, "
        f"{figures['positive_frames']} of them a success"
    )
    for heading in ("", "precision", "recall", "false claims", "per 1,000 negatives"):
        shown.add_column(heading, justify="left" if not heading else "right")
    titles = {
        "frames": f"frames above {figures['threshold']:.3f}",
        "frames_debounced": f"frames, {figures['k']} of {figures['n']}",
        "episodes": "episodes, by their first claim",
    }
    for name, label in titles.items():
        found = figures["confusion"][name]
        shown.add_row(
            label,
            f"{100 * found['precision']:.1f} %",
            f"{100 * found['recall']:.1f} %",
            str(found["false_positives"]),
            f"{found['false_positives_per_1000']:.1f}" if name != "episodes" else "",
        )
    return shown


def _episodes(data: Path) -> list[Path]:
    return list(data.glob("[!.]*/episode.json"))
