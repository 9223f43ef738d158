"""Serial boards, cameras and calibrations of a machine with real arms."""

import os
from pathlib import Path

from hilrl.findings import Finding, note, well, wrong
from hilrl_hardware.calibration_files import default_path

DEV = Path("/dev")
ROLES = ("follower", "leader")


def look(dev: Path = DEV) -> list[Finding]:
    """All there is to say; a machine without boards and cameras is one for simulation."""
    return [*serial_ports(dev), *calibrations(dev), *cameras(dev)]


def serial_ports(dev: Path) -> list[Finding]:
    """Whether this user may use the arms' boards."""
    named = [path for role in ROLES if (path := dev / f"so101_{role}").exists()]
    boards = sorted([*dev.glob("ttyACM*"), *dev.glob("ttyUSB*")])
    if not boards and not named:
        return [note("no serial board is plugged in", "simulation and emulated arms need none")]
    found = [_usable(path, "dialout") for path in (named or boards)]
    if not named:
        found.append(
            note(
                f"{', '.join(map(str, boards))} has no fixed name: the next plugging in may change it",
                "copy config/99-so101.rules to /etc/udev/rules.d, as docs/hardware.md says",
            )
        )
    return found


def calibrations(dev: Path) -> list[Finding]:
    """Of the arms that are plugged in."""
    found = []
    for role in ROLES:
        path = default_path(role)
        if path.exists():
            found.append(well(f"the {role} is calibrated: {path}"))
        elif (dev / f"so101_{role}").exists():
            found.append(
                wrong(f"the {role} is plugged in, {path} does not exist", f"`hilrl calibrate --role {role}`")
            )
    return found


def cameras(dev: Path) -> list[Finding]:
    """Whether this user may use them."""
    devices = sorted(dev.glob("video*"))
    if not devices:
        return [note("no camera is plugged in", "simulation needs none")]
    return [_usable(path, "video") for path in devices]


def _usable(path: Path, group: str) -> Finding:
    if os.access(path, os.R_OK | os.W_OK):
        return well(f"{path} can be used")
    return wrong(
        f"{path} cannot be used by this user", f"`sudo usermod -aG {group} $USER`, then log in again"
    )
