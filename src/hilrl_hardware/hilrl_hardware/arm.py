"""One SO-101, follower or leader: every cycle it is read, judged and, with its torque on, moved.

The methods that a node calls (`command`, `emergency_stop`, `request_torque`) only leave a note; all that
talks to the bus happens in `cycle`, in one thread. Nothing moves before a pose has been measured, and every
motion begins there.
"""

import contextlib
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from hilrl_hardware.arm_connection import connect
from hilrl_hardware.arm_reader import ArmReader, Array, Reading
from hilrl_hardware.arm_settings import EASE_DOWN, HOLD, LEADER, LIMP, ArmSettings
from hilrl_hardware.arm_writer import ArmWriter
from hilrl_hardware.bus import BusError, NoReply, PortGone, ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.easing import EaseDown
from hilrl_hardware.gears import GEARS
from hilrl_hardware.health import Health, Verdict
from hilrl_hardware.health_limits import Level
from hilrl_hardware.joint_goals import JointGoals
from hilrl_hardware.plausibility import HAND_SPEED
from hilrl_hardware.reports import Report, Severity
from hilrl_ros.joints import JOINT_NAMES

RECONNECT_S = 0.5
CHECK_EVERY = 5
"""Cycles between two looks at the torque of a servo, one servo after the other."""
FRESH_S = 0.05
"""An older pose is no place to stop at."""
OUTSIDE_RAD = 0.1
"""This far beyond its limits a joint may be when its torque comes on: stops give way a little."""
SERVO_SPEED = 6.0
"""No joint with torque turns faster than this [rad/s]."""
EMERGENCY = "emergency stop"
CONSEQUENCES = {
    EASE_DOWN: "the arm goes down gently; ask for torque to go on",
    HOLD: "the arm holds; ask for torque to go on",
    LIMP: "torque off; ask for it to go on",
}
SEVERITIES = {Level.WARN: Severity.WARNING, Level.HOLD: Severity.ERROR, Level.EASE_OFF: Severity.ERROR}
NONE = (False,) * len(JOINT_NAMES)


class Mode(StrEnum):
    """What the arm is doing."""

    DISCONNECTED = "disconnected"
    FREE = "free"
    """Torque off: a hand can move it."""
    ACTIVE = "active"
    """Torque on: it follows commands, or holds."""
    EASING = "easing down"
    """Torque going down to nothing."""


@dataclass(frozen=True)
class TorqueRequest:
    """For torque (`on`), or to be let go."""

    on: bool
    until_s: float
    """Monotonic time up to which silence of a servo is no answer."""
    answer: "Future[str]" = field(default_factory=Future)


