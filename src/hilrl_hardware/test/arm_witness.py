"""Whether a driver told the truth and kept to its bounds, by what the emulated servos know."""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from faulted_arm import Cycle, Sent, Story

from hilrl_hardware import registers as r
from hilrl_hardware.arm_connection import DROOP_RAD
from hilrl_hardware.emulator.recording import PositionSent, Written
from hilrl_hardware.joint_goals import MAX_DT_S, GoalLimits

MAX_STEP_RAD = GoalLimits.max_step_rad
ROUNDING_TICKS = 2.0
"""Half a tick at either end, and up to one more where rounding would leave the limits."""
RUN = 12
"""Goals in a row whose way is bounded too: in one cycle, rounding hides a speed that is a little too high."""
POSE_AGE_S = 0.15
"""Longest from the reading of a pose to the goals that are set to it."""
EXAMPLES = 5
TOLD = 12
"""Positions before a violation that are shown with it."""


@dataclass
class Findings:
    """Counts, and what should not be."""

    published: int = 0
    moved: int = 0
    """Published poses that differ from the one before."""
    goals_sent: int = 0
    goals_received: int = 0
    restarts: int = 0
    """Goals that were set to the measured pose."""
    outside: int = 0
    """Goals outside the limits, of joints whose torque came on there."""
    torque_on: int = 0
    oldest_pose_s: float = 0.0
    """That goals were set to."""
    longest_wait_s: float = 0.0
    """From a goal to the torque that it was meant for."""
    largest_share: float = 0.0
    """Of the bound of what goals in a row may move."""
    largest_error: int = 0
    """Of a published position [tick]."""
    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def object_to(self, kind: str, text: str) -> None:
        self.violations[kind].append(text)

    def __str__(self) -> str:
        lines = [f"{kind}: {len(texts)}" for kind, texts in self.violations.items()]
        lines += [text for texts in self.violations.values() for text in texts[:EXAMPLES]]
        return "\n".join(lines)


class Truth:
    """The positions that servos told, by servo, in order."""

    def __init__(self, story: Story) -> None:
        self._times: dict[int, list[float]] = defaultdict(list)
        self._ticks: dict[int, list[int]] = defaultdict(list)
        for event in story.events:
            if isinstance(event, PositionSent):
                self._times[event.servo_id].append(event.time_s)
                self._ticks[event.servo_id].append(event.tick)

        droop = DROOP_RAD / np.abs(story.calibration.radians_per_tick)
        self.droop_ticks = dict(zip(story.calibration.ids, droop, strict=True))
        self._goal_times: dict[int, list[float]] = defaultdict(list)
        self._goals: dict[int, list[int]] = defaultdict(list)
        for event in story.events:
            if isinstance(event, Written) and event.address == r.GOAL_POSITION.address:
                self._goal_times[event.servo_id].append(event.time_s)
                self._goals[event.servo_id].append(r.GOAL_POSITION.decode(event.data))

    def goal_in_servo(self, servo_id: int, to_s: float) -> int | None:
        """The goal that a servo had at a time."""
        end = bisect_left(self._goal_times[servo_id], to_s)
        return self._goals[servo_id][end - 1] if end else None

    def told(self, servo_id: int, from_s: float, to_s: float) -> list[int]:
        """Between two times."""
        times = self._times[servo_id]
        return self._ticks[servo_id][bisect_left(times, from_s) : bisect_right(times, to_s)]

    def before(self, servo_id: int, to_s: float) -> str:
        """What a servo told last, and how long before, for a person."""
        times, ticks = self._times[servo_id], self._ticks[servo_id]
        end = bisect_right(times, to_s)
        told = [f"{ticks[at]} ({1e3 * (to_s - times[at]):.0f} ms)" for at in range(max(0, end - TOLD), end)]
        return f"told {', '.join(told)}"


