"""Record episodes in lockstep simulation and read every frame of them with the real LeRobot.

What LeRobot gives is compared with the steps that were sent, which this process listens to by itself: numbers
must be equal, frames as near as the codec allows. `python bench/lerobot_check.py --episodes 50`, with
LEROBOT_PYTHON naming an interpreter that has LeRobot with its extra `dataset`.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

from hilrl import record
from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.data import ObservationSpec, Step
from hilrl_learning.lerobot.features import ACTION, DONE, REWARD, SOURCE, STATE, action_vector
from hilrl_learning.messages import step_from_message
from hilrl_learning.observation_sync import state_names
from hilrl_ros import fast_dds, qos

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (128, 128))
COLUMNS = (STATE, ACTION, REWARD, DONE, SOURCE, "timestamp", "frame_index", "episode_index", "index")

READ = """
import json, sys, time
import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.datasets import compute_stats
from lerobot.utils.import_utils import get_safe_default_video_backend
from lerobot import __version__

root, out, columns, cameras = sys.argv[1], sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(",")
dataset = LeRobotDataset("local/check", root=root, return_uint8=True)
began = time.perf_counter()
frames = [dataset[index] for index in range(len(dataset))]
took = time.perf_counter() - began
found = {name: np.stack([frame[name].numpy() for frame in frames]) for name in columns}
images = {f"frames.{c}": np.stack([f[f"observation.images.{c}"].numpy() for f in frames]) for c in cameras}

# The statistics that LeRobot would have stored for the same columns and frames.
worst, worst_quantile = 0.0, 0.0
parts = []
for episode in range(dataset.num_episodes):
    rows = found["episode_index"] == episode
    parts.append({})
    for name in ("observation.state", "action", "next.reward", "timestamp"):
        values = found[name][rows]
        parts[-1][name] = compute_stats.get_feature_stats(values, axis=0, keepdims=values.ndim == 1)
theirs = compute_stats.aggregate_stats(parts)
for name, numbers in theirs.items():
    spread = np.maximum(numbers["max"] - numbers["min"], 1e-6)
    for key, value in numbers.items():
        away = float(np.max(np.abs(value - dataset.meta.stats[name][key]) / spread))
        if key.startswith("q"):
            worst_quantile = max(worst_quantile, away)
        else:
            worst = max(worst, away)
np.savez(out, **found, **images)
print(json.dumps({
    "version": __version__, "decoder": get_safe_default_video_backend(),
    "episodes": dataset.num_episodes, "frames": len(dataset), "read_s": took,
    "tasks": list(dataset.meta.tasks.index), "statistics": worst, "quantiles": worst_quantile,
    "success": sum(bool(entry["success"]) for entry in dataset.meta.episodes),
}))
"""


class Witness(Node):
    """Hears every step that the actor sends."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("witness", context=context, start_parameter_services=False)
        self.steps: dict[int, Step] = {}
        self.create_subscription(StepMessage, "/learner/steps", self._on_step, qos.STEPS)

    def _on_step(self, message: StepMessage) -> None:
        step = step_from_message(message, SPEC)
        self.steps[step.sequence] = step


