"""The core of the MCAP recorder: messages in, files out, written by a thread of its own.

A recording is for looking at later, so all others come before it: whoever adds a message never waits for the
disk, and the disk is left to others before it is full.
"""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from hilrl_ros.mcap_file import Channel, McapFile

FLUSH_S = 0.25
"""Time between two writes: so much is lost when the process is killed."""
RETRY_S = 5.0
"""Time between two tries where the disk does not take anything [s]."""
QUEUE_BYTES = 32 << 20
"""Messages that wait for the disk; more are dropped."""

Waiting = tuple[Channel, int, int, bytes]
"""A message, with its times [ns]."""


class McapRecording:
    """Files in one folder, one after the other: a new one follows where the disk failed the last."""

    def __init__(self, folder: Path, keep_free_bytes: int, say: Callable[[str], None]) -> None:
        """`keep_free_bytes`: nothing is written while less is free. `say` is told of each failure, once."""
        self.fault = ""
        """Why nothing is written, while that is so."""
        self.path: Path | None = None
        """Of the newest file."""
        self.written = 0
        """Messages on disk."""
        self.dropped = 0
        """Messages that were not, and will not be, written."""
        self._folder, self._keep_free_bytes, self._say = folder, keep_free_bytes, say
        self._file: McapFile | None = None
        self._lock = threading.Lock()
        self._queue: list[Waiting] = []
        self._queued_bytes = 0
        self._stop = threading.Event()
        # A daemon: a disk that hangs does not keep the process.
        self._thread = threading.Thread(target=self._run, name="mcap", daemon=True)
        self._thread.start()

    def add(self, channel: Channel, received_ns: int, published_ns: int, data: bytes) -> None:
        """One message, to be written soon. Does not wait."""
        with self._lock:
            if self._queue and self._queued_bytes + len(data) > QUEUE_BYTES:
                self.dropped += 1
                return
            self._queue.append((channel, received_ns, published_ns, data))
            self._queued_bytes += len(data)

    def close(self, within_s: float) -> bool:
        """Write what waits and complete the file; False where that takes longer than `within_s` [s]."""
        self._stop.set()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(RETRY_S if self.fault else FLUSH_S)
            try:
                self._expect_space()
                self._write_queue()
                if stopping:
                    self._close_file()
            except OSError as error:
                self._fail(error)

    def _expect_space(self) -> None:
        """Raises OSError where the disk belongs to others."""
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < self._keep_free_bytes:
            self._close_file()
            wanted = self._keep_free_bytes >> 20
            raise OSError(f"expected at least {wanted} MiB of free disk space, got {free >> 20} MiB")

    def _write_queue(self) -> None:
        if self._file is None:
            self._file = McapFile(self._folder)
            self.path = self._file.path
        batch = self._taken()
        try:
            for message in batch:
                self._file.write(*message)
            self._file.flush()
        except OSError:
            self.dropped += len(batch)
            raise
        self.written += len(batch)
        self.fault = ""

    def _taken(self) -> list[Waiting]:
        with self._lock:
            batch, self._queue = self._queue, []
            self._queued_bytes = 0
        return batch

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _fail(self, error: OSError) -> None:
        if self._file is not None:
            self._file.abandon()
            self._file = None
        if not self.fault:
            self._say(f"{self._folder}: cannot write: {error}")
        self.fault = str(error)
