"""The other end of the learner's topics, in the test's own process: real messages over real DDS."""

import os
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from learning_processes import NAMESPACE, SIZE, wait_until
from policies import fresh_policy
from rcl_interfaces.srv import ListParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from std_srvs.srv import Trigger

from hilrl_interfaces.msg import Episode, LearnerMetrics, PolicyWeights, StepAck
from hilrl_interfaces.msg import Step as StepMessage
from hilrl_learning.data import ObservationSpec
from hilrl_learning.observation_sync import state_names
from hilrl_learning.weights import pack, sha256
from hilrl_ros import qos
from hilrl_ros.main import WAKE_S
from hilrl_ros.testing import ASK_AGAIN_S, ASKS

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (SIZE, SIZE))


def policy_payload(seed: int = 0, spec: ObservationSpec = SPEC, scale: float = 1.0) -> bytes:
    """Weights of a freshly initialised policy; with `scale` nan they are not finite."""
    tensors, policy_spec = fresh_policy(spec, seed)
    tensors["head.actor.trunk.biases.0"] = tensors["head.actor.trunk.biases.0"] * scale
    return pack(tensors, policy_spec)


class Peer(Node):
    """Base: a node on a context of its own, spun by a thread."""

    def __init__(self, name: str, context: Context) -> None:
        super().__init__(name, context=context, start_parameter_services=False)
        self.lock = threading.Lock()

    def call(self, service_type: type, name: str, request: object) -> object:
        """The response. A request that is not answered is made again: see `testing.ASK_AGAIN_S`."""
        client = self.create_client(service_type, name)
        wait_until(client.service_is_ready, what=name)
        asked: list[Future] = []
        for _ in range(ASKS):
            asked.append(client.call_async(request))
            with suppress(AssertionError):
                wait_until(lambda: any(future.done() for future in asked), ASK_AGAIN_S)
                return next(future.result() for future in asked if future.done())
        raise AssertionError(f"no answer: {name}")

    def call_once(self, service_type: type, name: str, request: object) -> object:
        """The response, where the request must not be made twice.

        The node that answers a newer client knows this one too: nothing of it is dropped.
        """
        client = self.create_client(service_type, name)
        wait_until(client.service_is_ready, what=name)
        node = name.rpartition("/")[0]
        self.call(ListParameters, f"{node}/list_parameters", ListParameters.Request())
        answer = client.call_async(request)
        wait_until(answer.done, what=f"an answer: {name}")
        return answer.result()


class LearnerSide(Peer):
    """Plays the learner to an actor: says the phase, takes steps, gives weights."""

    def __init__(self, context: Context) -> None:
        super().__init__("learner_side", context)
        self.speaks = False
        self.phase = StepAck.PHASE_DEMONSTRATIONS
        self.version = 0
        self.acknowledges_at_most: int | None = None
        self.steps: dict[int, StepMessage] = {}
        self.arrivals: list[int] = []
        """Wall time of the first arrival, per sequence."""
        self.episodes: list[Episode] = []
        self.policy_requests = 0
        self._acks = self.create_publisher(StepAck, "/learner/ack", qos.EVENTS)
        self._policies = self.create_publisher(PolicyWeights, "/learner/policy", qos.LATCHED)
        self.create_subscription(StepMessage, "/learner/steps", self._on_step, qos.STEPS)
        self.create_subscription(Episode, f"{NAMESPACE}/episode", self.episodes.append, qos.EVENTS)
        self.create_service(Trigger, "/learner/request_policy", self._on_request)
        self.create_timer(0.1, self.heartbeat)

    @property
    def received(self) -> int:
        """Highest sequence without a gap."""
        with self.lock:
            return next(n for n in range(len(self.steps) + 1) if n + 1 not in self.steps)

    def heartbeat(self) -> None:
        if not self.speaks:
            return
        sequence = self.received
        if self.acknowledges_at_most is not None:
            sequence = min(sequence, self.acknowledges_at_most)
        message = StepAck(phase=self.phase, policy_version=self.version)
        if sequence:
            message.actor_ids, message.sequences = ["arm"], array("Q", [sequence])
            message.lacking = array("Q", [0])
        self._acks.publish(message)

    def publish_policy(self, version: int, payload: bytes, checksum: bytes | None = None) -> None:
        self._policies.publish(
            PolicyWeights(
                version=version,
                algorithm="sac",
                sha256=np.frombuffer(checksum or sha256(payload), np.uint8),
                data=array("B", payload),
            )
        )
        self.version = version

    def newest(self) -> StepMessage | None:
        with self.lock:
            return self.steps[max(self.steps)] if self.steps else None

    def wait_for_steps(self, count: int = 1) -> list[StepMessage]:
        """The next `count` steps that arrive from now on."""
        with self.lock:
            before = max(self.steps, default=0)
        wait_until(lambda: max(self.steps, default=0) >= before + count, what=f"{count} more steps")
        with self.lock:
            return [self.steps[n] for n in range(before + 1, before + count + 1)]

    def _on_step(self, message: StepMessage) -> None:
        with self.lock:
            self.arrivals.append(message.sequence)
            self.steps[message.sequence] = message

    def _on_request(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.policy_requests += 1
        return response


class ActorSide(Peer):
    """Plays an actor to a learner: sends steps, takes receipts and weights."""

    def __init__(self, context: Context) -> None:
        super().__init__("actor_side", context)
        self.acks: list[StepAck] = []
        self.policies: list[PolicyWeights] = []
        self.metrics: list[LearnerMetrics] = []
        self.steps = self.create_publisher(StepMessage, "/learner/steps", qos.STEPS)
        self.create_subscription(StepAck, "/learner/ack", self.acks.append, qos.EVENTS)
        self.create_subscription(PolicyWeights, "/learner/policy", self.policies.append, qos.LATCHED)
        self.create_subscription(LearnerMetrics, "/learner/metrics", self.metrics.append, qos.EVENTS)

    def acknowledged(self, actor_id: str) -> int:
        """In the newest receipt."""
        if not self.acks:
            return 0
        newest = self.acks[-1]
        return dict(zip(newest.actor_ids, newest.sequences, strict=True)).get(actor_id, 0)


@contextmanager
def spinning(kind: type[Peer], domain_id: int) -> Iterator[Peer]:
    """A peer in a DDS domain, spun until the block ends."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    context.init(domain_id=domain_id)
    node = kind(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            executor.spin_once(timeout_sec=WAKE_S)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield node
    finally:
        ended.set()
        thread.join()
        # Left to the garbage collector it goes at any time, also in a process that a later test forks; and
        # it must go before its context does.
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
