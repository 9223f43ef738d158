"""The learner's second thread: it owns the trainer, stores steps and takes gradient steps."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from hilrl_learning.data import Step
from hilrl_learning.metrics import MetricsWriter
from hilrl_learning.trainer import Phase, Trainer

METRICS_S = 1.0
IDLE_S = 0.005
"""Longest sleep while there is nothing to train; a step wakes it at once."""


@dataclass(frozen=True)
class Snapshot:
    """What the other thread may know of the trainer. Replaced as a whole, never changed."""

    phase: Phase
    demonstrations: int
    received: dict[str, int]
    """Highest sequence without a gap that is stored, per actor."""
    policy: tuple[int, bytes] | None
    """Version and payload."""
    critic_updates: int


class TrainingThread:
    """Runs a trainer until stopped or failed."""

    def __init__(self, trainer: Trainer, metrics: MetricsWriter) -> None:
        self.failure: BaseException | None = None
        self._trainer = trainer
        self._metrics = metrics
        self._steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[tuple[Callable[[], Path], Future[Path]]] = queue.SimpleQueue()
        self._values: queue.SimpleQueue[dict[str, float]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._paused = threading.Event()
        self._metrics_s = time.monotonic()
        self._steps_then, self._updates_then = trainer.env_steps, trainer.critic_updates
        self.snapshot = self._look()
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def deliver(self, step: Step) -> None:
        """A step in its turn; returns at once."""
        self._steps.put(step)

    def pause(self, paused: bool) -> None:
        """No gradient steps while paused; steps are stored all the same."""
        if paused:
            self._paused.set()
        else:
            self._paused.clear()

    def save(self) -> "Future[Path]":
        """Ask for a checkpoint; the future holds its folder."""
        future: Future[Path] = Future()
        self._requests.put((self._trainer.save, future))
        self._steps.put(None)
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
        self._steps.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._store_waiting()
                self._serve_requests()
                busy = not self._paused.is_set() and self._trainer.work()
                self._write_metrics()
                self.snapshot = self._look()
                if not busy:
                    self._wait()
        except BaseException as error:  # the other thread ends the process with it
            self.failure = error

    def _wait(self) -> None:
        try:
            step = self._steps.get(timeout=IDLE_S)
        except queue.Empty:
            return
        self._store(step)

    def _store_waiting(self) -> None:
        while True:
            try:
                step = self._steps.get_nowait()
            except queue.Empty:
                return
            self._store(step)

    def _store(self, step: Step | None) -> None:
        if step is not None:
            self._trainer.add(step)

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
            trainer.received(),
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
            **trainer.stats(),
        }
        self._metrics.write(values)
        self._values.put(values)
        self._metrics_s = now_s
        self._steps_then, self._updates_then = trainer.env_steps, trainer.critic_updates
