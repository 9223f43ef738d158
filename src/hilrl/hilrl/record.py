"""`hilrl up record`: episodes of an arm into a LeRobotDataset, a new one or one that exists."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rclpy.node import Node as RosNode
from rclpy.qos import QoSProfile
from rich.console import Console

from hilrl import boards, graph, parameter_files
from hilrl.arm_console import HELP
from hilrl.arm_watch import beside_arms
from hilrl.nodes import RECORDER, Node
from hilrl.parameter_audit import ParameterAudit
from hilrl.parameter_files import NodeParameters
from hilrl.run_config import Assignment, new_config
from hilrl.run_folder import RunFolder
from hilrl.session import Ending, Onlooker, environment, run_graph
from hilrl.supervisor import Health
from hilrl_control.settings import Settings
from hilrl_interfaces.msg import Episode, StepAck
from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.lerobot.dataset_files import INFO, RECORDING
from hilrl_learning.lerobot.features import Schema
from hilrl_learning.lerobot.going_on import check_schema, read_info
from hilrl_learning.observation_sync import state_names

SILENCE_S = 120.0
"""Without an episode of the scripted operator for this long, a recording has failed [s]."""

TASK_TEXTS = {"lift": "Lift the cube.", "place": "Place the cube in the bin."}
"""What a dataset says that its episodes show, unless it is said otherwise."""


class RecordingWatch:
    """Follows a recording graph; says what becomes of every episode, and sees the end."""

    period_s = 0.1

    def __init__(self, node: RosNode, nodes: Sequence[Node], wanted: int, gives_up: bool, console: Console):
        """`wanted`: episodes that the dataset has at the end. `gives_up`: where none ends, all is broken."""
        self.messages = 0
        self.episodes = 0
        """Of the dataset."""
        self._wanted, self._gives_up, self._console = wanted, gives_up, console
        self._audit = ParameterAudit(node, [one for one in nodes if not one.looks_on])
        self._finished = False
        self._last_news = time.monotonic()
        robot = next(node.namespace for node in nodes if node.name == RECORDER.name)
        node.create_subscription(StepAck, "/learner/ack", self._on_ack, QoSProfile(depth=1))
        node.create_subscription(Episode, f"{robot}/episode", self._on_episode, QoSProfile(depth=100))

    def tick(self, health: Mapping[str, Health]) -> bool:
        """True once all episodes are in the dataset.

        Raises RuntimeError where none comes any more, ValueError for a parameter that no node knows.
        """
        before = self._audit.messages
        self._audit.poll()
        self.messages += self._audit.messages - before
        if self._gives_up and time.monotonic() - self._last_news > SILENCE_S:
            raise RuntimeError(f"no episode for {SILENCE_S:.0f} s; the nodes' logs may say why")
        return self._finished and self.episodes >= self._wanted

    def _on_ack(self, ack: StepAck) -> None:
        self.messages += 1
        self._finished = ack.phase == StepAck.PHASE_FINISHED
        self.episodes = ack.demonstrations

    def _on_episode(self, episode: Episode) -> None:
        self.messages += 1
        self._last_news = time.monotonic()
        if episode.finished and not self._finished:
            what = "success" if episode.success else "no success"
            self._console.print(
                f"  {self.episodes} of {self._wanted} in the dataset; one more with {episode.steps} steps: "
                f"{what}",
                highlight=False,
            )


def record(
    dataset: Path,
    episodes: int,
    task_text: str,
    choices: Mapping[str, Any],
    assignments: Sequence[Assignment],
) -> int:
    """Record `episodes` more into `dataset`; the exit status.

    Raises ValueError for choices or a dataset that do not fit, NodeFailed if a node is gone for good.
    """
    config = new_config(choices, assignments)
    options = config.options
    wanted = episodes_in(dataset) + episodes
    folder = folder_of(dataset)
    console = Console()
    with folder.lock(), ExitStack() as resources:
        connections = boards.parameters(options, folder, resources)
        parameters = parameter_files.merged([config.parameters, connections])
        nodes = recording(options, parameters, dataset, wanted, task_text)

        def look(node: RosNode) -> Onlooker:
            watch = RecordingWatch(node, nodes, wanted, options["operator"] == "scripted", console)
            return beside_arms(watch, node, nodes, console)

        env = resources.enter_context(environment(folder))
        console.print(f"{dataset}: {wanted - episodes} episodes, {episodes} more to come", highlight=False)
        if options["operator"] == "human":
            console.print(
                f"Show it with `hilrl keyboard --dataset {dataset}` in another terminal.", highlight=False
            )
        if not options["sim"]:
            console.print(f"Here: {HELP}", highlight=False)
        ending = run_graph(nodes, folder, env, look)
    console.print(f"{dataset}: {episodes_in(dataset)} episodes   logs: {folder.log}", highlight=False)
    return 0 if ending is Ending.FINISHED else 130


def folder_of(dataset: Path) -> RunFolder:
    """Steps under way, and where their numbering goes on, belong to the dataset and move with it."""
    return RunFolder(dataset / RECORDING)


def recording(
    options: Mapping[str, Any], parameters: NodeParameters, dataset: Path, episodes: int, task_text: str
) -> list[Node]:
    """The graph that records until `dataset` has `episodes`. No `task_text`: the usual one of the task.

    Raises ValueError, naming the field, where the dataset is of another kind.
    """
    schema = schema_of(options, parameters)
    if (info := read_info(dataset)) is not None:
        check_schema(dataset, info, schema)
    recorder = {
        "dataset": str(dataset.resolve()),
        "episodes": episodes,
        "task_text": task_text or TASK_TEXTS[options["task"]],
        "cameras": list(schema.spec.cameras),
        "image_size": schema.spec.image_size[0],
        **schema.motion,
    }
    for_this_recording: NodeParameters = {
        "actor": {"run_dir": str(dataset.resolve() / RECORDING)},
        RECORDER.name: recorder,
    }
    nodes = graph.with_clock(
        [*graph.robot(options), graph.ACTOR, RECORDER],
        options,
        parameter_files.merged([parameters, for_this_recording]),
    )
    # The arm comes first, at any pace.
    return [replace(node, niceness=graph.GIVES_WAY) if node.name == RECORDER.name else node for node in nodes]


def schema_of(options: Mapping[str, Any], parameters: NodeParameters) -> Schema:
    """What the nodes, so configured, will send. Raises ValueError for what the format cannot hold."""
    actor, controller = parameters.get("actor", {}), parameters.get("ee_controller", {})
    settings = Settings.default()
    size = actor.get("image_size", 128)
    return Schema(
        ObservationSpec(state_names(), tuple(actor.get("cameras", ("front", "wrist"))), (size, size)),
        options["control_hz"],
        controller.get("step_m", settings.step_m),
        controller.get("step_rad", settings.step_rad),
        tuple(actor.get("action_axes", ActionSpec().axes)),
    )


def episodes_in(dataset: Path) -> int:
    """Episodes of a dataset; 0 where there is none yet."""
    path = dataset / INFO
    return int(json.loads(path.read_text())["total_episodes"]) if path.exists() else 0