class Arm:
    """The arm behind one port."""

    def __init__(
        self, bus: ServoBus, calibration: Calibration, role: str, settings: ArmSettings, report: Report
    ) -> None:
        """Nothing is opened yet. `report` gets what a person should know, in the thread of `cycle`."""
        self.settings = settings
        """May be replaced at any time."""
        self.mode = Mode.DISCONNECTED
        self.stopped = ""
        """Why commands are not followed until somebody asks for torque; empty: they are."""
        self.reader = ArmReader(bus, calibration, GEARS[role])
        self.goals = JointGoals(settings.goal_limits(calibration))
        self.verdict = Verdict(Level.OK, (), (Level.OK,) * len(JOINT_NAMES), NONE, NONE, NONE)
        self._bus, self._calibration, self._role, self._report = bus, calibration, role, report
        self._health = Health(settings.health, calibration.ids)
        self._applied = settings
        self._writer: ArmWriter
        self._ease: EaseDown
        self._reading: Reading
        self._commands: deque[tuple[Array, Array | None, float]] = deque(maxlen=1)
        self._torque_requests: deque[TorqueRequest] = deque()
        self._emergency = False
        self._heard_s = self._stepped_s = self._retry_s = 0.0
        self._cycles = 0

    # -- notes from other threads ---------------------------------------------------------------------------

    def command(self, position: Array, velocity: Array | None) -> None:
        """Where to go, shape (6,) [rad], and how fast at most [rad/s]; the newest counts."""
        self._commands.append((position, velocity, time.monotonic()))

    def emergency_stop(self) -> None:
        """Stop where it is, first thing in the next cycle; a second call takes the torque at once."""
        self._emergency = True

    def request_torque(self, on: bool, patience_s: float = 0.0) -> "Future[str]":
        """Ask for torque, or to be let go; the result is why it was refused, or empty.

        Where a servo just does not answer, it is tried again for `patience_s`, or until the next request.
        """
        request = TorqueRequest(on, time.monotonic() + patience_s)
        self._torque_requests.append(request)
        return request.answer

    # -- the loop's thread ----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Find the arm. One that holds itself goes on holding, where it is; a leader is let go.

        Raises BusError where the board or a servo is missing, ValueError for servos that do not fit.
        """
        gains = self.settings.gains
        found = connect(self._bus, self._calibration, self._role, gains, self.reader)
        self._writer, self._reading = found.writer, found.reading
        try:
            if self._role == LEADER or not any(found.holding):
                self._let_go(LIMP)
                return
            pose, stopped = found.pose_to_hold, self.stopped
            if not all(found.holding):
                limp = [name for name, holds in zip(JOINT_NAMES, found.holding, strict=True) if not holds]
                stopped = f"{', '.join(limp)} without torque, the others with it"
            self._writer.take_over(pose, self.settings.max_speed, self.settings.torque_limits)
            self._start(pose)
            if stopped:
                self._let_go(EASE_DOWN, stopped)
        except BusError:
            self._bus.close()
            raise

    def cycle(self) -> Reading | None:
        """Read, judge, move. The pose, where every servo told its own; nothing of the bus is raised."""
        if self.mode is Mode.DISCONNECTED:
            self._answer_torque_requests(None)
            self._try_again()
            return None
        try:
            self._apply_settings()
            if self._emergency:
                self._stop_now()
            reading = self.reader.read()
            self._reading = reading or self._reading
            self._judge()
            self._answer_torque_requests(reading)
            self._act(reading)
            self._look()
            return reading
        except BusError as error:
            self._lose(error)
            return None

    def shut_down(self) -> None:
        """Leave the arm as `on_shutdown` says, and give the port back. Takes up to `ease_down_s`."""
        with contextlib.suppress(BusError):
            if self.mode is Mode.ACTIVE:
                self._let_go(self.settings.on_shutdown)
        while self.mode is Mode.EASING:
            self.cycle()
            time.sleep(0.01)
        self._bus.close()

    # -- one cycle ------------------------------------------------------------------------------------------

    def _apply_settings(self) -> None:
        settings = self.settings
        if settings is not self._applied:
            self._applied = settings
            self._health.limits = settings.health
            self.goals.limits = settings.goal_limits(self._calibration)

    def _stop_now(self) -> None:
        self._emergency = False
        how = self.settings.on_emergency_stop
        stale = time.monotonic() - self._reading.measured_s > FRESH_S
        if self.mode is not Mode.ACTIVE or self.stopped or stale:
            how = LIMP
        # Before the bus is used: a board that is lost right now must come back stopped.
        self.stopped = EMERGENCY
        while self._torque_requests:  # they were made before
            self._torque_requests.popleft().answer.set_result(EMERGENCY)
        if how != LIMP:
            self.goals.start(self._reading.position)
            self.goals.hold(EMERGENCY)
            self._writer.write_goals(self._reading.position, self.settings.max_speed)
        self._let_go(how, EMERGENCY)

    def _judge(self) -> None:
        now_s = time.monotonic()
        ages_s = [now_s - heard_s for heard_s in self.reader.heard_s]
        said = {finding.text for finding in self.verdict.findings}
        self.verdict = self._health.update(self.reader.feedback, ages_s, now_s)
        for finding in self.verdict.findings:
            if finding.text not in said:
                self._report(SEVERITIES[finding.level], finding.text)
        if self.mode is Mode.ACTIVE and self.verdict.level is Level.EASE_OFF:
            # A servo that misreads its joint would drive it somewhere even with little torque.
            how = LIMP if any(self.verdict.untrusted) else EASE_DOWN
            self._let_go(how, self.verdict.findings[0].text)

    def _answer_torque_requests(self, reading: Reading | None) -> None:
        while self._torque_requests:
            request = self._torque_requests[0]
            try:
                if self.mode is Mode.DISCONNECTED:
                    refusal = f"port {self._bus.port}: the board is not there"
                elif request.on:
                    refusal = self._switch_on(reading)
                else:
                    self._let_go(LIMP if self._role == LEADER else EASE_DOWN)
                    refusal = ""
            except PortGone as error:
                self._torque_requests.popleft().answer.set_result(str(error))
                raise
            except NoReply as error:
                if len(self._torque_requests) == 1 and time.monotonic() < request.until_s:
                    return
                refusal = str(error)
            except BusError as error:
                refusal = str(error)
            self._torque_requests.popleft().answer.set_result(refusal)

    def _act(self, reading: Reading | None) -> None:
        now_s = time.monotonic()
        command = self._commands.pop() if self._commands else None
        if self.mode is Mode.EASING:
            self._writer.limit_torque(self._ease.fraction(now_s))
            if self._ease.done:
                self._let_go(LIMP)
        elif self.mode is Mode.ACTIVE:
            if command is not None:
                self._take(*command)
            if self._role == LEADER and now_s - self._heard_s > self.settings.command_timeout_s:
                self._let_go(LIMP)
            elif reading is not None:
                self._move(reading, now_s)
        elif command is not None:
            self._report(Severity.WARNING, f"joint_commands: not followed, the arm is {self.mode}")

    def _take(self, position: Array, velocity: Array | None, came_s: float) -> None:
        if self.stopped:
            self._report(Severity.WARNING, f"joint_commands: not followed after: {self.stopped}")
            return
        try:
            for text in self.goals.command(position, velocity, came_s):
                self._report(Severity.WARNING, text)
            self._heard_s = came_s
        except ValueError as error:
            self._report(Severity.ERROR, f"{error}; the arm holds")

    def _move(self, reading: Reading, now_s: float) -> None:
        verdict = self.verdict
        if verdict.level is Level.HOLD:
            reason = verdict.findings[0].text
            self.goals.hold(reason, reading.position, verdict.relieve)
            if any(verdict.limp):
                self.goals.hold(reason, reading.position, verdict.limp, follow=True)
        goal = self.goals.step(reading.position, now_s - self._stepped_s, now_s)
        self._stepped_s = now_s
        self._writer.write_goals(goal, self.settings.max_speed)

    def _look(self) -> None:
        """Whether a servo's torque is what it should be: one that restarts is limp, and says nothing."""
        self._cycles += 1
        if self._cycles % CHECK_EVERY:
            return
        try:
            joint, on, as_limited = self._writer.look_at_next()
        except NoReply:
            return
        if self.mode is Mode.ACTIVE and not on:
            self._let_go(EASE_DOWN, f"{JOINT_NAMES[joint]} has lost its torque, restarted or tripped")
        elif self.mode is Mode.ACTIVE and not as_limited:
            self._writer.limit_torque(1.0)
        elif self.mode is Mode.FREE and on:
            self._writer.switch_off()

    # -- changes of mode ------------------------------------------------------------------------------------

    def _switch_on(self, reading: Reading | None) -> str:
        """Why not, or empty. Raises NoReply where another try may do, nothing having come on."""
        if self.mode is Mode.ACTIVE and not self.stopped:
            return ""
        if reading is None:
            raise NoReply("the pose cannot be measured right now: a servo does not answer")
        pose = reading.position
        beyond = np.maximum(self._calibration.lower_rad - pose, pose - self._calibration.upper_rad)
        joint = int(beyond.argmax())
        if beyond[joint] > OUTSIDE_RAD:
            return (
                f"{JOINT_NAMES[joint]} is at {pose[joint]:.2f} rad, {beyond[joint]:.2f} beyond its limits: "
                "move it by hand, or calibrate the arm"
            )
        self._health.reset()
        self._judge()
        against = [finding for finding in self.verdict.findings if finding.level >= Level.HOLD]
        if against and all(finding.is_silence for finding in against):
            raise NoReply(against[0].text)
        if against:
            return against[0].text
        if self.mode is not Mode.ACTIVE:
            try:
                # Torque that is still going down must not come back at goals which the arm has sunk from.
                self._writer.write_goals(pose, self.settings.max_speed)
                self._writer.prepare(self.settings.torque_limits)
                reading = self.reader.read()
                if reading is None:
                    raise NoReply("a servo does not answer just as torque comes on; ask again")
                if self._emergency:
                    raise BusError(EMERGENCY)
                pose = reading.position
                self._writer.switch_on(pose, self.settings.max_speed)
            except BusError:
                if self.mode is Mode.FREE:
                    self._writer.switch_off()
                raise
        self._start(pose)
        return ""

    def _start(self, pose: Array) -> None:
        self.goals.start(pose)
        self._stepped_s = self._heard_s = time.monotonic()
        self._commands.clear()
        self.stopped = ""
        self._enter(Mode.ACTIVE)

    def _let_go(self, how: str, reason: str = "") -> None:
        """`how`: one of LETTING_GO. With a reason, the arm does not move again before torque is asked for."""
        self.stopped = reason or self.stopped
        if how == LIMP or self.mode is Mode.FREE:
            self._writer.switch_off()
            self._enter(Mode.FREE)
        elif how == EASE_DOWN and self.mode is not Mode.EASING:
            self._ease = EaseDown(self.settings.ease_down_s)
            self._enter(Mode.EASING)
        if reason:
            self._report(Severity.ERROR, f"{reason}: {CONSEQUENCES[how]}")

    def _enter(self, mode: Mode) -> None:
        self.mode = mode
        self.reader.expect_speed(SERVO_SPEED if mode is Mode.ACTIVE else HAND_SPEED)

    def _lose(self, error: BusError) -> None:
        limp = self.mode is Mode.FREE
        holds = "it is limp" if limp else "while it has power it stays at its last goal"
        if self.mode is Mode.EASING:
            self.stopped = self.stopped or "it was being let down"
        self.mode = Mode.DISCONNECTED
        self._bus.close()
        self._report(
            Severity.ERROR,
            f"the arm can be neither held nor stopped from here, {holds}: {error}. Trying again every "
            f"{RECONNECT_S} s",
        )

    def _try_again(self) -> None:
        if time.monotonic() < self._retry_s:
            return
        try:
            self.connect()
        except (BusError, ValueError) as error:
            self._report(Severity.ERROR, str(error))
            self._retry_s = time.monotonic() + RECONNECT_S
        else:
            holds = "it holds where it is" if self.mode is Mode.ACTIVE else "its torque is off; ask for it"
            self._report(Severity.WARNING, f"the arm is back on {self._bus.port}: {holds}")
