"""What goes wrong on purpose."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

LINE_FAULTS = {
    "drop_request": "a servo does not hear the request",
    "drop_reply": "a servo does what is asked, its reply is lost",
    "corrupt": "one byte changes; where: 'reply' (as assumed) or 'request'",
    "corrupt_burst": "several bytes of a reply change",
    "truncate": "the end of a reply is missing",
    "late": "a reply and all behind it come delay_s (0.05) later",
    "absent": "a servo is dead",
    "noise": "junk comes before a reply",
}
"""Struck at random, reply by reply or request by request."""
SERVO_FAULTS = {
    "overload": "a servo has tripped and keeps Protective_Torque only",
    "hot": "a servo measures temperature_c (75)",
    "stuck": "a joint is blocked",
}
"""Last until healed."""
EVENTS = {
    "brownout": "a servo restarts, and says nothing for down_s (0.05)",
    "unplugged": "the port goes away",
}
"""Happen at once."""
DETAILS = {"corrupt": {"where"}, "late": {"delay_s"}, "hot": {"temperature_c"}, "brownout": {"down_s"}}


@dataclass
class Fault:
    """One way to go wrong, of one servo or of any."""

    kind: str
    servo_id: int | None = None
    probability: float = 1.0
    count: int | None = None
    """How many times it strikes; None: until healed."""
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for a kind that does not exist and for what it does not take."""
        kinds = [*LINE_FAULTS, *SERVO_FAULTS, *EVENTS]
        if self.kind not in kinds:
            raise ValueError(f"kind: expected one of {kinds}, got {self.kind!r}")
        known = DETAILS.get(self.kind, set())
        if unknown := set(self.detail) - known:
            raise ValueError(f"{self.kind}: expected details among {sorted(known)}, got {sorted(unknown)}")
        where = self.detail.get("where", "reply")
        if where not in ("reply", "request") or (where == "request" and self.servo_id is not None):
            raise ValueError(
                f"{self.kind}: where: expected 'reply', or 'request' without servo_id, got {where!r}"
            )
        if self.kind not in LINE_FAULTS and (self.probability, self.count) != (1.0, None):
            raise ValueError(f"{self.kind}: happens at once, and takes neither probability nor count")


class Faults:
    """The faults of the line, and a count of how often each kind has struck."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.struck: Counter[str] = Counter()
        self._line: dict[str, list[Fault]] = {}

    def __bool__(self) -> bool:
        """Whether any fault of the line is to be expected."""
        return bool(self._line)

    def add(self, fault: Fault) -> None:
        """Expect a fault of the line."""
        self._line.setdefault(fault.kind, []).append(fault)

    def heal(self) -> None:
        """From now on nothing goes wrong on the line."""
        self._line.clear()

    def strike(self, kind: str, servo_id: int | None, where: str | None = None) -> Fault | None:
        """The fault of this kind that strikes this time, if any. No servo: faults of the whole line."""
        for fault in self._line.get(kind, ()):
            if fault.servo_id not in (None, servo_id) or fault.count == 0:
                continue
            if where and fault.detail.get("where", "reply") != where:
                continue
            if fault.probability < 1 and self.random.random() >= fault.probability:
                continue
            if fault.count is not None:
                fault.count -= 1
            self.struck[kind] += 1
            return fault
        return None

    def damage_request(self, data: bytes) -> bytes:
        """Bytes from the host as they reach the servos."""
        return self._change(data, 1) if data and self.strike("corrupt", None, "request") else data

    def deaf(self, servo_id: int) -> bool:
        """Whether a servo misses this request."""
        return bool(self.strike("absent", servo_id) or self.strike("drop_request", servo_id))

    def damage_reply(self, servo_id: int, reply: bytes) -> tuple[bytes, float]:
        """A reply as it reaches the host, empty where lost, and how much later than it should [s]."""
        if self.strike("drop_reply", servo_id):
            return b"", 0.0
        if self.strike("corrupt", servo_id, "reply"):
            reply = self._change(reply, 1)
        if self.strike("corrupt_burst", servo_id):
            reply = self._change(reply, self.random.randint(2, min(5, len(reply))))
        if self.strike("truncate", servo_id):
            reply = reply[: self.random.randrange(1, len(reply))]
        if self.strike("noise", servo_id):
            reply = self.random.randbytes(self.random.randint(1, 8)) + reply
        late = self.strike("late", servo_id)
        return reply, float(late.detail.get("delay_s", 0.05)) if late else 0.0

    def _change(self, data: bytes, count: int) -> bytes:
        changed = bytearray(data)
        for index in self.random.sample(range(len(data)), count):
            changed[index] ^= self.random.randint(1, 255)
        return bytes(changed)
