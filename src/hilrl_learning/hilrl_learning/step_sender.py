"""Sends spooled steps to the learner in order, and again what it lacks.

Steps leave in sequence, at most `WINDOW` of them unacknowledged. While the learner keeps up, each leaves at
once. What it missed while it was down follows a few per `pump`, so that neither the control loop nor the
network is flooded; new steps wait in the spool for their turn. A gap that a receipt names is filled first.
Where receipts only stand still, all that has none is sent again (go-back-N).
"""

import time
from collections.abc import Callable

from hilrl_learning.spool import Spool

WINDOW = 256
"""Steps under way without a receipt: 25 MB of two-camera steps; half the depth of the topic."""

BURST = 16
"""Steps sent per `pump`: about 3 ms of work."""

PUMP_S = 0.005
"""Longest that a `pump` goes on: where the network takes steps slowly, sending holds up the control loop."""

STALL_S = 2.0
"""Receipts stand still this long with steps under way: they are lost, send again."""

SILENCE_S = 1.0
"""A heartbeat after such a pause may be another process: what was under way is taken as lost."""


class StepSender:
    """Drives one spool. `send(payload)` should not block for long; `now_s` is a monotonic clock."""

    def __init__(
        self, spool: Spool, send: Callable[[bytes], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock`: seconds, never set back; tells how long sending takes."""
        self._spool = spool
        self._send = send
        self._clock = clock
        self._sent = 0
        self._acknowledged = 0
        self._lacking = range(0)
        """Sequences of a gap that is still to be filled."""
        self._heard_s: float | None = None
        self._progress_s = 0.0

    @property
    def lag(self) -> int:
        """Steps that the learner has not acknowledged."""
        return self._spool.last_sequence - self._acknowledged

    def silent_s(self, now_s: float) -> float | None:
        """Since the last heartbeat; None: there was none yet."""
        return None if self._heard_s is None else now_s - self._heard_s

    def acknowledged(self, sequence: int, lacking: int, now_s: float) -> str:
        """A heartbeat came: the learner has all up to `sequence`, lacks the next few and knows later ones.

        Returns what is wrong with it, or ''.
        """
        returned = self._heard_s is None or now_s - self._heard_s > SILENCE_S
        self._heard_s = now_s
        if sequence + 1 < self._spool.first_sequence:
            return (
                f"the learner has this actor's steps up to {sequence}, the spool begins with "
                f"{self._spool.first_sequence}: what lies between was acknowledged by a learner with another "
                f"run_dir. Start the learner with that run_dir, or this actor with a new one"
            )
        if sequence > self._spool.last_sequence:
            return (
                f"the learner has steps of an actor of this name up to {sequence}, this one made "
                f"{self._spool.last_sequence}: new steps would be taken for old ones. Start this actor with "
                f"the run_dir it had, or under another actor_id"
            )
        if sequence != self._acknowledged:
            self._acknowledged, self._progress_s = sequence, now_s
            self._spool.acknowledge(sequence)
        if returned:
            self._sent, self._progress_s = sequence, now_s
        self._sent = max(self._sent, sequence)
        # What was not sent yet has its turn anyway.
        self._lacking = range(sequence + 1, min(sequence + lacking, self._sent) + 1)
        return ""

    def appended(self, payload: bytes, now_s: float) -> None:
        """The newest step is in the spool; send it if it is its turn."""
        sequence = self._spool.last_sequence
        if self._is_listening(now_s) and self._sent == sequence - 1 and self._has_room():
            self._start_waiting(now_s)
            self._send(payload)
            self._sent = sequence

    def pump(self, now_s: float) -> None:
        """Send a few of the steps that wait. Call it often."""
        if not self._is_listening(now_s):
            return
        if self._sent > self._acknowledged and now_s - self._progress_s > STALL_S:
            self._sent, self._progress_s = self._acknowledged, now_s
        until_s = self._clock() + PUMP_S
        for _ in range(BURST):
            if self._clock() > until_s:
                return
            if self._lacking:
                self._send(self._spool.read(self._lacking[0]))
                self._lacking = self._lacking[1:]
                continue
            if self._sent >= self._spool.last_sequence or not self._has_room():
                return
            self._start_waiting(now_s)
            self._send(self._spool.read(self._sent + 1))
            self._sent += 1

    def _is_listening(self, now_s: float) -> bool:
        return self._heard_s is not None and now_s - self._heard_s <= SILENCE_S

    def _has_room(self) -> bool:
        return self._sent - self._acknowledged < WINDOW

    def _start_waiting(self, now_s: float) -> None:
        if self._sent == self._acknowledged:
            self._progress_s = now_s
