"""From what the servos report to what the driver does about it.

The worst joint decides for the whole arm. Each cause has one message, whose words and figures stay the same
for as long as its level does, so that a log which repeats it can be told from one with news.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hilrl_hardware import registers
from hilrl_hardware.feedback import Feedback
from hilrl_hardware.health_limits import NEVER, HealthLimits, Level, Steps
from hilrl_hardware.watch import Quantity, Watch
from hilrl_ros.joints import JOINT_NAMES

MAX_ELAPSED_S = 0.1
"""A longer time between two updates counts as this one: nothing is known of what happened in it."""
STALLED_TICKS_S = 60
"""A joint slower than this stands still [tick/s]."""
_GRIPPER = JOINT_NAMES.index("gripper")
_BIT = {name: bit for bit, name in registers.FAULTS.items()}
_VOLTAGE_BIT = _BIT["voltage"]
_JOINT_BITS = (_BIT["overload"], _BIT["over-temperature"], _BIT["over-current"], _BIT["encoder"])

_SILENCE = Quantity("silence", "does not answer for", "s", 2, until="until it does")
_TEMPERATURE = Quantity("temperature", "is at", "C")
_CURRENT = Quantity("current", "draws", "A", 1)
_LOAD = Quantity("load", "stands still under a load of", "%", scale=100.0)
_OVERLOAD = Quantity("overload", "reports overload", warning="it has lowered its torque until it lets go")
_HOT = Quantity("over-temperature", "reports over-temperature")
_OVER_CURRENT = Quantity("over-current", "reports over-current")
_ENCODER = Quantity("encoder", "reports an encoder fault, its position cannot be trusted")
_VOLTAGE = Quantity("voltage fault", "reports a voltage fault")
_LOW = Quantity("low voltage", "has", "V", 1)
_HIGH = Quantity("high voltage", "has", "V", 1, warning="is the supply meant for these servos?")

_PUSHING = {_CURRENT, _LOAD}
_LET_GO = {_OVERLOAD, _OVER_CURRENT}


@dataclass(frozen=True)
class Finding:
    """One cause, and what the driver does about it."""

    key: str
    """Names the cause: where and what."""
    level: Level
    joint: str
    """Empty for the supply, which all share."""
    text: str

    @property
    def is_silence(self) -> bool:
        """Whether all that is wrong is that a servo did not answer; it may by now."""
        return self.key == f"{self.joint} {_SILENCE.name}"


@dataclass(frozen=True)
class Verdict:
    """What the driver is to do now. Fields per joint have six entries, in `JOINT_NAMES` order."""

    level: Level
    findings: tuple[Finding, ...]
    """The worst first."""
    joint_levels: tuple[Level, ...]
    relieve: tuple[bool, ...]
    """Joints that push against something: on hold their goal goes to where they are, once."""
    limp: tuple[bool, ...]
    """Joints whose servo has let go: their goal follows them, or they would jump back when it recovers."""
    untrusted: tuple[bool, ...]
    """Joints with an encoder fault. Their servos regulate on a false position: torque is to be cut at once
    rather than eased, and no goal is to be made of that position."""


class Health:
    """Watches one arm. To be updated in every cycle, with torque or without."""

    def __init__(self, limits: HealthLimits, servo_ids: Sequence[int] = (1, 2, 3, 4, 5, 6)) -> None:
        """`servo_ids`: in `JOINT_NAMES` order, for the messages."""
        self._who = [
            f"servo {number} ({joint})" for number, joint in zip(servo_ids, JOINT_NAMES, strict=True)
        ]
        self._silence = [Watch(_SILENCE, _silence(limits)) for _ in JOINT_NAMES]
        self._joints = [
            [Watch(quantity, steps) for quantity, steps in _joint_steps(limits, joint)]
            for joint in range(len(JOINT_NAMES))
        ]
        self._supply = [Watch(quantity, steps) for quantity, steps in _supply_steps(limits)]
        self._findings: dict[Watch, tuple[int, Finding]] = {}
        self._latched: dict[Watch, tuple[int, Finding]] = {}
        self._last_s: float | None = None
        self._limits = limits
        self._note_calm()
        self._verdict = self._judge()

    @property
    def limits(self) -> HealthLimits:
        """May be replaced at any time; the next update goes by the new ones."""
        return self._limits

    @limits.setter
    def limits(self, limits: HealthLimits) -> None:
        for watch in self._silence:
            watch.use(_silence(limits))
        for joint, watches in enumerate(self._joints):
            for watch, (_, steps) in zip(watches, _joint_steps(limits, joint), strict=True):
                watch.use(steps)
        for watch, (_, steps) in zip(self._supply, _supply_steps(limits), strict=True):
            watch.use(steps)
        self._limits = limits
        self._note_calm()

    def _note_calm(self) -> None:
        """Where the first limits are, to pass over joints that are far from all of them."""
        self._calm = [False] * len(JOINT_NAMES)
        self._first = [tuple(watch.first for watch in watches[:3]) for watches in self._joints]

    def reset(self) -> None:
        """Let go of EASE_OFF. What is still beyond its limit leads back to it with the next update."""
        self._latched.clear()
        self._verdict = self._judge()

    def update(self, feedback: Sequence[Feedback | None], ages_s: Sequence[float], now_s: float) -> Verdict:
        """What to do, given what each servo reported last and how old that is [s], in `JOINT_NAMES` order.

        None: it never answered. Reports older than `state_timeout_s` change nothing but that.
        """
        elapsed_s = 0.0 if self._last_s is None else min(max(0.0, now_s - self._last_s), MAX_ELAPSED_S)
        self._last_s = now_s
        timeout_s, recover_s = self._limits.state_timeout_s, self._limits.recover_s
        changed, status = False, 0
        lowest, highest, lowest_at, highest_at, faulty_at = NEVER, -NEVER, 0, 0, 0
        for joint, (report, age_s) in enumerate(zip(feedback, ages_s, strict=True)):
            fresh = report is not None and age_s < timeout_s
            watch = self._silence[joint]
            if not fresh or watch.level is not Level.OK:
                age_s = age_s if report is not None and age_s == age_s else NEVER
                changed |= self._look(watch, joint, age_s, elapsed_s, recover_s)
            if report is None or not fresh:
                continue
            volt = report.voltage_v
            if volt < lowest:
                lowest, lowest_at = volt, joint
            if volt > highest:
                highest, highest_at = volt, joint
            bits = report.status
            if bits:
                status |= bits
                if bits & _VOLTAGE_BIT:
                    faulty_at = joint
            load = abs(report.load) if abs(report.velocity) < STALLED_TICKS_S else 0.0
            hot, strong, loaded = self._first[joint]
            if (
                self._calm[joint]
                and not bits
                and report.temperature_c < hot
                and report.current_a < strong
                and load < loaded
            ):
                continue
            readings = (
                report.temperature_c,
                report.current_a,
                load,
                *(float(bits & bit != 0) for bit in _JOINT_BITS),
            )
            for watch, reading in zip(self._joints[joint], readings, strict=True):
                changed |= self._look(watch, joint, reading, elapsed_s, recover_s)
            self._calm[joint] = all(watch.calm for watch in self._joints[joint])
        if lowest <= highest:  # someone answered
            low, high, fault = self._supply
            changed |= self._look(low, lowest_at, lowest, elapsed_s, recover_s)
            changed |= self._look(high, highest_at, highest, elapsed_s, recover_s)
            bit = float(status & _VOLTAGE_BIT != 0)
            changed |= self._look(fault, faulty_at, bit, elapsed_s, recover_s)
        if changed:
            self._verdict = self._judge()
        return self._verdict

    def _look(self, watch: Watch, joint: int, value: float, elapsed_s: float, recover_s: float) -> bool:
        """Whether a reading has changed its level; then there is something else to say of it."""
        if not watch.update(value, elapsed_s, recover_s):
            return False
        if watch.level is Level.OK:
            del self._findings[watch]
            return True
        quantity, shared = watch.quantity, watch in self._supply
        if quantity is _SILENCE and value == NEVER:
            text = f"{self._who[joint]} has not answered yet: the arm holds until it does"
        else:
            gives_way = quantity in _PUSHING or quantity in _LET_GO
            text = quantity.text(self._who[joint], value, watch.level, watch.steps, gives_way)
        where = "" if shared else JOINT_NAMES[joint]
        key = f"{where or 'supply'} {quantity.name}"
        self._findings[watch] = (joint, Finding(key, watch.level, where, text))
        return True

    def _judge(self) -> Verdict:
        for watch, found in self._findings.items():
            if found[1].level is Level.EASE_OFF:
                self._latched.setdefault(watch, found)
        found = {**self._findings, **self._latched}
        levels = [Level.OK] * len(JOINT_NAMES)
        relieve, limp, untrusted = ([False] * len(JOINT_NAMES) for _ in range(3))
        for watch, (joint, finding) in found.items():
            if finding.joint:
                levels[joint] = max(levels[joint], finding.level)
            if finding.level >= Level.HOLD:
                relieve[joint] |= watch.quantity in _PUSHING
                limp[joint] |= watch.quantity in _LET_GO
                untrusted[joint] |= watch.quantity is _ENCODER
        findings = sorted((finding for _, finding in found.values()), key=lambda finding: -finding.level)
        return Verdict(
            max((finding.level for finding in findings), default=Level.OK),
            tuple(findings),
            tuple(levels),
            tuple(relieve),
            tuple(limp),
            tuple(untrusted),
        )


def _silence(limits: HealthLimits) -> Steps:
    return Steps(NEVER, limits.state_timeout_s, NEVER, hold_s=0.0)


def _joint_steps(limits: HealthLimits, joint: int) -> list[tuple[Quantity, Steps]]:
    """The readings of one joint: figures first, then `_JOINT_BITS`."""
    gripper = joint == _GRIPPER
    return [
        (_TEMPERATURE, limits.temperature_c),
        (_CURRENT, limits.gripper_current_a if gripper else limits.current_a),
        (_LOAD, Steps(NEVER, NEVER, NEVER) if gripper else limits.stalled_load),
        (_OVERLOAD, limits.gripper_overload_bit if gripper else limits.overload_bit),
        (_HOT, limits.temperature_bit),
        (_OVER_CURRENT, limits.current_bit),
        (_ENCODER, limits.encoder_bit),
    ]


def _supply_steps(limits: HealthLimits) -> list[tuple[Quantity, Steps]]:
    return [
        (_LOW, limits.low_voltage_v),
        (_HIGH, limits.high_voltage_v),
        (_VOLTAGE, limits.voltage_bit),
    ]