def examine(story: Story) -> Findings:
    """All checks."""
    findings, truth = Findings(), Truth(story)
    _published_is_true(story, truth, findings)
    _goals_are_bounded(story, truth, findings)
    _servos_got_what_was_sent(story, findings)
    _torque_came_on_at_the_pose(story, truth, findings)
    return findings


def _published_is_true(story: Story, truth: Truth, findings: Findings) -> None:
    ids = story.calibration.ids
    before: tuple[int, ...] | None = None
    for cycle in story.cycles:
        if cycle.ticks is None:
            continue
        findings.published += 1
        findings.moved += cycle.ticks != before
        before = cycle.ticks
        for servo_id, tick in zip(ids, cycle.ticks, strict=True):
            told = truth.told(servo_id, cycle.began_s, cycle.ended_s)
            if tick not in told:
                error = min((abs(tick - true) for true in told), default=r.TICKS_PER_TURN)
                findings.largest_error = max(findings.largest_error, error)
                findings.object_to(
                    "a position that the servo did not tell in that cycle",
                    f"{cycle} servo {servo_id}: {tick}, {truth.before(servo_id, cycle.ended_s)}",
                )


def _goals_are_bounded(story: Story, truth: Truth, findings: Findings) -> None:
    calibration = story.calibration
    per_tick = np.abs(calibration.radians_per_tick)
    starts = [cycle.began_s for cycle in story.cycles]
    run: deque[tuple[np.ndarray, float]] = deque(maxlen=RUN)
    """The goals so far, and the time since those before that may count for them."""
    findings.goals_sent = len(story.sent)
    for before, sent in pairwise([None, *story.sent]):
        cycle = story.cycles[max(0, bisect_right(starts, sent.time_s) - 1)]
        goal = np.array([sent.ticks[i] for i in calibration.ids])
        elapsed_s = 0.0 if before is None else min(sent.time_s - before.read_s, MAX_DT_S)
        run.append((goal, elapsed_s))
        step, bound = _step(run, story.max_speed, per_tick, 2)
        if before is None or (step > bound).any():
            _starts_at_the_pose(sent, cycle, before is None, step, bound, truth, findings)
            run.clear()
            run.append((goal, 0.0))
        else:
            way, most = _step(run, story.max_speed, per_tick, RUN)
            findings.largest_share = max(findings.largest_share, float((way / most).max()))
            if (way > most).any():
                findings.object_to(
                    "faster than the speed limit", f"{sent.time_s:.4f}: {way} ticks, bounds {most.round(1)}"
                )
        _within_limits(story, sent, before, cycle, truth, findings)


def _step(
    run: Sequence[tuple[np.ndarray, float]], max_speed: np.ndarray, per_tick: np.ndarray, goals: int
) -> tuple[np.ndarray, np.ndarray]:
    """How far the last so many goals led, and how far they might have [tick]."""
    part = list(run)[-goals:]
    elapsed_s = [seconds for _, seconds in part[1:]]
    most_rad = np.minimum(np.outer(elapsed_s, max_speed), MAX_STEP_RAD).sum(axis=0)
    return np.abs(part[-1][0] - part[0][0]), most_rad / per_tick + ROUNDING_TICKS


def _starts_at_the_pose(
    sent: Sent,
    cycle: Cycle,
    first: bool,
    steps: np.ndarray,
    bounds: np.ndarray,
    truth: Truth,
    findings: Findings,
) -> None:
    findings.restarts += 1
    findings.oldest_pose_s = max(findings.oldest_pose_s, sent.time_s - sent.read_s)
    if not (first or cycle.may_restart):
        findings.object_to(
            "a step beyond its bound", f"{sent.time_s:.4f}: {steps} ticks, bounds {bounds.round(1)}"
        )
    for servo_id, tick in sent.ticks.items():
        told = truth.told(servo_id, sent.time_s - POSE_AGE_S, sent.time_s)
        # A joint that holds may keep the goal that it droops below.
        kept = cycle.may_restart and tick == truth.goal_in_servo(servo_id, sent.time_s)
        reach = truth.droop_ticks[servo_id] if kept else 1
        if not any(abs(tick - true) <= reach for true in told):
            findings.object_to(
                "a first goal that is not where the joint is",
                f"{sent.time_s:.4f} servo {servo_id}: goal {tick}, {truth.before(servo_id, sent.time_s)}; "
                f"{steps} ticks, bounds {bounds.round(1)}, {cycle}",
            )


