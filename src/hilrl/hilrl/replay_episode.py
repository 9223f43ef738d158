"""`hilrl up replay`: an episode of a dataset once more, through the controller of the arm."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from hilrl import boards, graph, parameter_files, viewers
from hilrl.arm_watch import beside_arms
from hilrl.nodes import CONTROLLER, MUX, PLAYER, Node
from hilrl.parameter_files import NodeParameters
from hilrl.run_config import Assignment, new_config
from hilrl.run_folder import RunFolder
from hilrl.session import Ending, environment, run_graph
from hilrl.supervisor import Health
from hilrl_learning.episode_player_node import check_playable
from hilrl_learning.lerobot.reader import LeRobotReader


class ReplayWatch:
    """Waits for what the player leaves before it ends."""

    period_s = 0.05
    messages = 0

    def __init__(self, result_file: Path) -> None:
        self.result: dict[str, Any] = {}
        """`status` and `words`."""
        self._result_file = result_file

    def tick(self, health: Mapping[str, Health]) -> bool:
        """True once it has played, or cannot."""
        if self._result_file.exists():
            self.result = json.loads(self._result_file.read_text())
        return bool(self.result)


def replay(dataset: Path, episode: int, choices: Mapping[str, Any], assignments: Sequence[Assignment]) -> int:
    """Play it; the exit status: 0 played, 1 its beginning was not reached, 2 no fit, 130 interrupted.

    Raises ValueError for choices or a dataset that do not fit, NodeFailed if a node is gone for good.
    """
    check_playable(LeRobotReader(dataset), episode)
    config = new_config(choices, assignments)
    folder = RunFolder.named(f"replay-{dataset.resolve().name}")
    console = Console()
    result_file = folder.log / "replay_result.json"
    result_file.unlink(missing_ok=True)
    watch = ReplayWatch(result_file)
    with folder.lock(), ExitStack() as resources:
        connections = boards.parameters(config.options, folder, resources)
        parameters = parameter_files.merged([config.parameters, connections])
        nodes = replaying(config.options, parameters, dataset, episode, result_file)
        env = resources.enter_context(environment(folder))
        console.print(f"{dataset}: episode {episode}", highlight=False)
        ending = run_graph(nodes, folder, env, lambda node: beside_arms(watch, node, nodes, console))
    if ending is Ending.INTERRUPTED:
        return 130
    console.print(watch.result["words"], highlight=False, soft_wrap=True)
    return int(watch.result["status"])


def replaying(
    options: Mapping[str, Any],
    parameters: NodeParameters,
    dataset: Path,
    episode: int,
    result_file: Path,
) -> list[Node]:
    """The graph that plays one episode: the arm, and the player in the place of the actor."""
    player: NodeParameters = {
        PLAYER.name: {
            "dataset": str(dataset.resolve()),
            "episode": episode,
            "lockstep": options["lockstep"],
            "control_hz": options["control_hz"],
            "result_file": str(result_file),
        }
    }
    merged = parameter_files.merged([parameters, player])
    merged.get("intervention_mux", {}).pop("lockstep_devices", None)
    nodes = [*graph.body(options), CONTROLLER, MUX, PLAYER, *viewers.recorders(options)]
    return graph.with_clock(nodes, options, merged)
