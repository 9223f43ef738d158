"""LeRobot's two ways between learner and actor, each end in a process of its own, with its own functions.

The learner's end is `start_learner` (gRPC server and service) in a thread beside the training loop, the
actor's `receive_policy` or `send_transitions` in a thread beside the environment loop: their default
concurrency. Between these threads they use queues made for processes, which copy through a pipe; every figure
comes also with queues for threads instead (`thread_queues`), which is kinder to them than what they run.
Times are of one monotonic clock, which Linux shares between processes.
"""

import logging
import multiprocessing
import queue
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import Queue
from statistics import median
from threading import Event, Thread
from types import SimpleNamespace

import torch
from lerobot.policies.gaussian_actor.modeling_gaussian_actor import GaussianActorPolicy
from lerobot.rl import RLAlgorithm, SACAlgorithmConfig, make_algorithm
from lerobot.rl.actor import (
    establish_learner_connection,
    learner_service_client,
    push_transitions_to_transport_queue,
    receive_policy,
    send_transitions,
)
from lerobot.rl.learner import process_transitions, push_actor_policy_to_queue, start_learner
from lerobot.rl.queue import get_last_item_from_queue
from lerobot.transport.utils import bytes_to_state_dict, state_to_bytes

from peer.lerobot_setup import policy_config, replay_buffer, transitions
from table import Result

POLL_S = 1e-4
WAIT_S = 60.0


def push(pushes: int = 30) -> Result:
    """The weights of the two-camera policy, from the learner's tensors to the actor's; one at a time.

    Their learner waits 4 s between pushes and their actor takes one up when an episode ends; both waits are
    left out, so this is the work alone.
    """
    learner = _algorithm()
    return {
        "push_ms": _push_ms(learner, pushes, torch.multiprocessing.Queue),
        "push_thread_queues_ms": _push_ms(learner, pushes, queue.Queue),
        "megabytes": len(state_to_bytes(learner.get_weights())) / 1e6,
    }


def _push_ms(learner: RLAlgorithm, pushes: int, make_queue: Callable[[], Queue]) -> float:
    parameters, times = make_queue(), []
    with _learner(parameters, make_queue(), _actor_loading_weights, make_queue) as (_, actor):
        actor.recv()
        for _ in range(pushes + 2):
            start = time.monotonic()
            push_actor_policy_to_queue(parameters_queue=parameters, algorithm=learner)
            times.append(actor.recv() - start)
        actor.send(None)
    return 1e3 * median(times[2:])


def receive(episodes: int = 5, steps: int = 100) -> Result:
    """Episodes of two cameras, from the actor's list of transitions into the learner's buffer.

    `steps_per_s`: one episode at a time, as they are sent when an episode ends. `sustained_steps_per_s`: all
    episodes at once, so that both processes work at the same time.
    """
    single, sustained = _receive_per_s(episodes, steps, torch.multiprocessing.Queue)
    threads_single, threads_sustained = _receive_per_s(episodes, steps, queue.Queue)
    return {
        "steps_per_s": single,
        "sustained_steps_per_s": sustained,
        "steps_thread_queues_per_s": threads_single,
        "sustained_steps_thread_queues_per_s": threads_sustained,
    }


def _receive_per_s(episodes: int, steps: int, make_queue: Callable[[], Queue]) -> tuple[float, float]:
    received = make_queue()
    buffer = replay_buffer(steps * (episodes + 1), images=True)

    def wait_for(count: int, shutdown: Event) -> float:
        deadline = time.monotonic() + WAIT_S
        while count > len(buffer):
            process_transitions(received, buffer, None, None, shutdown)
            time.sleep(POLL_S)
            if time.monotonic() > deadline:
                raise TimeoutError(f"received {len(buffer)} of {count} steps")
        return time.monotonic()

    with _learner(make_queue(), received, _actor_sending_steps, make_queue, steps) as (shutdown, actor):
        actor.recv()
        times = []
        for episode in range(1, episodes + 2):
            actor.send(1)
            end = wait_for(steps * episode, shutdown)
            times.append(end - actor.recv())
        buffer.position = buffer.size = 0
        actor.send(episodes)
        end = wait_for(steps * episodes, shutdown)
        sustained_s = end - actor.recv()
        actor.send(None)
    return steps / median(times[1:]), steps * episodes / sustained_s


def _actor_loading_weights(port: int, learner: Connection, make_queue: Callable[[], Queue]) -> None:
    """Load whatever comes; tell when it was loaded."""
    algorithm, parameters = _algorithm(), make_queue()
    with _actor(port, receive_policy, parameters):
        learner.send("ready")
        while not learner.poll():
            # As `update_policy_parameters`, which looks once and returns.
            message = get_last_item_from_queue(parameters, block=True, timeout=0.2)
            if message is not None:
                algorithm.load_weights(bytes_to_state_dict(message), device="cpu")
                learner.send(time.monotonic())


def _actor_sending_steps(port: int, learner: Connection, make_queue: Callable[[], Queue], steps: int) -> None:
    """Send as many episodes as asked for; tell when that began."""
    episode, to_send = transitions(steps, images=True), make_queue()
    with _actor(port, send_transitions, to_send):
        learner.send("ready")
        while (episodes := learner.recv()) is not None:
            start = time.monotonic()
            for _ in range(episodes):
                push_transitions_to_transport_queue(episode, to_send)
            learner.send(start)


def _algorithm() -> RLAlgorithm:
    config = policy_config(images=True)
    return make_algorithm(
        cfg=SACAlgorithmConfig.from_policy_config(config), policy=GaussianActorPolicy(config)
    )


def _run_config(port: int) -> SimpleNamespace:
    """What of the run's configuration the functions of the transport read."""
    policy = policy_config(images=True)
    policy.actor_learner_config.learner_port = port
    policy.actor_learner_config.policy_parameters_push_frequency = 0
    return SimpleNamespace(policy=policy, output_dir=None)


@contextmanager
def _learner(
    parameters: Queue,
    received: Queue,
    actor: Callable[..., None],
    *arguments: object,
) -> Iterator[tuple[Event, Connection]]:
    """The learner's server here and an actor in another process, connected."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutdown = Event()
    queues = (parameters, received, queue.Queue())
    server = Thread(target=start_learner, args=(*queues, shutdown, _run_config(port)), daemon=True)
    server.start()
    context = multiprocessing.get_context("spawn")
    ours, actors = context.Pipe()
    process = context.Process(target=actor, args=(port, actors, *arguments), daemon=True)
    process.start()
    actors.close()  # so that its death ends our waiting for it
    try:
        yield shutdown, ours
        process.join(WAIT_S)
    finally:
        shutdown.set()
        process.kill()


@contextmanager
def _actor(port: int, transport: Callable[..., None], messages: Queue) -> Iterator[None]:
    """One of the actor's transport threads, connected to the learner."""
    shutdown, config = Event(), _run_config(port)
    client, channel = learner_service_client(port=port)
    establish_learner_connection(client, shutdown)
    thread = Thread(target=transport, args=(config, messages, shutdown, client, channel), daemon=True)
    thread.start()
    try:
        yield
    finally:
        shutdown.set()
        logging.disable()  # that its channel closed is no news
        channel.close()
        thread.join()
