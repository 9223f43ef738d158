"""A thread that takes frames from a source for as long as it gives any, and opens it again when it stops."""

import threading
from collections.abc import Callable

from hilrl_perception.camera_source import Frame, NoFrames, Source

REOPEN_S = 1.0
"""Between two tries to open a camera."""
MOST_DAMAGED = 20
"""Damaged frames in a row that are left out, as a loose plug makes one now and then."""
END_S = 5.0
"""Longest wait for a camera that sends nothing."""


class Capture:
    """Every frame is handed on once, at once, with the moment of its capture; none is kept."""

    def __init__(
        self,
        open_source: Callable[[], Source],
        now_ns: Callable[[], int],
        on_frame: Callable[[Frame, int], None],
        complain: Callable[[str], None],
        reassure: Callable[[], None],
    ) -> None:
        """All are called from the thread.

        `open_source` may raise NoFrames; why goes to `complain`, once per reason. `on_frame` gets a frame and
        what `now_ns` was at its capture. `reassure`: frames are there, or there again.
        """
        self._open, self._now_ns, self._on_frame = open_source, now_ns, on_frame
        self._complain, self._reassure = complain, reassure
        self._complaint = ""
        self._ended = threading.Event()
        # A daemon: a driver that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    @property
    def complaint(self) -> str:
        """Why no frames come; empty while they do, and before anything is known."""
        return self._complaint

    def start(self) -> None:
        """Open the camera and begin."""
        self._thread.start()

    def close(self) -> None:
        """No frame comes after this."""
        self._ended.set()
        self._thread.join(END_S)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._take_from(self._open())
            except NoFrames as error:
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    self._complain(self._complaint)
            self._ended.wait(REOPEN_S)

    def _take_from(self, source: Source) -> None:
        is_new, damaged = True, 0
        try:
            while not self._ended.is_set():
                source.wait()
                stamp_ns = self._now_ns()
                frame = source.frame()
                if frame is None:
                    damaged += 1
                    if damaged > MOST_DAMAGED:
                        raise NoFrames(f"expected a frame, the last {damaged} came damaged")
                    continue
                damaged = 0
                if is_new:
                    is_new, self._complaint = False, ""
                    self._reassure()
                self._on_frame(frame, stamp_ns)
        finally:
            source.close()
