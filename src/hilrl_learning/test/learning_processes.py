"""Starts, kills and watches the processes of a small training run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hilrl_ros.testing import own_domain

SIZE = 64
NAMESPACE = "/so101"

SMALL_RUN = {
    "demonstrations": 2,
    "pretraining_s": 0.5,
    "imitation_updates": 10,
    "features_per_camera": 8,
    "crops": 1,
    "batch": 16,
    "capacity": 20000,
    "checkpoint_s": 1.0,
    "publish_hz": 5.0,
    "duration_s": 0.0,
    "sac.critic_only_updates": 20,
}


class Processes:
    """The processes of one run in one folder, in a DDS domain of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self._reserved = ExitStack()
        domain = self._reserved.enter_context(own_domain())
        self.environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        self.environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self.before: dict[str, list[str]] = {}
        """What goes in front of a command, by name of the process: `nsenter` for one, to run elsewhere."""
        self._running: list[subprocess.Popen] = []

    def start(self, command: list[str], name: str, parameters: dict, namespace: str = "") -> subprocess.Popen:
        arguments = [*self.before.get(name, ()), sys.executable, *command, "--ros-args"]
        if namespace:
            arguments += ["-r", f"__ns:={namespace}"]
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={json.dumps(value)}"]
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(arguments, env=self.environment, stdout=log, stderr=log)
        self._running.append(process)
        return process

    def actor(self, **parameters: object) -> subprocess.Popen:
        defaults = {"run_dir": str(self.run_dir), "image_size": SIZE, "max_episode_steps": 10}
        return self.start(
            ["-c", "from hilrl_learning.actor_node import main; main()"],
            "actor",
            {**defaults, **parameters},
            NAMESPACE,
        )

    def learner(self, **parameters: object) -> subprocess.Popen:
        defaults = {"run_dir": str(self.run_dir), "image_size": SIZE, **SMALL_RUN}
        return self.start(
            ["-c", "from hilrl_learning.learner_node import main; main()"],
            "learner",
            {**defaults, **parameters},
        )

    def arm(self, *options: str) -> subprocess.Popen:
        program = str(Path(__file__).with_name("stand_in_arm.py"))
        log = str(self.folder / "executed.jsonl")
        return self.start([program, log, "--size", str(SIZE), *options], "arm", {}, NAMESPACE)

    def executed(self) -> dict[int, dict]:
        """What the arm executed, by tick."""
        path = self.folder / "executed.jsonl"
        whole_lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return {record["tick"]: record for record in map(json.loads, whole_lines)}

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """Kill what still runs, and let go of the domain."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        self._reserved.close()


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0, what: str = "") -> None:
    """Poll `condition`; fails the test when it does not come true in time."""
    until_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)