def _within_limits(
    story: Story, sent: Sent, before: Sent | None, cycle: Cycle, truth: Truth, findings: Findings
) -> None:
    calibration = story.calibration
    goal = calibration.to_radians([sent.ticks[i] for i in calibration.ids])
    beyond = np.maximum(calibration.lower_rad - goal, goal - calibration.upper_rad)
    for joint in np.flatnonzero(beyond > 1e-9):
        findings.outside += 1
        servo_id = calibration.ids[joint]
        tick = sent.ticks[servo_id]
        was = tick if before is None else before.ticks[servo_id]
        middle = sum(calibration.to_ticks([calibration.lower_rad, calibration.upper_rad])[:, joint]) / 2
        told = truth.told(servo_id, sent.time_s - POSE_AGE_S, sent.time_s)
        at_the_pose = (before is None or cycle.may_restart) and any(abs(tick - true) <= 1 for true in told)
        inwards = before is not None and abs(tick - middle) <= abs(was - middle)
        if not (at_the_pose or inwards):
            findings.object_to(
                "a goal outside the limits",
                f"{sent.time_s:.4f} servo {servo_id}: goal {tick}, {beyond[joint]:.4f} rad beyond; "
                f"before: {was}; {truth.before(servo_id, sent.time_s)}; {cycle}",
            )


def _servos_got_what_was_sent(story: Story, findings: Findings) -> None:
    """What a servo got is what was sent, in that order, with gaps at most."""
    start, size = r.GOAL_POSITION.address, r.GOAL_POSITION.size
    times = [sent.time_s for sent in story.sent]
    at = dict.fromkeys(story.calibration.ids, 0)
    for event in story.events:
        if not isinstance(event, Written) or not event.address <= start < event.address + len(event.data):
            continue
        findings.goals_received += 1
        offset = start - event.address
        tick = r.GOAL_POSITION.decode(event.data[offset : offset + size])
        end = bisect_right(times, event.time_s)
        found = next(
            (
                index
                for index in range(at[event.servo_id], end)
                if story.sent[index].ticks[event.servo_id] == tick
            ),
            None,
        )
        if found is None:
            findings.object_to(
                "a goal that nobody sent", f"{event.time_s:.4f} servo {event.servo_id}: goal {tick}"
            )
        else:
            at[event.servo_id] = found + 1


def _torque_came_on_at_the_pose(story: Story, truth: Truth, findings: Findings) -> None:
    goals: dict[int, tuple[float, int]] = {}
    for event in story.events:
        if not isinstance(event, Written):
            continue
        if event.address == r.GOAL_POSITION.address:
            goals[event.servo_id] = event.time_s, r.GOAL_POSITION.decode(event.data[:2])
        elif event.address == r.TORQUE_ENABLE.address:
            if event.data[0] != 1:
                continue
            findings.torque_on += 1
            when_s, tick = goals.get(event.servo_id, (-1.0, -1))
            findings.longest_wait_s = max(findings.longest_wait_s, event.time_s - when_s)
            told = truth.told(event.servo_id, when_s - POSE_AGE_S, when_s)
            if not any(abs(tick - true) <= 1 for true in told):
                findings.object_to(
                    "torque at a goal that is not where the joint is",
                    f"{event.time_s:.4f} servo {event.servo_id}: goal {tick} of {when_s:.4f}, "
                    f"{truth.before(event.servo_id, event.time_s)}",
                )
