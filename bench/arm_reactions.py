"""What the arm's driver does when something is wrong, and how soon: a table of every safety reaction.

    . .venv/ros.sh && python bench/arm_reactions.py [--tries 5] [--only silence]

The driver, the emulated servos and whoever commands them are processes of their own. A time is from when the
fault is asked for, the command or call is sent, or the signal given, to the write that the servos record, or
to the message that is heard on /rosout. Meanwhile the shoulder sweeps, so that every cycle has new goals.
Default parameters; some reactions wait on purpose before they happen, which `expected` says.
"""

import argparse
import signal
import time
from collections.abc import Iterator

import numpy as np
from std_srvs.srv import Trigger

import arm_world
from arm_sweep import COMMAND_PERIOD_S, CYCLE_S, HEAD, SETTINGS, STILL_S, Row, Sweep, eased_since, off_since
from arm_troubles import troubles
from arm_world import World, changes
from hilrl_hardware import registers as r
from hilrl_ros.joints import JOINT_NAMES

SAY_AGAIN_S = 5.5
"""The driver says the same no more often than that."""
UNTIL_HELD = f"<= {1e3 * (SETTINGS.command_timeout_s + CYCLE_S):.0f} ms"


def silence(sweep: Sweep, tries: int) -> Iterator[Row]:
    timeout_s = SETTINGS.command_timeout_s
    row = Row("no command any more", "holds: last new goal", UNTIL_HELD)
    for _ in range(tries):
        sweep.get_going()
        from_s = sweep.run(0.2)
        sweep.arm.probe.spin_for(timeout_s + 2 * STILL_S)
        row.add(from_s, sweep.held_since(from_s, time.monotonic()))
    yield row


