"""The servos on one half-duplex bus: requests by the Feetech SDK, replies read with suspicion.

The SDK builds and sends the packets. Its receiving half takes a late reply for the answer to the next
question, keeps the values of servos that have fallen silent and waits 34 ms for each, in a busy loop; none of
it is used.

A reply names its servo but not its question. It is believed only where it cannot belong to another one:

* Questions that are asked all the time (`read_feedback`) come in four lengths, in turn, so that a reply that
  is late by up to three of them has the wrong length.
* A servo that owes a reply of some length is not asked for that length again before `LATE_LIMIT_S`, unless it
  has answered since: replies cannot overtake each other on a wire.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from scservo_sdk import COMM_SUCCESS, INST_PING, PacketHandler

from hilrl_hardware.feedback import Feedback
from hilrl_hardware.registers import MODEL_NUMBER, PRESENT_POSITION, Register
from hilrl_hardware.replies import OVERHEAD, take_replies
from hilrl_hardware.serial_port import PORT_ERRORS, SerialPort

BAUD_RATE = 1_000_000
BITS_PER_BYTE = 10
LATE_LIMIT_S = 0.1
"""No reply is later than this: what came to nothing is forgotten."""
REPLY_TIMEOUT_S = 0.008
"""From a request to the last byte of its replies, on top of their time on the wire."""
GAP_S = 0.004
"""Longest pause between two replies to one request."""
ATTEMPTS = 3
LAST_ID = 253
FEEDBACK_SIZE = 15
FEEDBACK_BLOCKS = tuple(
    (PRESENT_POSITION.address - before, FEEDBACK_SIZE + before + behind)
    for behind in (0, 2)
    for before in (0, 1)
)
"""(address, size) of four blocks around the feedback. What they add, Lock in front of it and Goal_Position_2
behind, is not used: it is there to make their lengths differ."""


class BusError(Exception):
    """The bus did not do what it was asked to."""


class NoReply(BusError):
    """A servo did not answer."""


class PortGone(BusError):
    """The device is not there, or another process has it."""


@dataclass
class BusStatistics:
    """Counts since the bus was opened."""

    requests: int = 0
    replies: int = 0
    missing: int = 0
    """Replies that did not come, came damaged or came too late."""


class ServoBus:
    """One port and the servos on it. For one thread at a time.

    Every method raises PortGone when the board is unplugged; `close` and `open` then try again.
    """

    def __init__(self, port: str, baud_rate: int = BAUD_RATE) -> None:
        self.port = port
        self.baud_rate = baud_rate
        self.statistics = BusStatistics()
        self._serial = SerialPort(port)
        self._packets = PacketHandler(0)
        self._turn = 0
        self._owed: dict[tuple[int, int], float] = {}
        """When a servo was asked for a reply, by (id, size), that has not come and may still."""

    def open(self) -> None:
        """Take the device. Raises PortGone saying why it cannot be had."""
        self.statistics = BusStatistics()
        self._owed.clear()
        try:
            opened = self._serial.setBaudRate(self.baud_rate)
        except PORT_ERRORS as error:
            raise PortGone(
                f"port {self.port}: cannot be opened ({error}); expected the board plugged in, "
                "permission to read and write (group dialout) and no other program on it"
            ) from error
        if not opened:
            raise PortGone(f"port {self.port}: the SDK does not know the baud rate {self.baud_rate}")

    def close(self) -> None:
        """Give the device back; what it holds stays as it is."""
        with contextlib.suppress(*PORT_ERRORS):
            self._serial.closePort()

    def __enter__(self) -> "ServoBus":
        self.open()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    # -- one servo ------------------------------------------------------------------------------------------

    def ping(self, servo_id: int) -> int:
        """The model number. Raises NoReply."""
        self._single(servo_id, 0, ATTEMPTS, lambda: self._send_ping(servo_id))
        return self.read(servo_id, MODEL_NUMBER)

    def scan(self, ids: Iterable[int] = range(LAST_ID + 1)) -> list[int]:
        """Those of `ids` that answer, each being asked once."""
        found = []
        for servo_id in ids:
            with contextlib.suppress(NoReply):
                self._single(servo_id, 0, 1, lambda servo_id=servo_id: self._send_ping(servo_id))
                found.append(servo_id)
        return found

    def read(self, servo_id: int, register: Register) -> int:
        """The register's value. Raises NoReply."""
        return register.decode(self.read_block(servo_id, register.address, register.size))

    def read_block(self, servo_id: int, address: int, size: int, attempts: int = ATTEMPTS) -> bytes:
        """`size` bytes from `address`. Raises NoReply.

        With a single attempt it does not wait for what may still be late either, but gives up at once.
        """
        return self._single(
            servo_id, size, attempts, lambda: self._packets.readTx(self._serial, servo_id, address, size)
        )

    def write(self, servo_id: int, register: Register, value: int) -> None:
        """Set a register and wait for the receipt. Raises NoReply, ValueError for a value that does not fit.

        Repeated where the receipt is lost, so the servo may see it more than once.
        """
        data = register.encode(value)
        self._single(
            servo_id,
            0,
            ATTEMPTS,
            lambda: self._packets.writeTxOnly(self._serial, servo_id, register.address, len(data), data),
        )

    # -- all servos -----------------------------------------------------------------------------------------

    def sync_write(self, register: Register, values: Mapping[int, int]) -> None:
        """Set a register of several servos, by id, at the same moment. No servo confirms it."""
        encoded = {servo_id: register.encode(value) for servo_id, value in values.items()}
        self.sync_write_block(register.address, encoded)

    def sync_write_block(self, address: int, data: Mapping[int, list[int]]) -> None:
        """Set neighbouring registers of several servos, by id, to bytes of one length; unconfirmed."""
        if not data:
            return
        parameters = [value for servo_id, values in data.items() for value in (servo_id, *values)]
        size = len(parameters) // len(data) - 1
        with self._asking():
            result = self._packets.syncWriteTxOnly(self._serial, address, size, parameters, len(parameters))
            self._check(result)

    def read_feedback(self, ids: Collection[int]) -> dict[int, Feedback]:
        """What the servos report, by id; without those that did not answer in time, or must not be asked."""
        now_s = time.monotonic()
        start, size, asked = self._feedback_block(ids, now_s)
        if not asked:
            return {}
        with self._asking():
            result = self._packets.syncReadTx(self._serial, start, size, asked, len(asked))
            self._check(result)
            replies = self._receive(asked, size)
        skip = PRESENT_POSITION.address - start
        feedback = {}
        for servo_id in asked:
            if servo_id in replies:
                self._has_answered(servo_id)
                feedback[servo_id] = Feedback.decode(replies[servo_id][skip:])
            else:
                self._owed[servo_id, size] = now_s
        self._count(len(asked), len(replies))
        return feedback

    def _feedback_block(self, ids: Collection[int], now_s: float) -> tuple[int, int, list[int]]:
        """(address, size, ids) of the next question: in turn, the one that most servos can be asked."""
        best: tuple[int, int, list[int]] = (0, 0, [])
        for ahead in range(len(FEEDBACK_BLOCKS)):
            start, size = FEEDBACK_BLOCKS[(self._turn + ahead) % len(FEEDBACK_BLOCKS)]
            free = [servo_id for servo_id in ids if not self._owes(servo_id, size, now_s)]
            if len(free) > len(best[2]):
                best = start, size, free
                turn = self._turn + ahead + 1
                if len(free) == len(ids):
                    break
        if best[2]:
            self._turn = turn
        return best

    # -- one exchange ---------------------------------------------------------------------------------------

    def _single(self, servo_id: int, size: int, attempts: int, send: Callable[[], int]) -> bytes:
        for _ in range(attempts):
            if (free_s := self._owed.get((servo_id, size), -LATE_LIMIT_S) + LATE_LIMIT_S) > time.monotonic():
                if attempts == 1:
                    break
                time.sleep(max(0.0, free_s - time.monotonic()))
            asked_s = time.monotonic()
            with self._asking():
                self._check(send())
                replies = self._receive([servo_id], size)
            self._count(1, len(replies))
            if servo_id in replies:
                self._has_answered(servo_id)
                return replies[servo_id]
            self._owed[servo_id, size] = asked_s
        raise NoReply(
            f"port {self.port}: servo {servo_id} does not answer; expected it powered, connected and set to "
            f"{self.baud_rate} baud"
        )

    def _send_ping(self, servo_id: int) -> int:
        return int(self._packets.txPacket(self._serial, [0, 0, servo_id, 2, INST_PING, 0]))

    def _receive(self, ids: list[int], size: int) -> dict[int, bytes]:
        """Replies with `size` bytes of data, by id. They come in the order of `ids`; the last one ends it."""
        wire_s = len(ids) * (OVERHEAD + size) * BITS_PER_BYTE / self.baud_rate
        until_s = time.monotonic() + wire_s + REPLY_TIMEOUT_S
        buffer = bytearray()
        replies: dict[int, bytes] = {}
        while ids[-1] not in replies:
            wait_until_s = min(until_s, time.monotonic() + GAP_S) if replies else until_s
            data = self._serial.receive(wait_until_s)
            buffer += data
            replies.update(take_replies(buffer, ids, size, complete=not data))
            if not data:
                break
        return replies

    def _owes(self, servo_id: int, size: int, now_s: float) -> bool:
        return now_s < self._owed.get((servo_id, size), -LATE_LIMIT_S) + LATE_LIMIT_S

    def _has_answered(self, servo_id: int) -> None:
        """Replies keep their order: what this servo owed before will not come any more."""
        if self._owed:
            self._owed = {key: asked_s for key, asked_s in self._owed.items() if key[0] != servo_id}

    def _count(self, asked: int, answered: int) -> None:
        self.statistics.requests += 1
        self.statistics.replies += answered
        self.statistics.missing += asked - answered

    def _check(self, result: int) -> None:
        if result != COMM_SUCCESS:
            raise BusError(f"port {self.port}: {self._packets.getTxRxResult(result)}")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turns what a lost device raises into PortGone. An exception leaves the SDK's port busy for ever."""
        self._serial.is_using = False
        try:
            yield
        except PORT_ERRORS as error:
            raise PortGone(f"port {self.port}: the board is gone ({error})") from error