@contextmanager
def witness() -> Iterator[Witness]:
    """Listens in a thread of its own."""
    context = rclpy.Context()
    context.init()
    node = Witness(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield node
    finally:
        context.try_shutdown()
        thread.join()


def read_by_lerobot(python: str, root: Path, folder: Path) -> tuple[dict, dict[str, NDArray]]:
    """(what it says of the dataset, every frame's columns and images)."""
    out = folder / "read.npz"
    environment = {**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONPATH", None)  # it is another Python
    ended = subprocess.run(
        [python, "-c", READ, str(root), str(out), ",".join(COLUMNS), ",".join(SPEC.cameras)],
        capture_output=True, text=True, env=environment, cwd=folder, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"LeRobot cannot read {root}:\n{ended.stderr}")
    return json.loads(ended.stdout), dict(np.load(out))


def psnr_db(frames: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of each frame [dB]."""
    error = (frames.astype(np.float64) - others) ** 2
    return 10 * np.log10(255**2 / np.maximum(error.mean(axis=(1, 2, 3)), 1e-9))


def compare(sent: dict[int, Step], said: dict, read: dict[str, NDArray]) -> list[tuple[str, str, bool]]:
    """Rows of the table: what, the figure, whether it is as it must be."""
    count = said["frames"]
    steps = [sent[sequence] for sequence in range(1, count + 1) if sequence in sent]
    table = [
        ("episodes, frames", f"{said['episodes']}, {count}", count > 0),
        ("steps heard on the topic", str(len(steps)), len(steps) == count),
        ("successful episodes", str(said["success"]), True),
    ]
    episode_starts = [step.index == 0 for step in steps]
    expected = {
        STATE: np.stack([step.observation.state for step in steps]),
        ACTION: np.stack([action_vector(step.action) for step in steps]),
        REWARD: np.array([step.reward for step in steps], np.float32),
        DONE: np.array([step.terminated or step.truncated for step in steps]),
        SOURCE: np.array([int(step.action.source) for step in steps]),
        "timestamp": np.array([step.index / 10 for step in steps], np.float32),
        "frame_index": np.array([step.index for step in steps]),
        "episode_index": np.cumsum(episode_starts) - 1,
        "index": np.arange(len(steps)),
    }
    for name, values in expected.items():
        different = int(np.sum(np.any((values != read[name]).reshape(len(steps), -1), axis=1)))
        table.append((name, f"{different} of {count} rows differ", different == 0))
    for number, camera in enumerate(SPEC.cameras):
        original = np.stack([step.observation.images[number] for step in steps])
        shown = read[f"frames.{camera}"].transpose(0, 2, 3, 1)
        decibel = psnr_db(original, shown)
        # A frame taken for its neighbour would be nearer to that.
        shifted = psnr_db(original[:-1], shown[1:])
        table.append(
            (
                f"frames of {camera}",
                f"PSNR mean {decibel.mean():.1f} dB, worst {decibel.min():.1f} dB "
                f"(next frame: {shifted.mean():.1f} dB)",
                decibel.min() > 30 and decibel.mean() > shifted.mean() + 3,
            )
        )
    table.append(
        ("statistics, off LeRobot's own", f"{said['statistics']:.1e} of the range", said["statistics"] < 1e-3)
    )
    table.append(
        ("quantiles, off LeRobot's own", f"{said['quantiles']:.1e} of the range", said["quantiles"] < 1e-3)
    )
    table.append(("LeRobot reads", f"{count / said['read_s']:.0f} frames/s", True))
    return table


def main() -> int:
    """Exit status: 0 all is as it must be, 1 not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", type=Path, help="where to leave the dataset; default: nowhere")
    options = parser.parse_args()
    python = os.environ.get("LEROBOT_PYTHON")
    if not python:
        parser.error("LEROBOT_PYTHON: expected an interpreter with LeRobot, it is not set")
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 101)))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    fast_dds.configure()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        root = (options.dataset or folder / "dataset").resolve()
        began_s = time.monotonic()
        with witness() as listener:
            status = record.record(root, options.episodes, "", {"seed": options.seed}, [])
        took_s = time.monotonic() - began_s
        if status:
            return status
        said, read = read_by_lerobot(python, root, folder)
        table = compare(listener.steps, said, read)
        dataset_bytes = sum(p.stat().st_size for p in root.rglob("file-*") if p.is_file())
        table.append(("bytes per frame, two cameras", f"{dataset_bytes / said['frames']:.0f}", True))
        table.append(("recording", f"{took_s:.0f} s, {said['frames'] / took_s:.0f} steps/s", True))
    print(f"\nlerobot {said['version']}, frames decoded by {said['decoder']}, task {said['tasks']}")
    for what, figure, good in table:
        print(f"  {'ok ' if good else 'NOT'}  {what:32} {figure}")
    return 0 if all(good for *_, good in table) else 1


if __name__ == "__main__":
    sys.exit(main())
