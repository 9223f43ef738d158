"""What `takeover.py` makes of a record: who acted, what was applied, and how far things moved."""

import numpy as np

from hilrl_control.kinematics import Kinematics, installed_urdf
from hilrl_control.settings import Settings
from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import stamps
from hilrl_ros.ee_action import Gripper, Source
from takeover_graph import Loop
from takeover_operators import Mood, Operator

SETTINGS = Settings.default()
EXACT_M = 2e-5


def judge(loop: Loop, operator: Operator) -> list[str]:
    """The figures of one operator, as rows."""
    kinematics = Kinematics(installed_urdf())
    stamped = sorted(loop.ticks)[2:-2]
    ticks = [loop.ticks[stamp] for stamp in stamped]
    human = [tick for tick in ticks if tick.executed and tick.executed.source != Source.POLICY]
    last = np.zeros(3)
    late = flags = deltas = unasked = changes = taken_unasked = lost = applied = bounded = compared = (
        commands
    ) = reached = at_limit = 0
    jumps: dict[bool, list[float]] = {True: [], False: []}
    all_jumps: dict[bool, list[float]] = {True: [], False: []}
    targets: dict[bool, list[float]] = {True: [], False: []}
    was_human: bool | None = None
    for stamp, tick, later in zip(stamped, ticks, ticks[1:], strict=False):
        executed, answers = tick.executed, operator.answers.get(stamp)
        if executed is None or not answers or tick.policy is None or tick.command is None:
            continue
        if tick.executed_s < operator.answered_s[stamp]:
            late += 1
            was_human = None
            continue
        compared += 1
        is_human = executed.source != Source.POLICY
        flags += any(is_human == answer.engaged for answer in answers)
        choices = [answer for answer in answers if answer.engaged] if is_human else [tick.policy]
        deltas += any(is_same(executed, choice) for choice in choices)
        moods = {tick.mood, operator.mood_at[stamp]}
        taken_unasked += moods == {Mood.OFF} and is_human
        lost += moods == {Mood.MOVING} and not is_human
        unasked += is_human and executed.gripper != Gripper.STAY and not tick.jaw_is_meant

        # Applied: the controller's next state answers this very action, with the target it asks for.
        before, after = position_of(tick.state), position_of(later.state)
        asked, _ = SETTINGS.workspace.clip(before + executed.delta[:3].astype(float) * SETTINGS.step_m)
        served = stamps.to_ns(later.state.action_stamp) == stamp
        served = served and later.state.action_source == executed.source
        jaw = {Gripper.OPEN: SETTINGS.gripper_open_rad, Gripper.CLOSE: SETTINGS.gripper_closed_rad}.get(
            Gripper(executed.gripper), tick.state.gripper_target
        )
        served = served and abs(later.state.gripper_target - jaw) < 1e-6
        if later.state.clipped_leash or later.state.unreachable:
            bounded += served
        else:
            applied += served and float(np.abs(after - asked).max()) < EXACT_M
        commands += stamps.to_ns(tick.command.header.stamp) == stamp
        there = kinematics.forward(tick.command.position).position
        if later.state.clipped_speed or later.state.unreachable or later.state.clipped_joint_limit:
            at_limit += 1
        else:
            reached += float(np.abs(there - after).max()) < 1e-3
        changes_hands = was_human is not None and was_human != is_human
        changes += changes_hands
        # The leash and the end of reach move a target in any tick, whoever acts.
        by_the_action = not (later.state.clipped_leash or later.state.unreachable)
        if by_the_action:
            targets[changes_hands].append(float(np.abs(after - before).max()) / SETTINGS.step_m)
        if was_human is not None:
            jump = float(np.abs(there - last).max()) / SETTINGS.step_m
            all_jumps[changes_hands].append(jump)
            if by_the_action and not later.state.clipped_speed:
                jumps[changes_hands].append(jump)
        last, was_human = there, is_human
    share = f"{len(human)} ({len(human) / max(len(ticks), 1):.1%})"
    return [
        row(
            "take-overs, hand-backs",
            f"{operator.taken} ({operator.missed} missed), {changes} changes of hands",
        ),
        row("ticks; of the person", f"{len(ticks)}; {share}"),
        row(
            "largest target step as hands change",
            f"{largest(targets[True])} steps (other ticks: {largest(targets[False])})",
        ),
        row(
            "largest commanded TCP jump there",
            f"{largest(jumps[True])} steps (other ticks: {largest(jumps[False])})",
        ),
        row(
            "... leash, reach and speed limit too",
            f"{largest(all_jumps[True])} steps (other ticks: {largest(all_jumps[False])})",
        ),
        row("ticks that went without the device", f"{late}, not in what follows: the machine was busy"),
        row("gripper commanded unasked", f"{unasked} ticks"),
        row("source as the device said", f"{flags} of {compared} ticks"),
        row("the person's, but hands were off", f"{taken_unasked} ticks"),
        row("the policy's, but the person held on", f"{lost} ticks"),
        row("recorded action is the chosen one", f"{deltas} of {compared} ticks"),
        row(
            "recorded action is what was applied",
            f"{applied + bounded} of {compared} ticks ({bounded} leashed)",
        ),
        row("joint command answers that action", f"{commands} of {compared} ticks"),
        row(
            "... and its TCP is the target",
            f"{reached} of {compared - at_limit} ({at_limit} at a joint's limit)",
        ),
    ]


def is_same(executed: EeAction, choice: EeAction) -> bool:
    return bool((executed.delta == choice.delta).all()) and executed.gripper == choice.gripper


def position_of(state: EeState) -> np.ndarray:
    at = state.target.position
    return np.array([at.x, at.y, at.z])


def largest(values: list[float]) -> str:
    return f"{max(values, default=0.0):.3f}"


def row(title: str, figure: str) -> str:
    return f"  {title:<38} {figure}"
