"""`hilrl setup-servos`: ids and baud rate of new servos, which all come with the same id, one at a time."""

import argparse
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hilrl_hardware import registers as r
from hilrl_hardware.bus import BAUD_RATE, LAST_ID, BusError, NoReply, PortGone, ServoBus
from hilrl_hardware.calibration import SERVO_IDS
from hilrl_hardware.dialogue import Dialogue
from hilrl_hardware.gears import GEARS
from hilrl_ros.joints import JOINT_NAMES

BAUD_RATES = (1_000_000, 500_000, 250_000, 128_000, 115_200)
"""By the value of the Baud_Rate register. Of higher values, sources do not agree what they mean."""
ORDER = tuple(reversed(JOINT_NAMES))
"""New servos have id 1, so that joint comes last: one that has been set up is not taken for a new one."""

DESCRIPTION = """\
Gives each servo the id of its joint, and the baud rate of the bus. It asks for one servo after the other,
alone on the bus, and again before it writes.
"""


@dataclass(frozen=True)
class FoundServo:
    """A servo that answers."""

    servo_id: int
    baud_rate: int
    model: int
    firmware: str

    def __str__(self) -> str:
        model = "STS3215" if self.model == r.MODEL_STS3215 else f"model {self.model}"
        return f"id {self.servo_id} at {self.baud_rate} baud, {model}, firmware {self.firmware}"


def search(port: str, baud_rate: int, ids: Iterable[int] = range(LAST_ID + 1)) -> list[FoundServo]:
    """The servos on a port that talk at a baud rate. Takes about two seconds.

    Raises PortGone, and BusError for a servo that cannot be understood.
    """
    with ServoBus(port, baud_rate) as bus:
        return [_identify(bus, servo_id) for servo_id in bus.scan(ids)]


def _identify(bus: ServoBus, servo_id: int) -> FoundServo:
    try:
        # The position differs from servo to servo: two of one id garble it.
        bus.read(servo_id, r.PRESENT_POSITION)
        firmware = [bus.read(servo_id, part) for part in (r.FIRMWARE_MAJOR, r.FIRMWARE_MINOR)]
        return FoundServo(servo_id, bus.baud_rate, bus.ping(servo_id), ".".join(map(str, firmware)))
    except NoReply as error:
        raise BusError(
            f"port {bus.port}: servo {servo_id} answers at {bus.baud_rate} baud, but not clearly; expected "
            "one servo alone, got perhaps two of the same id"
        ) from error


def assign(port: str, found: FoundServo, servo_id: int) -> None:
    """Give a servo that is alone on the bus its id and the baud rate of the arm, for good; read back.

    Raises BusError where it does not answer as the new one.
    """
    with ServoBus(port, found.baud_rate) as bus:
        bus.write(found.servo_id, r.TORQUE_ENABLE, 0)
        bus.write(found.servo_id, r.LOCK, 0)
        # The receipt may come from the new id, or at the new baud rate: see who answers afterwards.
        if servo_id != found.servo_id:
            with contextlib.suppress(NoReply):
                bus.write(found.servo_id, r.ID, servo_id)
            bus.ping(servo_id)
        if found.baud_rate != BAUD_RATE:
            with contextlib.suppress(NoReply):
                bus.write(servo_id, r.BAUD_RATE, BAUD_RATES.index(BAUD_RATE))
    with ServoBus(port) as bus:
        bus.write(servo_id, r.LOCK, 1)
        reads = (bus.read(servo_id, r.ID), bus.read(servo_id, r.BAUD_RATE))
    if reads != (servo_id, BAUD_RATES.index(BAUD_RATE)):
        raise BusError(
            f"port {port}: expected id {servo_id} and baud rate 0 in the servo's memory, got {reads}"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("--port", required=True, help="of the board that the servos are connected to")
    parser.add_argument(
        "--role",
        choices=tuple(GEARS),
        default="follower",
        help="says which gear is whose; default: %(default)s",
    )
    parser.add_argument(
        "--joint",
        action="append",
        choices=JOINT_NAMES,
        help="only this one; may be repeated; default: all six",
    )


def run(chosen: argparse.Namespace) -> int:
    """Do it; 0 done, 1 the bus failed, 130 interrupted."""
    with Dialogue() as dialogue:
        try:
            _all(dialogue, chosen.port, chosen.role, chosen.joint or JOINT_NAMES)
            return 0
        except BusError as error:
            dialogue.complain(f"error: {error}")
            return 1
        except (KeyboardInterrupt, EOFError):
            dialogue.complain("\nStopped; servos that were set up stay so.")
            return 130


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="hilrl setup-servos")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _all(dialogue: Dialogue, port: str, role: str, joints: Sequence[str]) -> None:
    done: dict[int, str] = {}
    for joint in ORDER:
        if joint in joints:
            gear = GEARS[role][JOINT_NAMES.index(joint)].ratio
            dialogue.say(
                f"\n{joint}, id {SERVO_IDS[joint]}, gear 1:{gear}: connect this servo alone, with power."
            )
            while not _one(dialogue, port, joint, done):
                pass
    dialogue.say("\nDone. Chain all six and go on with `hilrl calibrate`.")


def _one(dialogue: Dialogue, port: str, joint: str, done: dict[int, str]) -> bool:
    """Whether that is done with, too, where the person skips it."""
    if dialogue.ask("  Enter when it is connected, or skip: ") == "skip":
        return True
    dialogue.say("  Looking for it, some ten seconds ...")
    try:
        found = []
        for baud_rate in BAUD_RATES:
            dialogue.check()
            found += search(port, baud_rate)
    except PortGone:
        raise
    except BusError as error:
        dialogue.say(f"  {error}")
        return False
    if reason := refusal(found, done):
        dialogue.say(f"  {reason}")
        return False
    servo, wanted = found[0], SERVO_IDS[joint]
    dialogue.say(f"  Found {servo}.")
    if (servo.servo_id, servo.baud_rate) == (wanted, BAUD_RATE):
        dialogue.say("  It is set up already.")
    elif dialogue.confirm(f"  Make it {joint}, id {wanted} at {BAUD_RATE} baud?"):
        assign(port, servo, wanted)
        dialogue.say(f"  It is {joint} now; mark it.")
    else:
        return False
    done[wanted] = joint
    return True


def refusal(found: Sequence[FoundServo], done: dict[int, str]) -> str | None:
    """Why this cannot be the servo that was asked for, and what to do."""
    if not found:
        return (
            "No servo answers. Is the board powered (USB alone is not enough), is its jumper set for USB, is "
            "the servo's cable in?"
        )
    if len(found) > 1:
        return f"Expected one servo, found {len(found)}: {'; '.join(map(str, found))}. Connect one alone."
    if (model := found[0].model) != r.MODEL_STS3215:
        return f"Expected an STS3215, model {r.MODEL_STS3215}, found model {model}. Nothing was written."
    if joint := done.get(found[0].servo_id):
        return f"This is {joint}, set up just now. Connect the next one instead."
    return None
