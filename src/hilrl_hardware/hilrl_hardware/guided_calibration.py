"""What a person is asked to do with an arm that is being calibrated, and what is made of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from hilrl_hardware.bus import ServoBus
from hilrl_hardware.calibration import FULL_TURN_JOINT, GRIPPER, expected_span, least_span
from hilrl_hardware.calibration_session import CalibrationSession
from hilrl_hardware.dialogue import Dialogue
from hilrl_ros.joints import ARM_JOINTS

MIDDLE = """\
   Put every joint in the middle of its travel: upper arm upright, forearm level and ahead, gripper pointing
   ahead and half open, with its moving part on top."""
POSITIVE = {
    "shoulder_pan": "turn the whole arm to its right",
    "shoulder_lift": "lean the upper arm forward",
    "elbow_flex": "bend the forearm down",
    "wrist_flex": "tip the gripper down",
    "wrist_roll": "roll the gripper, its moving part from the top to the arm's left",
}
"""By arm joint: a motion in the positive direction of the URDF."""
ENDS = {
    "follower": ("Close the gripper", "Open the gripper"),
    "leader": ("Squeeze the trigger", "Let the trigger open"),
}
ENTER = "   Press Enter: "


@contextmanager
def guide(dialogue: Dialogue, bus: ServoBus, role: str) -> Iterator[CalibrationSession]:
    """Everything up to a result, for the block to commit. Otherwise the servos get back what they had."""
    dialogue.say(f"Calibrating the {role} on {bus.port}. Ctrl+C stops and leaves everything as it was.")
    dialogue.say("\n1. The motors go limp now: hold the arm, or let it lie.")
    dialogue.ask(ENTER)
    with CalibrationSession(bus, role) as session:
        _range_of_motion(dialogue, session)
        _gripper(dialogue, session)
        _directions(dialogue, session)
        yield session


def _range_of_motion(dialogue: Dialogue, session: CalibrationSession) -> None:
    while True:
        dialogue.say(f"\n2. Middle.\n{MIDDLE}")
        dialogue.ask(ENTER)
        session.home()
        dialogue.say(
            f"\n3. Move every joint but {FULL_TURN_JOINT} slowly from stop to stop, until all are ok."
        )
        while True:
            dialogue.ask(ENTER, lambda: _sweep_table(session))
            if not (session.too_short or session.crossed_seam):
                return
            if session.crossed_seam:
                break
            dialogue.say(
                f"   Not yet moved from stop to stop: {', '.join(session.too_short)}. Go on with that."
            )
        dialogue.say(
            f"   The readings of {', '.join(session.crossed_seam)} jumped between 4095 and 0: not in the\n"
            "   middle of the travel at step 2, or turned past a stop. Once more from there."
        )


def _sweep_table(session: CalibrationSession) -> list[str]:
    session.observe()
    lines = ["   joint             now  lowest highest   swept of about"]
    for name, sweep in session.sweeps.items():
        if name == FULL_TURN_JOINT:
            continue
        note = "ok" if sweep.span >= least_span(name, session.role) else ""
        note = "jumped: begin again" if sweep.crossed_seam else note
        note = "no answer" if name in session.silent else note
        lines.append(
            f"   {name:<14} {sweep.position:>6} {sweep.lowest:>7} {sweep.highest:>7} {sweep.span:>7} "
            f"{expected_span(name):>8}  {note}"
        )
    return lines


def _gripper(dialogue: Dialogue, session: CalibrationSession) -> None:
    close, open_ = ENDS[session.role]
    while True:
        dialogue.say(f"\n4. {close} as far as it goes.")
        dialogue.ask(ENTER, lambda: _position(session))
        session.mark_gripper(is_open=False)
        dialogue.say(f"   {open_} as far as it goes.")
        dialogue.ask(ENTER, lambda: _position(session))
        session.mark_gripper(is_open=True)
        if not session.gripper_problem:
            break
        dialogue.say(f"   {session.gripper_problem}.")
    if session.role == "follower":
        _widths(dialogue, session)


def _widths(dialogue: Dialogue, session: CalibrationSession) -> None:
    dialogue.say(
        "\n   Optional: close it on nothing and on things of known width, and type the width in mm each\n"
        "   time. Enter alone ends this; with fewer than two widths the drawing's are used."
    )
    while answer := dialogue.ask("   Between the fingertips [mm]: ", lambda: _position(session)):
        try:
            percent = session.add_width(float(answer))
            dialogue.say(f"   {percent:g} % open: {answer} mm")
        except ValueError as error:
            dialogue.say(f"   {error}")


def _position(session: CalibrationSession) -> list[str]:
    session.observe()
    if GRIPPER in session.silent:
        return ["   the gripper's servo does not answer"]
    return [f"   the gripper reads {session.sweeps[GRIPPER].position}"]


def _directions(dialogue: Dialogue, session: CalibrationSession) -> None:
    dialogue.say("\n5. Each joint in turn some 30 degrees in its positive direction; its ticks should grow.")
    for joint in ARM_JOINTS:
        while not _direction(dialogue, session, joint):
            pass


def _direction(dialogue: Dialogue, session: CalibrationSession, joint: str) -> bool:
    """Whether the direction of the joint is settled."""
    session.observe()
    before = session.sweeps[joint].travel

    def watch() -> list[str]:
        session.observe()
        return [f"   {joint}: {session.sweeps[joint].travel - before:+d} ticks"]

    dialogue.say(f"   {joint}: {POSITIVE[joint]}.")
    dialogue.ask(ENTER, watch)
    direction = session.direction(joint, before)
    if direction == 0:
        dialogue.say("   Too little to tell. Again:")
    elif direction < 0:
        dialogue.say(
            "   Its ticks fell, as of no SO-101 built as drawn. Was it moved the other way, are two servos\n"
            "   swapped, or does one sit mirrored? Enter tries again; `reversed` if it truly turns so."
        )
        if dialogue.ask("   Enter or reversed: ") == "reversed":
            session.reversed.add(joint)
            return True
    else:
        session.reversed.discard(joint)
    return direction > 0
