"""The serial line: a pseudo-terminal under a fixed name, and the time that bytes take on the wire."""

import fcntl
import os
import struct
import termios
import tty
from collections import deque
from contextlib import suppress
from pathlib import Path

BITS_PER_BYTE = 10
"""8N1 with its start bit."""
READ_BYTES = 65536
TCGETS2 = 0x802C542A
"""Unlike tcgetattr, tells rates that have no name of their own."""
TIOCGEXCL = 0x80045440
TERMIOS2_SIZE = 44
OUTPUT_RATE_OFFSET = 40


class Line:
    """One end of the wire. What is sent leaves when its last byte would have come over a real one."""

    def __init__(self, link: Path, turnaround_s: float, wire_time: bool) -> None:
        self._link = link
        self._turnaround_s = turnaround_s
        self._wire_time = wire_time
        self._queue: deque[tuple[float, bytes]] = deque()
        self._busy_until_s = 0.0
        self._master = self._slave = -1
        self.plug()

    def fileno(self) -> int:
        """To wait on; -1 while unplugged."""
        return self._master

    @property
    def plugged(self) -> bool:
        """Whether there is a port."""
        return self._master >= 0

    def plug(self) -> None:
        """Make a new pseudo-terminal and point the link to it."""
        self.unplug()
        self._master, self._slave = os.openpty()
        # The slave end stays open here, or reading fails whenever no client has it open.
        tty.setraw(self._master)
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        aside = self._link.with_name(self._link.name + ".new")
        aside.unlink(missing_ok=True)
        aside.symlink_to(os.ttyname(self._slave))
        aside.replace(self._link)

    def close(self) -> None:
        """Leave no port behind."""
        self.unplug()

    def unplug(self) -> None:
        """Take the port away: those who have it open get errors."""
        if not self.plugged:
            return
        self._link.unlink(missing_ok=True)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = -1
        self._queue.clear()

    def tidy(self) -> None:
        """Take back TIOCEXCL from a client that is gone.

        The last close of a real port does that, but here the slave end stays open. A client that is there is
        known by its flock, which the kernel releases with it.
        """
        if not self.plugged or not struct.unpack("i", fcntl.ioctl(self._slave, TIOCGEXCL, bytes(4)))[0]:
            return
        with suppress(BlockingIOError):
            fcntl.flock(self._slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.ioctl(self._slave, termios.TIOCNXCL)
            fcntl.flock(self._slave, fcntl.LOCK_UN)

    def baud_rate(self) -> int:
        """That the client has set."""
        settings = fcntl.ioctl(self._slave, TCGETS2, bytes(TERMIOS2_SIZE))
        return struct.unpack_from("I", settings, OUTPUT_RATE_OFFSET)[0]

    def receive(self) -> bytes:
        """What has come."""
        with suppress(BlockingIOError):
            return os.read(self._master, READ_BYTES)
        return b""

    def request(self, size: int, baud_rate: int, now_s: float) -> None:
        """Let `size` bytes from the host pass."""
        self._busy_until_s = max(self._busy_until_s, now_s) + self._duration(size, baud_rate)

    def reply(self, size: int, baud_rate: int, pause_s: float) -> None:
        """Let `size` bytes from a servo pass, that takes `pause_s` to begin."""
        pause_s = pause_s + self._turnaround_s if self._wire_time else 0.0
        self._busy_until_s += pause_s + self._duration(size, baud_rate)

    def _duration(self, size: int, baud_rate: int) -> float:
        return size * BITS_PER_BYTE / baud_rate if self._wire_time and baud_rate else 0.0

    def send(self, data: bytes, late_s: float = 0.0) -> None:
        """Hand bytes to the host once the wire is idle, `late_s` later; never before earlier ones."""
        self._queue.append((self._busy_until_s + late_s, data))

    def flush(self, now_s: float) -> float | None:
        """Hand over what is due, in the order in which it was sent; when the next is [s], if any waits."""
        while self._queue and self._queue[0][0] <= now_s:
            _, data = self._queue.popleft()
            with suppress(BlockingIOError):  # nobody reads: as on a real adapter, what does not fit is lost
                os.write(self._master, data)
        return self._queue[0][0] if self._queue else None
