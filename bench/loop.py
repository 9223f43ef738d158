"""How fast the lockstep loop turns with the learner training, and which node takes the time.

Runs a short training through the real graph and reads every node's CPU time from the operating system:

    . .venv/ros.sh && python bench/loop.py [--window-s 40] [-- further options of `hilrl up train`]
"""

import argparse
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

START_TIMEOUT_S = 300.0


def nodes_below(process: psutil.Process) -> dict[str, psutil.Process]:
    """Processes of the graph by node name."""
    found = {}
    for child in process.children(recursive=True):
        match = re.search(r"__node:=(\w+)", " ".join(child.cmdline()))
        if match:
            found[match[1]] = child
    return found | {"hilrl (terminal view)": process}


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def newest_metrics(run: Path) -> dict[str, float]:
    """Of the last whole line."""
    return json.loads((run / "metrics.jsonl").read_text().rpartition("\n")[0].splitlines()[-1])


def wait_for_updates(run: Path, graph: subprocess.Popen) -> None:
    """Until the learner has been training for a little while."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and graph.poll() is None:
        time.sleep(0.5)
        path = run / "metrics.jsonl"
        if path.exists() and path.stat().st_size and newest_metrics(run)["critic_updates"] > 200:
            return
    sys.exit("the run did not come to train; see its log")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--window-s", type=float, default=40.0)
    parser.add_argument("options", nargs="*", help="options of `hilrl up train`, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = ["hilrl", "up", "train", "--run", str(run), "--duration-s", "0"]
        command += ["--set", "learner.pretraining_s=10.0", *arguments.options]
        graph = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for_updates(run, graph)
            nodes = nodes_below(psutil.Process(graph.pid))
            before, start = {name: cpu_s(node) for name, node in nodes.items()}, time.monotonic()
            first = newest_metrics(run)
            time.sleep(arguments.window_s)
            used = {name: cpu_s(node) - before[name] for name, node in nodes.items()}
            wall_s = time.monotonic() - start
            last = newest_metrics(run)
        finally:
            graph.send_signal(signal.SIGINT)
            graph.wait()
    elapsed_s = last["elapsed_s"] - first["elapsed_s"]
    steps = last["env_steps"] - first["env_steps"]
    updates = last["critic_updates"] - first["critic_updates"]
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}"
    )
    print(f"env steps/s: {steps / elapsed_s:.1f}   critic updates/s: {updates / elapsed_s:.1f}\n")
    print(f"{'node':<24}{'CPU share':>10}{'ms per env step':>18}")
    for name, seconds in sorted(used.items(), key=lambda item: -item[1]):
        print(f"{name:<24}{seconds / wall_s:>10.0%}{1e3 * seconds / max(steps, 1):>18.2f}")


if __name__ == "__main__":
    main()
