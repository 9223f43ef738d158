"""Several simulated arms and one learner as processes, for tests and benchmarks of more than one arm."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from domain_coordinator import domain_id

from hilrl import graph, parameter_files
from hilrl.nodes import Node
from hilrl.run_config import Assignment, new_config
from hilrl.supervisor import executable, ros_arguments

LEARNER = "/learner"


class Fleet:
    """The nodes of some arms, each in its namespace, and of the learner that they share."""

    def __init__(
        self,
        folder: Path,
        arms: Mapping[str, int],
        choices: Mapping[str, Any],
        assignments: Sequence[Assignment] = (),
    ) -> None:
        """`arms`: seed of the scenes by namespace. The rest as of `hilrl up train`, for all of them alike."""
        self.folder, self.run = folder, folder / "run"
        self.nodes: dict[str, Node] = {}
        """By fully qualified name."""
        self.before: dict[str, Sequence[str]] = {}
        """What goes in front of a command, by node name: `nsenter` for one, to run elsewhere."""
        # Of this fleet alone until it is closed; what starts it stays in its own.
        self._reserved = ExitStack()
        domain = self._reserved.enter_context(domain_id(lambda: random.randint(1, 100)))
        self.environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(domain),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._running: dict[str, subprocess.Popen] = {}
        for namespace, seed in arms.items():
            config = new_config({**choices, "robot": namespace, "seed": seed}, assignments)
            own = {"actor": {"actor_id": namespace}}
            for node in graph.train(
                config.options, parameter_files.merged([config.parameters, own]), self.run
            ):
                alone = len(arms) == 1 or not node.in_namespace
                self.nodes.setdefault(node.fully_qualified_name, node if alone else _on_its_own_clock(node))

    def of(self, namespace: str) -> list[str]:
        """The nodes of an arm."""
        return [name for name, node in self.nodes.items() if node.namespace == f"/{namespace}"]

    def start(self, *names: str) -> None:
        """Start these nodes, the first time or again."""
        for name in names:
            node, file = self.nodes[name], self._file(name, "yaml")
            file.write_text(parameter_files.dump(graph.parameters_by_name([node])))
            command = [*self.before.get(name, ()), "nice", "-n", str(node.niceness), sys.executable]
            with self._file(name, "log").open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [*command, str(executable(node)), *ros_arguments(node, file)],
                    env=self.environment,
                    cwd=self.folder,
                    stdout=log,
                    stderr=log,
                )

    def end(self, *names: str, by: signal.Signals = signal.SIGTERM) -> list[int]:
        """End these nodes; their exit statuses."""
        for name in names:
            self._running[name].send_signal(by)
        return [self._running[name].wait(30.0) for name in names]

    def pid(self, name: str) -> int:
        """Of the process that a node is."""
        return self._running[name].pid

    def ended(self) -> list[str]:
        """Nodes that were started and run no longer."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def output(self, name: str) -> str:
        """What a node has printed."""
        return self._file(name, "log").read_text(errors="replace")

    def close(self) -> None:
        """However it ends."""
        for process in self._running.values():
            process.kill()
            process.wait()
        self._reserved.close()

    def _file(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name.strip('/').replace('/', '-')}.{suffix}"


def _on_its_own_clock(node: Node) -> Node:
    """Two simulators in real time cannot be one clock."""
    return replace(node, remappings=(*node.remappings, ("/clock", f"{node.namespace}/clock")))
