"""`hilrl calibrate`: an arm's calibration made, taken over from LeRobot, compared, written to the servos."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from hilrl_hardware import calibration_files as files
from hilrl_hardware import servo_calibration
from hilrl_hardware.bus import BusError, ServoBus
from hilrl_hardware.calibration import Calibration
from hilrl_hardware.dialogue import Dialogue
from hilrl_hardware.guided_calibration import guide

DESCRIPTION = """\
Without --verify, --apply, --import or --export: leads through the calibration of the arm on PORT. Its motors
go limp for that; nothing moves by itself. Ctrl+C at any time leaves the file and the servos as they were.
"""


def default_port(role: str) -> str:
    """The name that the udev rule gives to an arm."""
    return f"/dev/so101_{role}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.description = DESCRIPTION
    roles = ("follower", "leader")
    parser.add_argument("--role", choices=roles, default="follower", help="default: %(default)s")
    parser.add_argument("--port", help="of the arm; default: /dev/so101_<role>")
    parser.add_argument(
        "--file",
        type=Path,
        help="of the calibration; LeRobot's format where it ends in .json; default: "
        "~/.config/hilrl/calibration/<role>.yaml",
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--verify", action="store_true", help="compare file and servos; changes nothing")
    modes.add_argument(
        "--apply", action="store_true", help="write the file's values to the servos, torque off"
    )
    modes.add_argument("--import", dest="source", type=Path, metavar="PATH", help="take over a LeRobot file")
    modes.add_argument(
        "--import-lerobot", dest="lerobot_id", metavar="ID", help="the same, found by the arm's id in LeRobot"
    )
    modes.add_argument("--export", dest="target", type=Path, metavar="PATH", help="write a LeRobot file")
    parser.add_argument("--yes", action="store_true", help="--apply, --import, --export do not ask first")


def run(chosen: argparse.Namespace) -> int:
    """Do it; 0 done, 1 the arm or the person said no, 2 bad input, 130 interrupted."""
    with Dialogue() as dialogue:
        try:
            return _run(dialogue, chosen)
        except (ValueError, BusError) as error:
            dialogue.complain(f"error: {error}")
            return 2 if isinstance(error, ValueError) else 1
        except (KeyboardInterrupt, EOFError):
            dialogue.complain("\nStopped; the calibration is as it was.")
            return 130


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="hilrl calibrate")
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _run(dialogue: Dialogue, chosen: argparse.Namespace) -> int:
    path = chosen.file or files.default_path(chosen.role)
    port = chosen.port or default_port(chosen.role)
    if chosen.source or chosen.lerobot_id:
        source = chosen.source or files.find_lerobot(chosen.lerobot_id, chosen.role)
        return _import(dialogue, source, path, chosen)
    if chosen.target:
        return _export(dialogue, path, chosen.target, chosen.yes)
    if chosen.verify:
        return _verify(dialogue, port, _load(path, chosen.role))
    if chosen.apply:
        return _apply(dialogue, port, _load(path, chosen.role), chosen.yes)
    return _calibrate(dialogue, port, path, chosen.role)


def _calibrate(dialogue: Dialogue, port: str, path: Path, role: str) -> int:
    _expect_writable(path)
    kept = False
    with ServoBus(port) as bus, guide(dialogue, bus, role) as session:
        calibration = session.result(port, _now())
        dialogue.say("\n".join(["", *table(calibration)]))
        problems = calibration.problems()
        dialogue.say("\n".join(problems))
        where = f"replace {path} by it" if path.expanduser().exists() else f"save it as {path}"
        if not problems and dialogue.confirm(f"Write this to the servos, and {where}?"):
            session.commit(calibration, lambda result: files.save(result, path))
            kept = True
    dialogue.say("Done." if kept else "Not kept; servos and file are as they were.")
    return 0 if kept else 1


def _load(path: Path, role: str) -> Calibration:
    calibration = files.load(path)
    if calibration.role not in ("", role):
        raise ValueError(f"--role: expected {calibration.role}, as {path} says, got {role}")
    return replace(calibration, role=role)


def _verify(dialogue: Dialogue, port: str, calibration: Calibration) -> int:
    with ServoBus(port) as bus:
        differences = servo_calibration.verify(bus, calibration)
    dialogue.say(
        "\n".join([*map(str, differences), *calibration.problems()]) or "The servos hold the calibration."
    )
    return 1 if differences or calibration.problems() else 0


def _apply(dialogue: Dialogue, port: str, calibration: Calibration, yes: bool) -> int:
    _expect_plausible(calibration)
    with ServoBus(port) as bus:
        differences = servo_calibration.verify(bus, calibration)
        dialogue.say("\n".join(map(str, differences)) or "The servos hold the calibration already.")
        question = "The motors go limp: hold the arm. Write the expected values to the servos?"
        if differences and not yes and not dialogue.confirm(question):
            return 1
        if differences:
            servo_calibration.apply(bus, calibration)
            dialogue.say("Written.")
    return 0


def _import(dialogue: Dialogue, source: Path, path: Path, chosen: argparse.Namespace) -> int:
    calibration = replace(files.load(source), role=chosen.role, port=chosen.port or "", written=_now())
    dialogue.say("\n".join([f"{source}:", *table(calibration)]))
    _expect_plausible(calibration)
    if not _may_replace(dialogue, path, chosen.yes):
        return 1
    files.save(calibration, path)
    dialogue.say(f"Imported: {path}. `hilrl calibrate --role {chosen.role} --verify` asks the servos.")
    return 0


def _export(dialogue: Dialogue, path: Path, target: Path, yes: bool) -> int:
    if target.suffix != ".json":
        raise ValueError(f"--export: expected a name that ends in .json, got {target}")
    calibration = files.load(path)
    if not _may_replace(dialogue, target, yes):
        return 1
    files.save(calibration, target)
    dialogue.say(f"Exported: {target}")
    return 0


def table(calibration: Calibration) -> list[str]:
    """What a person checks before it is kept."""
    lines = ["joint           id  offset       range      limits [deg]"]
    limits = np.degrees([calibration.lower_rad, calibration.upper_rad]).T
    for (name, joint), (lower, upper) in zip(calibration.joints.items(), limits, strict=True):
        span = f"{joint.range_min}..{joint.range_max}"
        line = f"{name:<14} {joint.servo_id:>3} {joint.homing_offset:>7}  {span:>10}  "
        line += f"{lower:>7.1f} ..{upper:>6.1f}"
        lines.append(line + "  reversed" * joint.reversed + "  drive mode 1" * joint.drive_mode)
    return lines


def _expect_plausible(calibration: Calibration) -> None:
    if problems := calibration.problems():
        raise ValueError("; ".join(problems))


def _may_replace(dialogue: Dialogue, path: Path, yes: bool) -> bool:
    return yes or not path.expanduser().exists() or dialogue.confirm(f"Replace {path}?")


def _expect_writable(path: Path) -> None:
    """Raises ValueError before the person begins, instead of when the work is done."""
    folder = path.expanduser().absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise ValueError(f"--file: expected a place to write to, got {path}; {folder} cannot be written")


def _now() -> str:
    return datetime.now(UTC).isoformat(" ", "seconds")
