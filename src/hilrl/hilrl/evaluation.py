"""`hilrl eval`: a policy on held-out starts, beside behaviour cloning and the demonstrator."""

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hilrl import boards, episodes, graph, options
from hilrl.arm_console import HELP
from hilrl.arm_watch import beside_arms
from hilrl.episodes import of_kind
from hilrl.parameter_files import merged
from hilrl.run_config import RunConfig
from hilrl.run_folder import RunFolder, write_atomically
from hilrl.session import Ending, environment, run_graph
from hilrl.statistics import Summary, summarise
from hilrl.supervisor import Health

SILENCE_S = 120.0
"""Without an episode for this long, the evaluation has failed [s]."""
REPORT_EVERY = 5
"""Episodes between two lines of progress."""


@dataclass(frozen=True)
class EvaluationEpisode:
    """One held-out start, as the actor reports it."""

    seed: int
    success: bool
    steps: int
    duration_s: float
    """In the time of the arm."""


class EvaluationWatch:
    """Follows an evaluation graph through the results that the actor writes after every episode."""

    period_s = 0.05

    messages = 0

    def __init__(self, result_file: Path, wanted: int, console: Console) -> None:
        self.trials: list[EvaluationEpisode] = []
        self._result_file, self._wanted, self._console = result_file, wanted, console
        self._last_news = time.monotonic()
        self._read_at_ns = 0

    def tick(self, health: Mapping[str, Health]) -> bool:
        """True once all episodes are in. Raises RuntimeError when none comes any more."""
        if self._result_file.exists() and self._result_file.stat().st_mtime_ns != self._read_at_ns:
            self._read_at_ns = self._result_file.stat().st_mtime_ns
            self._last_news = time.monotonic()
            self._read()
        if time.monotonic() - self._last_news > SILENCE_S:
            raise RuntimeError(f"no episode for {SILENCE_S:.0f} s; the nodes' logs may say why")
        return len(self.trials) >= self._wanted

    def _read(self) -> None:
        before = len(self.trials)
        results = json.loads(self._result_file.read_text())
        self.trials = [EvaluationEpisode(**episode) for episode in results["episodes"]]
        done = len(self.trials)
        if done == self._wanted or done // REPORT_EVERY > before // REPORT_EVERY:
            won = sum(trial.success for trial in self.trials)
            self._console.print(f"  {done:3d} of {self._wanted} episodes, {won} successful", highlight=False)


def evaluate(run: str | None, checkpoint: str, count: int, videos: int, mcap: str = "") -> int:
    """Run it; the exit status. `mcap`: topics to record, as the option of that name.

    Raises ValueError for a run or checkpoint that is not there.
    """
    folder = RunFolder.named(run) if run else RunFolder.newest()
    config = loaded(folder, mcap)
    policies = {_label(which): folder.policy(which) for which in _wanted(folder, checkpoint)}
    console = Console()
    if not config.options["sim"]:
        console.print(f"`hilrl keyboard` says how an episode ends. Here: {HELP}", highlight=False)
    found: dict[str, Summary] = {}
    details: dict[str, Any] = {}
    with folder.lock():
        for label, (version, policy_file) in policies.items():
            console.print(f"{label} (checkpoint {version}), {count} episodes:", highlight=False)
            actor = trial(folder, policy_file, count, 0 if found else videos, label)
            trials = _try(folder, config, actor, console)
            if trials is None:
                return 130
            found[label] = summarise(trials)
            details[label] = {
                "checkpoint": version,
                **asdict(found[label]),
                "episodes": [asdict(trial) for trial in trials],
            }
        if folder.episodes.exists():
            shown = of_kind(episodes.read(folder.episodes), "demonstration")
            found["demonstrator"] = summarise(shown)
            details["demonstrator"] = asdict(found["demonstrator"])
        write_atomically(folder.evaluation, json.dumps(details, indent=1))
    console.print(_table(found))
    console.print(f"{folder.evaluation}   videos: {folder.videos}", highlight=False, soft_wrap=True)
    return 0


def loaded(folder: RunFolder, mcap: str) -> RunConfig:
    """The configuration of a run that is tried: what the training recorded, the trial need not.

    Raises ValueError where there is none, or a name in `mcap` cannot be that of a topic.
    """
    config = folder.load()
    return replace(config, options=options.checked({**config.options, "mcap": mcap}))


def _wanted(folder: RunFolder, checkpoint: str) -> list[str]:
    """The checkpoint asked for, and behaviour cloning where it was kept."""
    cloned = (folder.checkpoints / "bc" / "policy.safetensors").exists()
    return [checkpoint, "bc"] if cloned and checkpoint != "bc" else [checkpoint]


def _label(which: str) -> str:
    return {"bc": "behaviour cloning", "last": "policy"}.get(which, f"policy {which}")


def trial(folder: RunFolder, policy_file: Path, count: int, videos: int, label: str) -> dict[str, Any]:
    """Parameters of the actor that tries a policy `count` times and films it `videos` times."""
    result_file = folder.log / "evaluation_results.json"
    result_file.unlink(missing_ok=True)
    return {
        "policy_file": str(policy_file),
        "evaluation_episodes": count,
        "result_file": str(result_file),
        "videos": videos,
        "video_prefix": str(folder.videos / label.replace(" ", "-")),
    }


def _try(
    folder: RunFolder, config: RunConfig, actor: Mapping[str, Any], console: Console
) -> list[EvaluationEpisode] | None:
    """Episodes of one policy; None if interrupted."""
    watch = EvaluationWatch(Path(actor["result_file"]), actor["evaluation_episodes"], console)
    with ExitStack() as resources:
        connections = boards.parameters(config.options, folder, resources)
        nodes = graph.evaluate(config.options, merged([config.parameters, connections]), folder.path, actor)
        env = resources.enter_context(environment(folder))
        ending = run_graph(nodes, folder, env, lambda node: beside_arms(watch, node, nodes, console))
    return watch.trials if ending is Ending.FINISHED else None


def _table(found: Mapping[str, Summary]) -> Table:
    table = Table(title="Starts that training never saw; the demonstrator: its demonstrations")
    for heading in ("", "success", "95 % interval", "mean cycle", "episodes"):
        table.add_column(heading, justify="left" if not heading else "right")
    for label, summary in found.items():
        cycle = "-"
        if summary.cycle_steps is not None and summary.cycle_s is not None:
            cycle = f"{summary.cycle_steps:.1f} steps, {summary.cycle_s:.1f} s"
        table.add_row(
            label,
            f"{100 * summary.success_rate:.0f} %",
            f"{100 * summary.success_low:.0f}-{100 * summary.success_high:.0f} %",
            cycle,
            str(summary.episodes),
        )
    return table
