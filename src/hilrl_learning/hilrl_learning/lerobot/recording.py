"""The core of the recorder: steps in, episodes of a dataset out, and nothing forgotten in between.

A step is in the journal when `add` returns. When its episode ends, a thread encodes and commits it; in one
and the same file, info.json, the dataset then says how many episodes it has and up to where it has taken the
journal in. So whatever is killed when: a step is in the dataset or is found in the journal at the next
start, never both and never neither.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from hilrl_learning.data import Step, StepLabel
from hilrl_learning.lerobot.dataset_files import RECORDING
from hilrl_learning.lerobot.features import Schema
from hilrl_learning.lerobot.journal import Journal
from hilrl_learning.lerobot.writer import DatasetWriter

WAITING_BYTES = 512 << 20
"""Of frames in episodes that wait to be written; above, further steps are left with their actor."""
RETRY_S = 2.0
"""Until a disk that refused is asked again."""

_Task = Callable[[], None]


class Recording:
    """Use from one thread; the dataset itself is written by another."""

    def __init__(
        self,
        root: Path,
        schema: Schema,
        task: str,
        episodes: int = 0,
        say: Callable[[str], None] = print,
    ) -> None:
        """`episodes`: none are kept beyond so many in the dataset, 0: all. `say` takes news for the user.

        Raises ValueError where the dataset cannot be gone on with.
        """
        self._episodes, self._say = episodes, say
        self._writer = DatasetWriter(root, schema, task)
        try:
            self._journal = Journal(root / RECORDING / "journal", schema.spec)
            self._done = self._journal.done(self._writer.journal)
            """Sequence per actor up to which the steps of ended episodes are dealt with."""
            self._journal.catch_up(self._done)
            self._running: dict[str, list[Step]] = {}
            self._ended = self._writer.episodes
            self._dropped = 0
            self._queued_bytes = self._written_bytes = 0
            """Frames in episodes that ended. `_dropped` and `_written...` are counted by the thread."""
            self._tasks: queue.Queue[_Task | None] = queue.Queue()
            self._written: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
            """Actor and last sequence of episodes that need the journal no more."""
            self._closing = threading.Event()
            self._failure: BaseException | None = None
            """What ended the thread."""
            self.fault = ""
            """Why an episode cannot be written at the moment."""
            for step in self._journal.steps(self._done):
                self._fold(step)
        except BaseException:
            self._writer.close()
            raise
        self._thread = threading.Thread(target=self._work, name="dataset", daemon=True)
        self._thread.start()

    @property
    def received(self) -> dict[str, int]:
        """Highest sequence per actor up to which every step is on disk."""
        return self._journal.received

    @property
    def kept(self) -> int:
        """Episodes of the dataset, those included that are about to be written."""
        return self._ended - self._dropped

    @property
    def committed(self) -> int:
        """Episodes of the dataset."""
        return self._writer.episodes

    @property
    def finished(self) -> bool:
        """There are as many as were asked for."""
        return 0 < self._episodes <= self.kept

    def add(self, step: Step) -> None:
        """Take the actor's next step. Raises OSError or ValueError where it cannot be kept."""
        if self._queued_bytes - self._written_bytes > WAITING_BYTES:
            raise OSError(f"episodes wait to be written {self.fault}".rstrip())
        self._journal.append(step)
        self._fold(step)

    def note_seed(self, actor_id: str, episode: int, seed: int) -> None:
        """An episode begins in the scene of this seed. Raises OSError or ValueError as `add` does."""
        self._journal.note_seed(actor_id, episode, seed)

    def poll(self) -> None:
        """Shorten the journal by what is written. Call it often; raises what the thread died of."""
        if self._failure is not None:
            raise self._failure
        while not self._written.empty():
            self._journal.release(*self._written.get())

    def drop_last(self) -> "Future[int]":
        """Have the episode that ended last taken out again; gives the index it had, or a ValueError."""
        future: Future[int] = Future()

        def drop() -> None:
            try:
                index = self._writer.drop_last()
            except (OSError, ValueError) as error:
                future.set_exception(error)
            else:
                self._dropped += 1
                self._say(f"dropped episode {index}")
                future.set_result(index)

        self._tasks.put(drop)
        return future

    def close(self, patience_s: float) -> bool:
        """Write what waits to be written; False where that takes longer than `patience_s`.

        What is not written by then is in the journal.
        """
        self._closing.set()
        self._tasks.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            return False
        if self._failure is None:
            self.poll()
        self._journal.close()
        self._writer.close()
        return True

    def _fold(self, step: Step) -> None:
        """Add the step to its episode, and end that."""
        steps = self._running.setdefault(step.actor_id, [])
        if steps and step.episode != steps[0].episode:
            self._say(f"episode {steps[0].episode} of {step.actor_id} never ended: not recorded")
            steps.clear()
        if step.index == len(steps):
            steps.append(step)
        else:
            # Its beginning went to another recorder.
            steps.clear()
        if not (step.terminated or step.truncated):
            return
        whole = self._running.pop(step.actor_id)
        name = f"episode {step.episode} of {step.actor_id}"
        if not whole:
            self._say(f"{name}: its beginning is not here: not recorded")
        elif step.label is StepLabel.DISCARD:
            self._say(f"{name}: discarded")
            whole = []
        elif self.finished:
            whole = []
        else:
            self._ended += 1
        self._queued_bytes += _frame_bytes(whole)
        seed = self._journal.seeds(step.actor_id).get(step.episode, -1)
        self._tasks.put(lambda: self._commit(step, whole, seed))

    def _work(self) -> None:
        try:
            while (task := self._tasks.get()) is not None:
                task()
        except BaseException as error:
            # Not one episode more: the next ones would hide that this one is missing.
            self._failure = error

    def _commit(self, last: Step, steps: list[Step], seed: int) -> None:
        """Until it succeeds; on the thread of the dataset."""
        done = {**self._done, last.actor_id: last.sequence}
        while steps:
            try:
                self._writer.add(steps, self._journal.stamp(done), seed)
            except OSError as error:
                self.fault = str(error)
                if self._closing.wait(RETRY_S):
                    raise
            else:
                self.fault = ""
                self._say(f"episode {self._writer.episodes - 1}: {len(steps)} steps")
                break
        self._done = done
        self._written_bytes += _frame_bytes(steps)
        self._written.put((last.actor_id, last.sequence))


def _frame_bytes(steps: list[Step]) -> int:
    return sum(step.observation.images.nbytes for step in steps)
