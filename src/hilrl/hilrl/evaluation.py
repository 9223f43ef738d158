"""`hilrl eval`: a policy on held-out starts, beside behaviour cloning and the demonstrator."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rich.console import Console
from rich.table import Table

from hilrl import episodes, graph
from hilrl.episodes import EpisodeRecord, of_kind
from hilrl.run_config import RunConfig
from hilrl.run_folder import RunFolder, write_atomically
from hilrl.session import Ending, environment, run_graph
from hilrl.statistics import Summary, summarise
from hilrl.supervisor import Health
from hilrl.video import Recorder
from hilrl_interfaces.msg import Episode

SILENCE_S = 120.0
"""Without an episode for this long, the evaluation has failed [s]."""


class EvaluationWatch:
    """Follows an evaluation graph and collects its episodes."""

    period_s = 0.05

    def __init__(
        self, node: RosNode, namespace: str, wanted: int, recorder: Recorder, console: Console
    ) -> None:
        self.messages = 0
        self.records: list[EpisodeRecord] = []
        self._wanted, self._recorder, self._console = wanted, recorder, console
        self._last_news = time.monotonic()
        robot = "/" + namespace.strip("/")
        node.create_subscription(Episode, f"{robot}/episode", self._on_episode, QoSProfile(depth=100))
        recorder.subscribe(node, robot, self._count)

    def tick(self, health: Mapping[str, Health]) -> bool:
        """True once all episodes are in. Raises RuntimeError when none comes any more."""
        if time.monotonic() - self._last_news > SILENCE_S:
            raise RuntimeError(f"no episode for {SILENCE_S:.0f} s; the nodes' logs may say why")
        return len(self.records) >= self._wanted

    def _count(self) -> None:
        self.messages += 1

    def _on_episode(self, message: Episode) -> None:
        self.messages += 1
        if message.kind != Episode.KIND_EVALUATION:
            return
        self._last_news = time.monotonic()
        if not message.finished:
            return
        before = self.records[-1].env_steps if self.records else 0
        record = episodes.from_message(message, 0.0, before + message.steps)
        self.records.append(record)
        self._recorder.end_of_episode(record)
        if len(self.records) % 5 == 0 or len(self.records) == self._wanted:
            won = sum(r.success for r in self.records)
            self._console.print(
                f"  {len(self.records):3d} of {self._wanted} episodes, {won} successful", highlight=False
            )


def evaluate(run: str | None, checkpoint: str, count: int, videos: int) -> int:
    """Run it; the exit status. Raises ValueError for a run or checkpoint that is not there."""
    folder = RunFolder.named(run) if run else RunFolder.newest()
    config = folder.load()
    policies = {_label(which): folder.policy(which) for which in _wanted(folder, checkpoint)}
    console = Console()
    found: dict[str, Summary] = {}
    details: dict[str, Any] = {}
    with folder.lock():
        for label, (version, policy_file) in policies.items():
            console.print(f"{label} (checkpoint {version}): {count} episodes", highlight=False)
            recorder = Recorder(videos if version == policies[next(iter(policies))][0] else 0)
            nodes = graph.evaluate(config.options, config.parameters, folder.path, policy_file, count)
            watch = _run(folder, config, nodes, recorder, count, console)
            if watch is None:
                return 130
            found[label] = summarise(watch.records[:count])
            details[label] = {
                "checkpoint": version,
                **asdict(found[label]),
                "records": [asdict(record) for record in watch.records[:count]],
            }
            recorder.write(folder.videos, label, config.options["control_hz"])
        demonstrations = _demonstrations(folder)
        if demonstrations:
            found["demonstrator"] = summarise(demonstrations)
            details["demonstrator"] = asdict(found["demonstrator"])
        write_atomically(folder.evaluation, json.dumps(details, indent=1))
    console.print(_table(found))
    console.print(f"{folder.evaluation}   videos: {folder.videos}", highlight=False, soft_wrap=True)
    return 0


def _wanted(folder: RunFolder, checkpoint: str) -> list[str]:
    """The checkpoint asked for, and behaviour cloning where it was kept."""
    cloned = (folder.checkpoints / "bc" / "policy.safetensors").exists()
    return [checkpoint, "bc"] if cloned and checkpoint != "bc" else [checkpoint]


def _label(which: str) -> str:
    return {"bc": "behaviour cloning", "last": "policy"}.get(which, f"policy {which}")


def _run(
    folder: RunFolder,
    config: RunConfig,
    nodes: list[graph.Node],
    recorder: Recorder,
    count: int,
    console: Console,
) -> EvaluationWatch | None:
    """Episodes of one policy; None if interrupted."""
    watches: list[EvaluationWatch] = []

    def look(node: RosNode) -> EvaluationWatch:
        watches.append(EvaluationWatch(node, config.options["namespace"], count, recorder, console))
        return watches[0]

    with environment(folder) as env:
        ending = run_graph(nodes, folder, env, look)
    return watches[0] if ending is Ending.FINISHED else None


def _demonstrations(folder: RunFolder) -> list[EpisodeRecord]:
    if not folder.episodes.exists():
        return []
    return of_kind(episodes.read(folder.episodes), "demonstration")


def _table(found: Mapping[str, Summary]) -> Table:
    table = Table(title="Starts that training never saw")
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
