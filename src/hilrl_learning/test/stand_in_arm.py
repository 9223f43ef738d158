"""An arm for tests of the actor, as a process: cameras, controller, mux and scene in lockstep, no physics.

Every observation carries the number of its tick in its frames and its state, and every executed action is
logged with that number, so that a test can tell what belongs together. Every third tick of an episode is
an operator's. `python stand_in_arm.py LOG [--size N] [--max-ticks N] [--first-tick N] [--demonstrate]`
With `--succeed-while FILE` every tick is a success as long as that file is there, and none otherwise.
"""

import argparse
import contextlib
import json
import time
from array import array
from collections import OrderedDict
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeAction, EeState, Episode, RewardEstimate
from hilrl_interfaces.srv import ResetScene
from hilrl_ros import qos
from hilrl_ros.images import to_message
from hilrl_ros.stamps import from_ns, to_ns

PERIOD_NS = 100_000_000
JOINTS = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]


def operator_delta(tick: int) -> float:
    """The x delta that marks an operator's action at this tick."""
    return (tick % 1000) / 1000


def frame(tick: int, camera: int, size: int) -> np.ndarray:
    """A frame that carries its tick and its camera."""
    pixels = np.full((size, size, 3), camera, np.uint8)
    pixels[0, 0] = [tick >> 16 & 255, tick >> 8 & 255, tick & 255]
    return pixels


class StandInArm(Node):
    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("stand_in_arm")
        self._options = options
        self._log = Path(options.log)
        self._tick = options.first_tick
        self._stamp_ns = options.first_tick * PERIOD_NS
        self._episode_tick = 0
        self._success_tick = 0
        self._kind = Episode.KIND_EVALUATION
        self._heard = 0
        self._executed: OrderedDict[int, EeAction] = OrderedDict()
        self._frames = [
            self.create_publisher(Image, f"camera/{name}/image_crop", qos.IMAGES)
            for name in ("front", "wrist")
        ]
        self._joints = self.create_publisher(JointState, "joint_states", qos.JOINT_STATES)
        self._ee = self.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        self._rewards = self.create_publisher(RewardEstimate, "reward", qos.EVENTS)
        self._actions = self.create_publisher(EeAction, "action", qos.ACTIONS)
        self.create_subscription(EeAction, "policy_action", self._on_action, qos.ACTIONS)
        self.create_subscription(Episode, "episode", self._on_episode, qos.EVENTS)
        self.create_service(ResetScene, "sim/reset", self._on_reset)
        self._silence = self.create_timer(0.2, self._publish)

    def _on_episode(self, message: Episode) -> None:
        self._heard += 1
        if self._heard > self._options.deaf_to:
            self._kind = message.kind

    def _on_reset(self, request: ResetScene.Request, response: ResetScene.Response) -> ResetScene.Response:
        generator = np.random.default_rng(request.seed)
        self._episode_tick, self._success_tick = 0, int(generator.integers(2, 14))
        self._tick += 1
        self._stamp_ns += 1_000_000
        response.success, response.stamp = True, from_ns(self._stamp_ns)
        self._publish()
        return response

    def _on_action(self, message: EeAction) -> None:
        stamp_ns = to_ns(message.header.stamp)
        if stamp_ns in self._executed:
            self._actions.publish(self._executed[stamp_ns])
        if stamp_ns != self._stamp_ns or self._tick >= self._options.max_ticks:
            return
        if self._kind != Episode.KIND_EVALUATION and (
            self._kind == Episode.KIND_DEMONSTRATION or self._episode_tick % 3 == 2
        ):
            demonstrates = self._kind == Episode.KIND_DEMONSTRATION
            message.source = EeAction.SOURCE_DEMONSTRATION if demonstrates else EeAction.SOURCE_INTERVENTION
            message.delta = np.array([operator_delta(self._tick), 0, 0, 0, 0], np.float32)
            message.device, message.policy_version = "operator", 0
        self._executed[stamp_ns] = message
        if len(self._executed) > 8:
            self._executed.popitem(last=False)
        record = {
            "tick": self._tick,
            "stamp_ns": stamp_ns,
            "delta": message.delta.tolist(),
            "source": message.source,
            "policy_version": message.policy_version,
        }
        with self._log.open("a") as log:
            log.write(json.dumps(record) + "\n")
        self._actions.publish(message)
        self._tick += 1
        self._episode_tick += 1
        self._stamp_ns += PERIOD_NS
        time.sleep(self._options.period_s)
        self._publish()

    def _publish(self) -> None:
        self._silence.reset()
        stamp = from_ns(self._stamp_ns)
        header = Header(stamp=stamp)
        for camera, publisher in enumerate(self._frames):
            publisher.publish(to_message(frame(self._tick, camera, self._options.size), stamp, "camera"))
        positions = array("d", [float(self._tick), 0, 0, 0, 0, 0])
        self._joints.publish(
            JointState(header=header, name=JOINTS, position=positions, velocity=array("d", [0.0] * 6))
        )
        success = self._episode_tick == self._success_tick
        if self._options.succeed_while:
            success = self._episode_tick > 0 and Path(self._options.succeed_while).exists()
        self._rewards.publish(RewardEstimate(header=header, reward=float(success), success=success))
        self._ee.publish(EeState(header=header))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--max-ticks", type=int, default=1 << 24)
    parser.add_argument("--first-tick", type=int, default=1)
    parser.add_argument("--period-s", type=float, default=0.0, help="wall time that a tick takes at least")
    parser.add_argument("--succeed-while", default="")
    parser.add_argument("--deaf-to", type=int, default=0, help="so many messages on `episode` do not arrive")
    options, _ = parser.parse_known_args()
    rclpy.init()
    node = StandInArm(options)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        executor.spin()


if __name__ == "__main__":
    main()
