"""`hilrl up train`: begin a run or go on with one, follow it to its end, draw its plots.

`hilrl up learner` is the half of it that computes, for arms on other machines.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rich.console import Console

from hilrl import boards, graph
from hilrl.arm_console import HELP
from hilrl.arm_watch import beside_arms
from hilrl.episodes import EpisodeLog, of_kind
from hilrl.nodes import Node
from hilrl.parameter_audit import ParameterAudit
from hilrl.parameter_files import NodeParameters, merged
from hilrl.progress import RECENT, Progress, clock
from hilrl.run_config import Assignment, RunConfig, default_name, new_config, resumed_config
from hilrl.run_folder import RunFolder
from hilrl.session import Ending, Onlooker, environment, run_graph
from hilrl.supervisor import Health
from hilrl.view import View
from hilrl_interfaces.msg import Episode, LearnerMetrics, StepAck

LAST_EPISODE_S = 20.0
"""How long the actor may take to end its episode once the learner has finished [s]."""


class TrainingWatch:
    """Follows a training graph: keeps the episode log and the view, sees the end."""

    period_s = 0.25

    def __init__(
        self,
        node: RosNode,
        view: View,
        robot: str,
        audit: ParameterAudit,
        on_parameters: Callable[[NodeParameters], None],
    ) -> None:
        """`on_parameters` is called once with what all nodes run with."""
        self._messages = 0
        self._view, self._audit, self._on_parameters = view, audit, on_parameters
        self._progress = view.progress
        self._finished_at: float | None = None
        for message_type, topic, depth, take in (
            # Only the newest heartbeat matters; every episode does.
            (StepAck, "/learner/ack", 1, self._progress.on_ack),
            (LearnerMetrics, "/learner/metrics", 1, self._progress.on_metrics),
            (Episode, f"/{robot.strip('/')}/episode", 100, self._progress.on_episode),
        ):
            node.create_subscription(message_type, topic, self._counted(take), QoSProfile(depth=depth))

    @property
    def messages(self) -> int:
        """Messages received so far."""
        return self._messages + self._audit.messages

    def tick(self, health: Mapping[str, Health]) -> bool:
        """Draw; True once the learner has finished and the actor has ended its episode.

        Raises ValueError for a parameter that no node knows.
        """
        self._view.draw(health)
        if (parameters := self._audit.poll()) is not None:
            self._on_parameters(parameters)
        if self._progress.phase != "finished":
            return False
        self._finished_at = self._finished_at or time.monotonic()
        waited = time.monotonic() - self._finished_at
        return not self._progress.running_episodes or waited > LAST_EPISODE_S

    def _counted(self, take: Any) -> Any:
        def count_and_take(message: Any) -> None:
            self._messages += 1
            take(message)

        return count_and_take


def train(name: str | None, choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> tuple[str, int]:
    """Run it; (the run, exit status).

    Raises ValueError for bad choices, NodeFailed if a node is gone for good.
    """
    return _run(name, choices, assignments, graph.train)


def learn(name: str | None, choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> tuple[str, int]:
    """As `train`, with the learner alone."""
    return _run(name, choices, assignments, graph.learn)


def _run(
    name: str | None,
    choices: Mapping[str, Any],
    assignments: Sequence[Assignment],
    make_graph: Callable[[Mapping[str, Any], NodeParameters, Path], list[Node]],
) -> tuple[str, int]:
    folder, config, resumed = prepare(name, choices, assignments)
    console = Console()
    options = config.options
    with folder.lock(), ExitStack() as resources:
        folder.store(config)
        log = EpisodeLog(folder.episodes)
        view = View(Progress(log, options["operator"] == "scripted"), console)
        alone = make_graph is graph.learn
        connections = {} if alone else boards.parameters(options, folder, resources)
        nodes = make_graph(options, merged([config.parameters, connections]), folder.path)

        def keep(parameters: NodeParameters) -> None:
            folder.store(replace(config, parameters=merged([config.parameters, parameters])))

        def look(node: RosNode) -> Onlooker:
            audit = ParameterAudit(node, [one for one in nodes if not one.looks_on])
            watch = TrainingWatch(node, view, options["robot"], audit, keep)
            return beside_arms(watch, node, nodes, console)

        # Halves of a graph meet in a domain that both know: that of the shell.
        env = resources.enter_context(
            environment(folder, own_domain=not alone and options["learner"] == "local")
        )
        greeting = _learner_greeting if alone else _greeting
        console.print(greeting(folder, config, resumed, env), highlight=False, soft_wrap=True)
        with view:
            ending = run_graph(nodes, folder, env, look)
        lasted = clock(log.elapsed_s)
        log.close()
        from hilrl import plots  # not before: matplotlib would delay the first line by a second

        plots.draw(folder, options["operator"])
    farewell = _farewell(folder, view.progress, ending, lasted, "learner" if alone else "train")
    console.print(farewell, highlight=False, soft_wrap=True)
    return folder.reference, 0 if ending is Ending.FINISHED else 130


def prepare(
    name: str | None, choices: Mapping[str, Any], assignments: Sequence[Assignment]
) -> tuple[RunFolder, RunConfig, bool]:
    """(folder, configuration, whether the run existed). Raises ValueError for what does not fit."""
    if name is not None:
        folder = RunFolder.named(name)
        if folder.config.exists():
            return folder, resumed_config(folder.load(), choices, assignments), True
    config = new_config(choices, assignments)
    return RunFolder.named(name or default_name(config.options)), config, False


def _greeting(folder: RunFolder, config: RunConfig, resumed: bool, env: Mapping[str, str]) -> str:
    options = config.options
    goal = {"lift": "lift a cube", "place": "place a cube in a bin"}[options["task"]]
    operator = "A scripted operator shows" if options["operator"] == "scripted" else "You show"
    keyboard = (
        [] if options["operator"] == "scripted" else ["Take over with `hilrl keyboard` in another terminal."]
    )
    pace = "as fast as this machine allows" if options["lockstep"] else "in real time"
    body = "a simulated SO-101" if options["sim"] else f"the SO-101 on {options['follower_port']}"
    if options["emulated"] and not options["sim"]:
        body = "an emulated SO-101"
    return "\n".join(
        [
            f"{'Going on with' if resumed else 'Begin'} run {folder.name}: {body} learns to "
            f"{goal}, {pace}, for {clock(options['duration_s'])} min.",
            f"{operator} it {options['demonstrations']} times, the policy pre-trains on that, then "
            "practises; the operator takes over when it gets stuck. Every step trains it.",
            *keyboard,
            *([] if options["sim"] else [f"Here: {HELP}"]),
            *(["The learner is elsewhere: `hilrl up learner`."] if options["learner"] == "remote" else []),
            f"Files: {folder.path} (a log per node in log/). Ctrl+C ends it; "
            f"`hilrl up train --run {folder.reference}` goes on.",
            _where(env),
            "",
        ]
    )


def _learner_greeting(folder: RunFolder, config: RunConfig, resumed: bool, env: Mapping[str, str]) -> str:
    return "\n".join(
        [
            f"{'Going on with' if resumed else 'Begin'} run {folder.name}: a learner on "
            f"{config.options['device']} for arms elsewhere, `hilrl up train --learner remote` there.",
            f"Files: {folder.path}. Ctrl+C ends it; `hilrl up learner --run {folder.reference}` goes on.",
            _where(env),
            "",
        ]
    )


def _where(env: Mapping[str, str]) -> str:
    names = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE")
    settings = " ".join(f"{name}={env.get(name, '0')}" for name in names)
    return f"Look inside from another terminal: export {settings}"


def _farewell(folder: RunFolder, progress: Progress, ending: Ending, lasted: str, command: str) -> str:
    practised = progress.practised
    recent = practised[-RECENT:]
    shown = len(of_kind(progress.log.records, "demonstration"))
    lines = [f"\nRun {folder.name} {ending.value} after {lasted} min."]
    lines.append(f"{shown} demonstrations, {len(practised)} episodes of practice.")
    if recent:
        won = sum(record.success for record in recent)
        alone = sum(record.success and record.intervention_steps == 0 for record in recent)
        lines.append(f"Success in the last {len(recent)}: {won}, {alone} of them without help.")
    lines.append(f"Plots: {folder.plots}   episodes: {folder.episodes}   logs: {folder.log}")
    if ending is Ending.INTERRUPTED:
        lines.append(f"Go on: hilrl up {command} --run {folder.reference}")
    else:
        lines.append(f"Try it on starts it never saw: hilrl eval {folder.reference}")
    return "\n".join(lines)
