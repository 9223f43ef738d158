"""The SDK's port, made safe to wait on: locked, never busy, never blocked, stale input thrown away."""

import contextlib
import fcntl
import os
import select
import termios
import time

import serial
from scservo_sdk import PortHandler

WRITE_TIMEOUT_S = 0.05
PORT_ERRORS = (OSError, serial.SerialException, termios.error)
"""What a board that is gone may raise."""


class SerialPort(PortHandler):  # type: ignore[misc]
    """A `scservo_sdk.PortHandler` for one process at a time."""

    def setupPort(self, cflag_baud: int) -> bool:  # noqa: N802, the SDK's name
        """Open the device. Raises one of `PORT_ERRORS`, also where another process has it."""
        if self.is_open:
            self.closePort()
        self.ser = serial.Serial(
            self.port_name,
            cflag_baud,
            timeout=0,
            exclusive=True,  # flock: keeps out every other driver that locks
        )
        # And this keeps out those that do not.
        fcntl.ioctl(self.ser.fileno(), termios.TIOCEXCL)
        self.is_open = True
        self.ser.reset_input_buffer()
        return True

    def closePort(self) -> None:  # noqa: N802
        """Give the device back."""
        self.is_open = False
        if self.ser is not None and self.ser.is_open:
            try:
                fcntl.ioctl(self.ser.fileno(), termios.TIOCNXCL)
            finally:
                self.ser.close()

    def clearPort(self) -> None:  # noqa: N802
        """Throw away what has come in. The SDK calls this before each request, and only waits for output."""
        self.ser.reset_input_buffer()

    def writePort(self, packet: list[int]) -> int:  # noqa: N802
        """Send, and return how many bytes. Raises one of `PORT_ERRORS` where they are not taken in time.

        pyserial's own raises where the process was held up for that long, though all has been sent.
        """
        data, until_s, descriptor = bytes(packet), time.monotonic() + WRITE_TIMEOUT_S, self.ser.fileno()
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(descriptor, data) :]
            wait_s = max(0.0, until_s - time.monotonic())
            if data and not select.select([], [descriptor], [], wait_s)[1]:
                raise serial.SerialTimeoutException(f"it takes no more within {WRITE_TIMEOUT_S} s")
        return len(packet)

    def receive(self, until_s: float) -> bytes:
        """What has come in, as soon as there is something; empty at the monotonic time `until_s`.

        Raises OSError when the device is gone.
        """
        wait_s = until_s - time.monotonic()
        if wait_s <= 0:
            return b""
        descriptor = self.ser.fileno()
        readable, _, _ = select.select([descriptor], [], [], wait_s)
        if not readable:
            return b""
        data = os.read(descriptor, 4096)
        if not data:
            raise OSError("the device hung up")
        return data
