"""Runs the graph as processes, with circus: start, watch, start again, stop.

Circus because it is a library (its arbiter lives in this process, on this event loop), starts each process in
a session of its own, so that Ctrl+C reaches this process alone and the nodes are stopped in good order, and
escalates from a polite signal to SIGKILL. Its control sockets stay inside the process (inproc://): no
ports, and no limit on the length of the run folder's path.
"""

import logging
import os
import shlex
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from circus.arbiter import Arbiter
from circus.exc import ConflictError
from circus.process import DEAD_OR_ZOMBIE
from circus.watcher import Watcher
from tornado.ioloop import IOLoop

from hilrl import parameter_files
from hilrl.graph import Node, parameters_by_name

GUARD = Path(__file__).with_name("guard.py")
RESPAWN_DELAY_S = 1.0
GRACE_S = 4.0
"""From the polite signal to SIGKILL."""
MOTOR_GRACE_S = 15.0
"""The same for a node that lets an arm down before it ends."""
BAD_CONFIGURATION = 2
"""Exit status of a node that refuses its parameters: it would refuse them again."""
CRASHES, CRASH_WINDOW_S = 4, 60.0
"""This many deaths within this time end the run: starting again does not help."""


class NodeFailed(RuntimeError):
    """A node is gone for good."""


@dataclass
class Health:
    """What is known of one node's process."""

    pid: int | None = None
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=CRASHES))
    """Monotonic times [s] of the last deaths."""
    exit_code: int | None = None
    """Of the last death, negative for a signal; None where it is not known."""

    @property
    def down(self) -> bool:
        """No process right now."""
        return self.pid is None


def executable(node: Node) -> Path:
    """The node's program. Raises ValueError if it is not installed."""
    try:
        path = Path(get_package_prefix(node.package), "lib", node.package, node.executable)
    except PackageNotFoundError:
        raise ValueError(
            f"{node.package}: not installed; build it with colcon and source install/local_setup.bash"
        ) from None
    if not path.exists():
        raise ValueError(f"{node.package}: expected the program {path}; build the package again")
    return path


def grace_s(node: Node) -> float:
    """How long the node may take to end [s]."""
    return MOTOR_GRACE_S if node.has_motors else GRACE_S


def ros_arguments(node: Node, parameter_file: Path) -> list[str]:
    """Command-line arguments: the node's own, then those that give it its names and parameters."""
    arguments = [*node.arguments, "--ros-args"]
    # Nodes that share a process keep the names that they have.
    arguments += [] if node.components else ["-r", f"__node:={node.name}"]
    arguments += ["-r", f"__ns:={node.namespace}"]
    for source, target in node.process_remappings:
        arguments += ["-r", f"{source}:={target}"]
    # Only where ROS_SECURITY_ENABLE says so is it looked at; see security.py.
    arguments += ["--enclave", node.fully_qualified_name]
    return [*arguments, "--params-file", str(parameter_file)]


class ReapingWatcher(Watcher):
    """Learns how a process ended also where that was after circus's last look: it would drop such a one."""

    def manage_processes(self) -> Any:
        """See `Watcher.manage_processes`."""
        for process in list(self.processes.values()):
            if process.status == DEAD_OR_ZOMBIE:
                self.reap_process(process.pid)
        return super().manage_processes()


class Supervisor:
    """The processes of one graph. Lives on the running event loop."""

    def __init__(
        self, nodes: Sequence[Node], log: Path, parameter_file: Path, env: Mapping[str, str]
    ) -> None:
        """Raises ValueError if a program is missing. Nothing is started yet."""
        logging.getLogger("circus").setLevel(logging.CRITICAL)
        logging.getLogger("tornado.application").addFilter(_not_a_conflict)
        log.mkdir(parents=True, exist_ok=True)
        parameter_file.write_text(parameter_files.dump(parameters_by_name(nodes)))
        self.log = log
        self.nodes = {node.name: node for node in nodes}
        self.health = {node.name: Health() for node in nodes}
        self._stopping = False
        watchers = [
            ReapingWatcher(
                node.name,
                shlex.quote(sys.executable),
                self._arguments(node, parameter_file),
                env=dict(env),
                respawn=node.respawn,
                # Not SIGINT: Python turns that into a KeyboardInterrupt in the middle of a node's clean-up.
                stop_signal=signal.SIGTERM,
                graceful_timeout=grace_s(node),
                singleton=True,
                hooks={"after_reap": (self._reaped, True)},
            )
            for node in nodes
        ]
        self._arbiter = Arbiter(
            watchers,
            "inproc://hilrl-control",
            "inproc://hilrl-events",
            check_delay=RESPAWN_DELAY_S,
            proc_name="hilrl",
            loop=IOLoop.current(),
        )

    async def start(self) -> None:
        """Start all processes. They find each other in any order."""
        await self._arbiter.start()

    def check(self) -> None:
        """Look after the processes; call it about once a second.

        Raises NodeFailed, with the last lines of its log, when a node is gone for good.
        """
        if self._stopping:
            return
        for name, health in self.health.items():
            pid = self._pid(name)
            died = health.pid is not None and pid != health.pid
            health.pid = pid
            if died:
                health.deaths.append(time.monotonic())
                self._judge(name, health)

    async def stop(self) -> None:
        """End all processes: SIGTERM, and SIGKILL for what has not gone in time."""
        self._stopping = True
        # Or circus goes on looking after its processes while it ends them.
        self._arbiter.ctrl.caller.stop()
        await self._arbiter.stop()

    def _arguments(self, node: Node, parameter_file: Path) -> list[str]:
        log = self.log / f"{node.name}.log"
        # When this process is killed, an arm is still let down; its node has no parent to miss then.
        on_orphaned = signal.SIGTERM if node.has_motors else signal.SIGKILL
        numbers = (str(number) for number in (os.getpid(), int(on_orphaned), node.niceness))
        guard = ["-I", "-S", str(GUARD), *numbers, str(log)]
        return [*guard, str(executable(node)), *ros_arguments(node, parameter_file)]

    def _judge(self, name: str, health: Health) -> None:
        recent = time.monotonic() - health.deaths[0] < CRASH_WINDOW_S
        if self.nodes[name].looks_on:
            return
        if not self.nodes[name].respawn or health.exit_code == BAD_CONFIGURATION:
            reason = f"ended ({_exit_text(health.exit_code)}) and is not started again"
        elif len(health.deaths) == CRASHES and recent:
            reason = f"died {CRASHES} times in {CRASH_WINDOW_S:.0f} s ({_exit_text(health.exit_code)})"
        else:
            return
        log = self.log / f"{name}.log"
        tail = log.read_text(errors="replace").splitlines()[-12:] if log.exists() else []
        raise NodeFailed("\n".join([f"{name} {reason}. The end of {log}:", *tail]))

    def _pid(self, name: str) -> int | None:
        # A process counts until circus has reaped it: only then its exit status is known.
        return next(iter(self._arbiter.get_watcher(name).processes), None)

    def _reaped(self, watcher: Watcher, exit_code: int, **_: object) -> None:
        self.health[watcher.name].exit_code = exit_code


def _not_a_conflict(record: logging.LogRecord) -> bool:
    """Whether to log it: circus raises where its next look comes before the last one has ended."""
    return not (record.exc_info and isinstance(record.exc_info[1], ConflictError))


def _exit_text(exit_code: int | None) -> str:
    if exit_code is None:
        return "exit status unknown"
    if exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"
