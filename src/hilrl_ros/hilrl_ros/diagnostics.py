"""What a node says of itself on /diagnostics: rates, ages and refusals, and what is wrong, in words.

`hilrl_ros.node.Node` counts by itself every message that a node takes or gives and how long its callbacks
last. A node adds what only it knows:

    self.diagnostics.expect("camera/front/image_raw", "is the camera on?")
    self.diagnostics.ask(self._diagnose)                # def _diagnose(self, report: Report) -> None
    self.diagnostics.refused("image_raw height: ...")   # whenever it ignores an input

Plain, no rclpy: times are those of one monotonic clock.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

PERIOD_S = 1.0
SILENCE_S = 3.0
"""A topic that keeps coming is worth an alarm after so much silence [s]; a busy machine makes gaps of some
tenths of a second."""
REFUSALS_SHOWN_S = 5.0
"""How long a refusal is worth a warning [s]."""
WELL = "well"


class Level(IntEnum):
    """As `DiagnosticStatus` has it."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(slots=True)
class Stream:
    """Messages of one topic in one direction. Written at every message, so plain numbers only."""

    topic: str
    count: int = 0
    last_s: float = -math.inf
    counted_before: int = 0
    """At the report before."""


@dataclass(frozen=True)
class Expectation:
    """A topic that a node cannot do without."""

    topic: str
    within_s: float
    """Longest time between two messages [s]."""
    advice: str
    """Where to look when it is silent."""
    level: Level


class Report:
    """Collects what is said once a second."""

    def __init__(self) -> None:
        self.level = Level.OK
        self.findings: list[str] = []
        self.values: dict[str, object] = {}

    def warn(self, text: str) -> None:
        """It works, and somebody should look."""
        self._find(Level.WARN, text)

    def error(self, text: str) -> None:
        """It does not do its work."""
        self._find(Level.ERROR, text)

    def _find(self, level: Level, text: str) -> None:
        if level > self.level:
            self.findings.insert(0, text)
        else:
            self.findings.append(text)
        self.level = max(self.level, level)


class Diagnostics:
    """Counts for one node, and makes its status of that."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        """Longest callback since the last report [s]."""
        self._taken: dict[str, Stream] = {}
        self._given: dict[str, Stream] = {}
        self._expected: dict[str, Expectation] = {}
        self._sources: list[Callable[[Report], None]] = []
        self._refusals, self._refused_s, self._refusal = 0, -math.inf, ""
        self._started_s = self._reported_s = monotonic()

    def expect(
        self, topic: str, advice: str, level: Level = Level.ERROR, within_s: float = SILENCE_S
    ) -> None:
        """From now on, silence of a subscribed topic for longer than `within_s` [s] is reported."""
        self._expected[topic] = Expectation(topic, within_s, advice, level)

    def ask(self, source: Callable[[Report], None]) -> None:
        """Have `source` add to every report what the node knows."""
        self._sources.append(source)

    def refused(self, reason: str) -> None:
        """An input was not taken."""
        self._refusals += 1
        self._refused_s, self._refusal = monotonic(), reason

    def given(self, topic: str) -> Stream:
        """Where to count what is published on a topic."""
        return self._given.setdefault(topic, Stream(topic))

    def counted(self, topic: str, callback: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`callback` of a subscription, with its messages counted and its time taken."""
        stream = self._taken.setdefault(topic, Stream(topic))

        def count_and_call(message: Any) -> Any:
            stream.count += 1
            stream.last_s = start_s = monotonic()
            result = callback(message)
            lasted_s = monotonic() - start_s
            if lasted_s > self.longest_s:
                self.longest_s = lasted_s
            return result

        return count_and_call

    def timed(self, callback: Callable[[], Any]) -> Callable[[], Any]:
        """`callback` of a timer, with its time taken."""

        def time_and_call() -> Any:
            start_s = monotonic()
            result = callback()
            lasted_s = monotonic() - start_s
            if lasted_s > self.longest_s:
                self.longest_s = lasted_s
            return result

        return time_and_call

    def is_due(self) -> bool:
        """Whether it is time for the next report."""
        return monotonic() - self._reported_s >= PERIOD_S

    def status(self, node: str) -> DiagnosticStatus:
        """What there is to say now. `node`: its fully qualified name, for example /so101/actor."""
        report, now_s = Report(), monotonic()
        self._add_silence(report, now_s)
        if now_s - self._refused_s < REFUSALS_SHOWN_S:
            report.warn(f"refuses what comes in: {self._refusal}")
        for source in self._sources:
            source(report)
        self._add_numbers(report, now_s)
        return DiagnosticStatus(
            level=bytes([report.level]),
            name=f"{node}: node",
            message="; ".join(report.findings) or WELL,
            hardware_id=node.rpartition("/")[0].strip("/") or node.strip("/"),
            values=[KeyValue(key=key, value=str(value)) for key, value in report.values.items()],
        )

    def _add_silence(self, report: Report, now_s: float) -> None:
        for expectation in self._expected.values():
            stream = self._taken.get(expectation.topic)
            heard_s = max(stream.last_s if stream else -math.inf, self._started_s)
            if now_s - heard_s > expectation.within_s:
                say = report.error if expectation.level is Level.ERROR else report.warn
                say(f"no {expectation.topic} for {now_s - heard_s:.1f} s: {expectation.advice}")

    def _add_numbers(self, report: Report, now_s: float) -> None:
        interval_s = max(now_s - self._reported_s, 1e-3)
        for verb, streams in (("takes", self._taken), ("gives", self._given)):
            for stream in streams.values():
                rate_hz = (stream.count - stream.counted_before) / interval_s
                stream.counted_before = stream.count
                report.values[f"{verb} {stream.topic} [Hz]"] = f"{rate_hz:.1f}"
                if verb == "takes":
                    age_s = now_s - stream.last_s
                    report.values[f"age of {stream.topic} [s]"] = (
                        f"{age_s:.2f}" if stream.count else "never came"
                    )
        report.values["refused inputs"] = self._refusals
        report.values["longest callback [ms]"] = f"{1e3 * self.longest_s:.1f}"
        self.longest_s, self._reported_s = 0.0, now_s