def emergency_stop(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    stop = Row("~/emergency_stop called", "goals at the pose, on the bus", "< 20 ms")
    ease = Row("", "torque begins to go down", "")
    off = Row("", "torque off", f"after {SETTINGS.ease_down_s:g} s")
    again = Row("~/emergency_stop called twice", "torque off", "< 20 ms")
    for number in range(2 * tries):
        sweep.get_going()
        from_s = time.monotonic()
        future = arm.stop_service.call_async(Trigger.Request())
        arm.probe.spin_until(future.done)
        if number >= tries:
            sweep.run(0.3)
            from_s = time.monotonic()
            arm.probe.spin_until(arm.stop_service.call_async(Trigger.Request()).done)
            sweep.run(0.3)
            again.add(from_s, off_since(arm, from_s))
            continue
        sweep.run(SETTINGS.ease_down_s + 0.5)
        moved = [when_s for when_s, _ in changes(arm.writes(r.GOAL_POSITION, 1)) if when_s >= from_s]
        stop.add(from_s, moved[-1] if moved else None)
        ease.add(from_s, eased_since(arm, from_s))
        off.add(from_s, off_since(arm, from_s))
    yield from (stop, ease, off, again)


def unplugged(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    gone = Row("board unplugged", "says that it can neither hold nor stop", "")
    back = Row("board back", "first pose published", "<= 0.5 s + set-up")
    for _ in range(tries):
        sweep.get_going()
        arm.probe.spin_for(SAY_AGAIN_S)
        before = arm.bus.truth()
        from_s = time.monotonic()
        arm.bus.unplug()
        arm.probe.spin_for(1.5)
        gone.add(from_s, arm.heard("neither held nor stopped", from_s))
        from_s = time.monotonic()
        arm.bus.replug()
        arm.probe.spin_for(1.5)
        back.add(from_s, next((came_s for came_s, *_ in arm.states if came_s > from_s), None))
        moved = max(abs(a["tick"] - b["tick"]) for a, b in zip(arm.bus.truth(), before, strict=True))
        back.notes.append(f"moved {moved:.0f} ticks")
    yield from (gone, back)


def blocked(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    held = Row("joint blocked", "holds, and gives way", "after 1 s")
    tick_rad = abs(arm.calibration.radians_per_tick[0])
    for _ in range(tries):
        sweep.get_going()
        from_s = time.monotonic()
        arm.bus.fault("stuck", 1)
        here = arm.bus.truth()[0]["tick"]
        sweep.run(3.0)
        goals = arm.writes(r.GOAL_POSITION, 1, from_s + 0.05)
        ahead = [abs(tick - here) * tick_rad for _, tick in goals]
        relieved = next((when_s for (when_s, tick) in goals if abs(tick - here) * tick_rad > 0.2), None)
        back = [when_s for when_s, tick in goals if relieved and when_s > relieved and abs(tick - here) < 10]
        held.add(from_s, back[0] if back else None)
        held.notes.append(f"goal at most {max(ahead):.2f} rad ahead (leash {SETTINGS.leash_rad:g})")
        sweep.recover()
    yield held


def bad_commands(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    nan = sweep.target
    nan[2] = np.nan
    cases = (
        ("command with NaN", nan, JOINT_NAMES, "expected finite numbers"),
        ("command without a joint", sweep.target[:5], JOINT_NAMES[:5], "the message is ignored"),
        ("command with an unknown name", sweep.target, ("elbow", *JOINT_NAMES[1:]), "the message is ignored"),
    )
    for title, position, names, text in cases:
        row = Row(title, "refused: last new goal", "at once")
        if "NaN" not in title:
            row.reaction, row.expected = "ignored: holds by silence", UNTIL_HELD
        said = Row("", "says so", "")
        for _ in range(tries):
            sweep.get_going()
            arm.probe.spin_for(COMMAND_PERIOD_S)
            from_s = time.monotonic()
            while time.monotonic() < from_s + SETTINGS.command_timeout_s + 2 * STILL_S:
                arm.command(position, names=names)
                arm.probe.spin_for(COMMAND_PERIOD_S)
            row.add(from_s, sweep.held_since(from_s, time.monotonic()))
            arm.probe.spin_for(SAY_AGAIN_S)
            from_s = time.monotonic()
            arm.command(position, names=names)
            arm.probe.spin_for(STILL_S)
            said.add(from_s, arm.heard(text, from_s))
        yield from (row, said)


def bounded_commands(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    calibration = arm.calibration
    beyond = Row("command 1 rad beyond a limit", "goals end at the limit", "")
    said = Row("", "says so", "")
    far = Row("command 1.4 rad away", "approached slowly", f"{SETTINGS.ramp_speed:g} rad/s")
    low_tick, high_tick = sorted(
        (calibration.joints[JOINT_NAMES[0]].range_min, calibration.joints[JOINT_NAMES[0]].range_max)
    )
    for _ in range(min(tries, 2)):
        sweep.get_going()
        arm.probe.spin_for(SAY_AGAIN_S)
        from_s = time.monotonic()
        target = sweep.target
        target[0] = calibration.upper_rad[0] + 1.0
        while time.monotonic() < from_s + 6.0:
            arm.command(target)
            arm.probe.spin_for(0.1)
        goals = [tick for _, tick in arm.writes(r.GOAL_POSITION, 1, from_s)]
        beyond.notes.append(f"goals {min(goals)}..{max(goals)}, range {low_tick}..{high_tick}")
        said.add(from_s, arm.heard("clamped", from_s))
        sweep.get_going()
        sweep.run(0.1)
        arm.probe.spin_for(0.8)
        from_s = time.monotonic()
        target = sweep.target
        target[0] = arm.position[0] + (1.4 if arm.position[0] < 0 else -1.4)
        while time.monotonic() < from_s + 1.0:
            arm.command(target)
            arm.probe.spin_for(0.1)
        goals = arm.writes(r.GOAL_POSITION, 1, from_s + 0.2)
        (first_s, first), (last_s, last) = goals[0], goals[-1]
        speed = abs(last - first) * abs(calibration.radians_per_tick[0]) / (last_s - first_s)
        far.notes.append(f"{speed:.2f} rad/s")
    yield from (beyond, said, far)


def endings(sweep: Sweep, tries: int) -> Iterator[Row]:
    arm = sweep.arm
    ease = Row("SIGTERM", "torque begins to go down", "")
    off = Row("", "torque off", f"{SETTINGS.ease_down_s:g} s later")
    left = Row("", "process gone", "")
    killed = Row("driver killed (SIGKILL)", "servos keep their last goal", "")
    again = Row("driver comes back", "takes over without a jump", "")
    second = Row("a second driver on the port", "refused", "")
    for _ in range(min(tries, 2)):
        sweep.get_going()
        from_s = time.monotonic()
        status = arm.node.stop(signal.SIGTERM)
        left.add(from_s, time.monotonic())
        left.notes.append(f"exit status {status}")
        ease.add(from_s, eased_since(arm, from_s))
        off.add(from_s, off_since(arm, from_s))
        arm.start_driver()
        sweep = Sweep(arm)

        sweep.get_going()
        arm.probe.spin_for(SETTINGS.command_timeout_s + 0.3)
        before = arm.bus.truth()
        arm.node.stop(signal.SIGKILL)
        arm.probe.spin_for(2.0)
        after = arm.bus.truth()
        moved = max(abs(a["tick"] - b["tick"]) for a, b in zip(before, after, strict=True))
        torque = all(servo["torque_enabled"] for servo in after)
        killed.notes.append(f"torque {'on' if torque else 'OFF'} 2 s later, moved {moved:.0f} ticks")
        arm.start_driver()
        arm.probe.spin_for(0.5)
        moved = max(abs(a["tick"] - b["tick"]) for a, b in zip(arm.bus.truth(), after, strict=True))
        again.notes.append(f"moved {moved:.0f} ticks")
        sweep = Sweep(arm)
    first = arm.node
    other = arm.start_another()
    status = other.wait()
    second.notes.append(f"exit status {status}: {other.log.strip().splitlines()[-1][:90]}")
    arm.node = first
    yield from (ease, off, left, killed, again, second)


def leader_silence(arm: World, tries: int) -> Iterator[Row]:
    row = Row("leader: no command any more", "torque off: free", UNTIL_HELD)
    stop = Row("leader: ~/emergency_stop called", "torque off", "< 20 ms")
    for number in range(2 * tries):
        if reason := arm.torque(True):
            row.notes.append(reason)
        pose = arm.position
        for _ in range(10):
            from_s = time.monotonic()
            arm.command(pose)
            arm.probe.spin_for(0.05)
        if number < tries:
            arm.probe.spin_for(1.0)
            row.add(from_s, off_since(arm, from_s))
        else:
            from_s = time.monotonic()
            arm.probe.spin_until(arm.stop_service.call_async(Trigger.Request()).done)
            arm.probe.spin_for(0.2)
            stop.add(from_s, off_since(arm, from_s))
    yield from (row, stop)


FOLLOWER = (silence, emergency_stop, troubles, unplugged, blocked, bad_commands, bounded_commands, endings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=5)
    names = [scenario.__name__ for scenario in (*FOLLOWER, leader_silence)]
    parser.add_argument("--only", choices=names, help="one group of rows")
    arguments = parser.parse_args()
    print(f"{arm_world.machine()}\n\n{HEAD}", flush=True)
    for scenario in FOLLOWER:
        if arguments.only in (None, scenario.__name__):
            with arm_world.world("follower") as arm:
                for row in scenario(Sweep(arm), arguments.tries):
                    print(row, flush=True)
    if arguments.only in (None, leader_silence.__name__):
        with arm_world.world("leader") as arm:
            for row in leader_silence(arm, arguments.tries):
                print(row, flush=True)


if __name__ == "__main__":
    main()
