"""The learner's second thread: it takes gradient steps, and saves what is to be saved."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from hilrl_learning.metrics import MetricsWriter
from hilrl_learning.trainer import Phase, Trainer

METRICS_S = 1.0
IDLE_S = 0.05
"""Longest sleep while there is nothing to train; `wake` ends it."""
RETRY_S = 1.0
"""Pause after the disk refused something."""


@dataclass(frozen=True)
class Snapshot:
    """What the other thread may know of the trainer. Replaced as a whole, never changed."""

    phase: Phase
    demonstrations: int
    policy: tuple[int, bytes] | None
    """Version and payload."""
    critic_updates: int


class TrainingThread:
    """Works a trainer until stopped or failed; steps reach the trainer from the other thread."""

    def __init__(self, trainer: Trainer, metrics: MetricsWriter, on_policy: Callable[[], None]) -> None:
        """`on_policy` is called, on the training thread, when `snapshot` holds a new policy."""
        self.failure: BaseException | None = None
        self.disk_fault = ""
        """Why something could not be written, '' once it could."""
        self._trainer = trainer
        self._metrics = metrics
        self._on_policy = on_policy
        self._requests: queue.SimpleQueue[tuple[Callable[[], Path], Future[Path]]] = queue.SimpleQueue()
        self._values: queue.SimpleQueue[dict[str, float]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._awake = threading.Event()
        self._metrics_s = time.monotonic()
        self._steps_then, self._updates_then = trainer.env_steps, trainer.critic_updates
        self.snapshot = self._look()
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do; returns at once."""
        self._awake.set()

    def pause(self, paused: bool) -> None:
        """No gradient steps while paused; steps are stored all the same."""
        if paused:
            self._paused.set()
        else:
            self._paused.clear()
        self.wake()

    def save(self) -> "Future[Path]":
        """Ask for a checkpoint; the future holds its folder."""
        future: Future[Path] = Future()
        self._requests.put((self._trainer.save, future))
        self.wake()
        return future

    def values(self) -> dict[str, float] | None:
        """Metrics of an interval that came to its end since the last call, or None."""
        try:
            return self._values.get_nowait()
        except queue.Empty:
            return None

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end and wait. False: it is still busy."""
        self._stop.set()
        self.wake()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._serve_requests()
                if not self._work():
                    self._awake.wait(IDLE_S)
                    self._awake.clear()
        except BaseException as error:  # the other thread ends the process with it
            self.failure = error

    def _work(self) -> bool:
        """A piece of work. False: there is nothing to do."""
        try:
            busy = not self._paused.is_set() and self._trainer.work()
            self._write_metrics()
            self.disk_fault = ""
        except OSError as error:
            busy, self.disk_fault = True, str(error)
            self._stop.wait(RETRY_S)
        before, self.snapshot = self.snapshot, self._look()
        if self.snapshot.policy and (before.policy is None or self.snapshot.policy[0] != before.policy[0]):
            self._on_policy()
        return busy

    def _serve_requests(self) -> None:
        while not self._requests.empty():
            request, future = self._requests.get()
            try:
                future.set_result(request())
            except OSError as error:
                future.set_exception(error)

    def _look(self) -> Snapshot:
        trainer = self._trainer
        return Snapshot(
            trainer.phase,
            int(trainer.demonstrations),  # a numpy integer in a message kills the process
            trainer.acting_payload(),
            trainer.critic_updates,
        )

    def _write_metrics(self) -> None:
        now_s = time.monotonic()
        interval_s = now_s - self._metrics_s
        if interval_s < METRICS_S:
            return
        trainer = self._trainer
        payload = trainer.acting_payload()
        values = {
            "env_steps": trainer.env_steps,
            "critic_updates": trainer.critic_updates,
            "policy_version": payload[0] if payload else 0,
            "updates_per_s": (trainer.critic_updates - self._updates_then) / interval_s,
            "steps_per_s": (trainer.env_steps - self._steps_then) / interval_s,
            "time_left_s": trainer.time_left_s,
            "elapsed_s": trainer.elapsed_s,
            "phase": int(trainer.phase),
            "demonstrations": int(trainer.demonstrations),
            **{f"steps_{actor_id}": count for actor_id, count in trainer.received().items()},
            **trainer.stats(),
        }
        self._metrics_s = now_s
        self._steps_then, self._updates_then = trainer.env_steps, trainer.critic_updates
        self._values.put(values)
        self._metrics.write(values)
