"""New weights from the learner's tensors to the actor's, across processes, ours beside LeRobot's.

    . .venv/ros.sh && python bench/push.py [--rounds 5] [--pushes 50]

The same number of bytes as theirs, 2.96 MB. Ours: packed, given a checksum, published over DDS as the
learner does, checked, unpacked, looked through for values that are not finite, loaded into networks beside
the control loop, and swapped in as between two steps. Once in full precision, once with large tensors as
float16 (`publish_half`). Theirs: pickled, over gRPC, loaded; the 4 s between their pushes and the
wait for the end of an episode are left out.
With LEROBOT_PYTHON set to an interpreter that has LeRobot, its rounds run in between ours.
"""

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

import rclpy
import torch
from rclpy.executors import SingleThreadedExecutor

import table
from hilrl_interfaces.msg import PolicyWeights
from hilrl_learning.algorithms.sac import SACConfig, SACHead
from hilrl_learning.course import TrainingCourse
from hilrl_learning.data import ActionSpec, ObservationSpec
from hilrl_learning.encoders import SmallCNN
from hilrl_learning.messages import serialized_weights
from hilrl_learning.observation_sync import state_names
from hilrl_learning.preprocessor import Preprocessor
from hilrl_learning.training_link import TrainingLink
from hilrl_learning.weights import PolicySpec, pack
from hilrl_ros import fast_dds, qos
from hilrl_ros.node import Node

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (128, 128))
FEATURES = 64
HIDDEN_UNITS = 482
"""Makes the payload as large as theirs."""
LOOK_S = 0.0002
WAIT_S = 30.0
PAUSE_S = 0.05
"""Between two pushes; a learner publishes about once a second."""


def push(pushes: int, half: bool) -> table.Result:
    """The learner's end; starts the actor's."""
    os.environ["ROS_DOMAIN_ID"] = str(random.randrange(1, 102))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    fast_dds.configure()
    rclpy.init()
    node = Node("learner")
    publisher = node.create_publisher(PolicyWeights, "/learner/policy", qos.LATCHED)
    tensors, spec = _policy()
    payload = pack(tensors, spec, half)
    command = [sys.executable, __file__, "--actor"]
    times = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as actor:
        try:
            deadline = time.monotonic() + WAIT_S
            while not publisher.get_subscription_count():
                time.sleep(PAUSE_S)
                if time.monotonic() > deadline:
                    raise TimeoutError("no actor")
            for version in range(1, pushes + 3):
                time.sleep(PAUSE_S)
                tensors["head.actor.trunk.biases.0"] += 1e-3  # as every version differs
                start = time.monotonic()
                packed = pack(tensors, spec, half)
                stamp = node.get_clock().now().to_msg()
                publisher.publish(serialized_weights(packed, version, 0, "sac", stamp))
                acted = actor.stdout.readline().split()
                assert int(acted[0]) == version
                times.append(float(acted[1]) - start)
        finally:
            actor.kill()
    return {"push_ms": 1e3 * median(times[2:]), "best_ms": 1e3 * min(times), "megabytes": len(payload) / 1e6}


def act() -> None:
    """The actor's end: says when it had which version."""
    fast_dds.configure()
    torch.set_num_threads(1)
    rclpy.init()
    node = Node("actor")
    with tempfile.TemporaryDirectory() as run:
        course = TrainingCourse(seed=0, learner_timeout_s=WAIT_S)
        link = TrainingLink(node, "arm", Path(run), SPEC, ActionSpec(), course, "base_link")
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        version = 0
        while True:
            time.sleep(LOOK_S)
            link.swap_policy()
            if link.policy is not None and link.policy.version != version:
                version = link.policy.version
                print(version, time.monotonic(), flush=True)


def _policy() -> tuple[dict[str, torch.Tensor], PolicySpec]:
    settings = SACConfig(hidden_units=HIDDEN_UNITS)
    encoder = SmallCNN(len(SPEC.cameras), FEATURES)
    hidden = (HIDDEN_UNITS,) * settings.hidden_layers
    parts = {
        "preprocessor": Preprocessor(len(SPEC.state_names), encoder.frame_size),
        "encoder": encoder,
        "head": SACHead(encoder.size + len(SPEC.state_names), len(ActionSpec().axes), hidden),
    }
    tensors = {f"{p}.{k}": v for p, module in parts.items() for k, v in module.state_dict().items()}
    return tensors, PolicySpec(
        algorithm="sac",
        settings=asdict(settings),
        encoder="small_cnn",
        encoder_weights="",
        observation=SPEC,
        action=ActionSpec(),
        features_per_camera=FEATURES,
        critic_updates=0,
    )


def main() -> None:
    parser = table.parser(__doc__)
    parser.add_argument("--pushes", type=int, default=50, help="per process")
    arguments = parser.parse_args()
    print(table.header(arguments.threads))
    rows = []
    for half in (False, True):
        ours, theirs = table.alternate(
            arguments.rounds,
            partial(table.own, __file__, "push", arguments.threads, pushes=arguments.pushes, half=half),
            partial(table.peer, "push", arguments.threads, pushes=arguments.pushes),
        )
        title = f"{median(ours['megabytes']):.2f} MB{', float16' if half else ''}"
        rows += [
            table.Row(f"{title} [ms]", ours["push_ms"], theirs["push_ms"]),
            table.Row("... best [ms]", ours["best_ms"]),
        ]
    table.show("Policy push, learner's tensors to actor's tensors, across processes", rows)


if __name__ == "__main__":
    if "--alone" in sys.argv:
        table.run_alone({"push": push}, sys.argv)
    elif "--actor" in sys.argv:
        act()
    else:
        main()
