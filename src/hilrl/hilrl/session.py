"""One start of a graph: its processes, its ROS domain, and a node of this process that looks on."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import rclpy
from domain_coordinator import domain_id
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node as RosNode
from rclpy.signals import SignalHandlerOptions

from hilrl.graph import Node
from hilrl.run_folder import RUNS, RunFolder, write_atomically
from hilrl.supervisor import Health, Supervisor
from hilrl_ros import fast_dds

CHECK_PERIOD_S = 1.0


class Ending(Enum):
    """Why a session ended."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"


class Onlooker(Protocol):
    """Follows a running graph."""

    period_s: float
    """Time between two calls of `tick` [s]."""
    messages: int
    """Messages received so far."""

    def tick(self, health: Mapping[str, Health]) -> bool:
        """Look at what has come in; True ends the session."""
        ...


@contextlib.contextmanager
def environment(run: RunFolder, own_domain: bool = True) -> Iterator[dict[str, str]]:
    """Set up this process for ROS and yield the environment of the nodes.

    The graph keeps to this machine and, with `own_domain`, to a ROS domain that no other run has, unless the
    user said otherwise.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    fast_dds.configure()
    os.environ.setdefault("MUJOCO_GL", "egl")
    with contextlib.ExitStack() as stack:
        if own_domain and "ROS_DOMAIN_ID" not in os.environ:
            chosen = stack.enter_context(domain_id(lambda: random.randint(1, 100)))
            os.environ["ROS_DOMAIN_ID"] = str(chosen)
            stack.callback(os.environ.pop, "ROS_DOMAIN_ID")
        run.path.mkdir(parents=True, exist_ok=True)
        write_atomically(run.domain, os.environ.get("ROS_DOMAIN_ID", "0"))
        stack.callback(run.domain.unlink, missing_ok=True)
        yield {
            **os.environ,
            # Many small processes share the cores; thread pools of their own only get in each other's way.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "RCUTILS_COLORIZED_OUTPUT": "0",
            "ROS_LOG_DIR": str(run.log / "ros"),
        }


def attach(where: Path | None = None) -> RunFolder | None:
    """Set up this process, and what it starts, for a graph that runs on this machine.

    `where`: the folder that the graph keeps its files in; by default that of the run started last. Where the
    shell names a ROS domain, that is taken. Returns the folder of the graph, None where that is not known.
    Raises ValueError where nothing runs in `where`.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    fast_dds.configure()
    folders = [RunFolder(where)] if where else [RunFolder(path) for path in RUNS.glob("*")]
    running: list[tuple[float, str, RunFolder]] = []
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # none runs, or it ends just now
            started_s, domain = folder.domain.stat().st_mtime, folder.domain.read_text()
            # The file of a graph that was killed stays behind, and its domain may be another arm's by now.
            if folder.is_in_use:
                running.append((started_s, domain, folder))
    given = os.environ.get("ROS_DOMAIN_ID")
    if given is not None:
        running = [graph for graph in running if graph[1] == given]
    elif where and not running:
        raise ValueError(f"{where}: expected a graph that runs, there is none")
    if not running:
        return None
    _, os.environ["ROS_DOMAIN_ID"], newest = max(running, key=lambda graph: graph[0])
    return newest


def run_graph(
    nodes: Sequence[Node], run: RunFolder, env: Mapping[str, str], look: Callable[[RosNode], Onlooker]
) -> Ending:
    """Run the graph until the onlooker has seen enough or a signal comes; then end all its processes.

    Raises ValueError if a program is missing, NodeFailed if a node is gone for good.
    """
    return asyncio.run(_run_graph(nodes, run, env, look))


async def _run_graph(
    nodes: Sequence[Node], run: RunFolder, env: Mapping[str, str], look: Callable[[RosNode], Onlooker]
) -> Ending:
    supervisor = Supervisor(nodes, run.log, run.parameters, env)
    interrupted = asyncio.Event()
    # After the supervisor's: circus would reload on SIGHUP, which is a closed terminal here.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
    try:
        await supervisor.start()
        with _ros_node() as (node, executor):
            return await _follow(supervisor, look(node), executor, interrupted)
    finally:
        await supervisor.stop()


async def _follow(
    supervisor: Supervisor,
    onlooker: Onlooker,
    executor: SingleThreadedExecutor,
    interrupted: asyncio.Event,
) -> Ending:
    next_check = 0.0
    while not interrupted.is_set():
        _drain(executor, onlooker)
        if onlooker.tick(supervisor.health):
            return Ending.FINISHED
        # After the tick: a node may end because its work is done.
        if time.monotonic() >= next_check:
            next_check = time.monotonic() + CHECK_PERIOD_S
            supervisor.check()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(interrupted.wait(), onlooker.period_s)
    return Ending.INTERRUPTED


def _drain(executor: SingleThreadedExecutor, onlooker: Onlooker) -> None:
    """Take all messages that wait. Polling leaves DDS to thin out what nobody needs to see."""
    seen = -1
    while seen != onlooker.messages:
        seen = onlooker.messages
        executor.spin_once(timeout_sec=0)


@contextlib.contextmanager
def _ros_node() -> Iterator[tuple[RosNode, SingleThreadedExecutor]]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = RosNode("hilrl", enable_rosout=False, start_parameter_services=False)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        yield node, executor
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
