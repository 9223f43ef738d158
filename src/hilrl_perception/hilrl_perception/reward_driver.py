"""Runs episodes in a lockstep simulation in the actor's place: a scripted operator's, spoilt in part."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from rclpy.task import Future
from std_msgs.msg import Header

from hilrl_interfaces.msg import EeAction, Episode
from hilrl_interfaces.srv import ResetScene
from hilrl_perception.reward_labels import Truth
from hilrl_perception.reward_practice import AXES, Practice, Situation
from hilrl_ros import qos
from hilrl_ros.ee_action import Gripper
from hilrl_ros.joint_messages import BASE_FRAME
from hilrl_ros.node import Node
from hilrl_ros.stamps import from_ns, to_ns

ACTOR_ID = "reward_collector"
EPISODES_PER_SEED = 1_000_000
"""Scene seeds are `seed * EPISODES_PER_SEED + episode`, as in training."""
RETRY_S = 2.0
PATIENCE_S = 0.3
"""Wall time for which a tick waits for the operator's proposal [s]."""


class Driver:
    """Announces episodes, resets scenes, and answers every tick with what practice makes of a proposal."""

    def __init__(
        self,
        node: Node,
        seed: int,
        most_steps: int,
        on_begin: Callable[[int, int], None],
        on_scene: Callable[[], None],
        on_end: Callable[..., None],
    ) -> None:
        """Calls `on_begin(episode, scene seed)`, `on_scene()` once that is there, `on_end(behaviour=...)`."""
        self._node, self._seed, self._most_steps = node, seed, most_steps
        self._on_begin, self._on_scene, self._on_end = on_begin, on_scene, on_end
        self._number = 0
        self._practice: Practice | None = None
        self._scene_from_ns: int | None = None
        """First stamp of the scene, once it is set up."""
        self._future: Future | None = None
        self._asked_s = float("-inf")
        self._waiting: tuple[int, Situation, float] | None = None
        """The tick that has no proposal yet, and since when."""
        self._proposals: dict[int, EeAction] = {}
        self._answer: EeAction | None = None
        self._actions = node.create_publisher(EeAction, "policy_action", qos.ACTIONS)
        self._episodes = node.create_publisher(Episode, "episode", qos.EVENTS)
        node.create_subscription(EeAction, "intervention/scripted", self._on_proposal, qos.ACTIONS)
        self._reset = node.create_client(ResetScene, "sim/reset")

    def is_of_scene(self, stamp_ns: int) -> bool:
        """Whether a stamp is of the scene that is being practised in."""
        return self._scene_from_ns is not None and stamp_ns >= self._scene_from_ns

    def tick(self, stamp_ns: int, truth: Truth, done: bool, rise_m: float) -> None:
        """A whole observation of the scene: act, once the operator has said what it would do."""
        nothing = np.zeros(AXES, np.float32)
        situation = Situation(nothing, Gripper.STAY, done, truth.grasped, rise_m)
        self._waiting = (stamp_ns, situation, time.monotonic())
        self._act()

    def repeat(self, stamp_ns: int) -> None:
        """The simulator shows a stamp again: nothing came of the answer to it."""
        if self._answer is not None and to_ns(self._answer.header.stamp) == stamp_ns:
            self._actions.publish(self._answer)

    def poll(self) -> None:
        """Call it every few 10 ms."""
        if self._practice is None:
            self._begin()
        elif self._scene_from_ns is None and time.monotonic() - self._asked_s > RETRY_S:
            self._ask()
        self._act()

    def _begin(self) -> None:
        if not self._reset.service_is_ready() or not self._node.count_publishers("intervention/scripted"):
            return
        self._number += 1
        self._practice = Practice(self._seed, self._number, self._most_steps)
        self._scene_from_ns = self._waiting = self._answer = None
        self._proposals.clear()
        scene_seed = self._seed * EPISODES_PER_SEED + self._number
        self._on_begin(self._number, scene_seed)
        self._publish(finished=False)
        self._ask()

    def _ask(self) -> None:
        if self._future is not None:
            self._reset.remove_pending_request(self._future)
        self._asked_s = time.monotonic()
        self._future = self._reset.call_async(
            ResetScene.Request(seed=self._seed * EPISODES_PER_SEED + self._number)
        )
        self._future.add_done_callback(self._on_reset)

    def _on_reset(self, future: Future) -> None:
        if future is self._future and future.result().success:
            self._future = None
            self._scene_from_ns = to_ns(future.result().stamp)
            self._on_scene()

    def _on_proposal(self, message: EeAction) -> None:
        self._proposals[to_ns(message.header.stamp)] = message
        while len(self._proposals) > 8:
            del self._proposals[min(self._proposals)]
        self._act()

    def _act(self) -> None:
        if self._waiting is None:
            return
        stamp_ns, now, since_s = self._waiting
        proposal = self._proposals.get(stamp_ns)
        if proposal is None and time.monotonic() - since_s < PATIENCE_S:
            return
        self._waiting = None
        if proposal is not None:
            now = replace(now, delta=np.array(proposal.delta, np.float32), gripper=Gripper(proposal.gripper))
        chosen = self._practice.act(now)
        if chosen is None:
            self._publish(finished=True, success=now.done)
            self._on_end(behaviour=self._practice.behaviour.value)
            self._practice = None
            self._begin()
            return
        delta, gripper = chosen
        self._answer = EeAction(
            header=Header(stamp=from_ns(stamp_ns), frame_id=BASE_FRAME),
            delta=delta,
            gripper=int(gripper),
            source=EeAction.SOURCE_POLICY,
            device="policy",
            engaged=True,
        )
        self._actions.publish(self._answer)

    def _publish(self, finished: bool, success: bool = False) -> None:
        self._episodes.publish(
            Episode(
                actor_id=ACTOR_ID,
                episode=self._number,
                kind=Episode.KIND_DEMONSTRATION,
                finished=finished,
                success=success,
                truncated=finished and not success,  # cut off: nobody takes anything back by it
                seed=self._seed * EPISODES_PER_SEED + self._number,
            )
        )
