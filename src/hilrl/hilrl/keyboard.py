"""`hilrl keyboard`: take over from the policy in this terminal, also over SSH."""

import argparse
import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory

from hilrl.nodes import KEYBOARD
from hilrl.session import attach
from hilrl.supervisor import executable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `hilrl keyboard`."""
    parser.description = (
        "Drive the arm of the newest run on this machine, or of the ROS domain that ROS_DOMAIN_ID names, and "
        "say how episodes end. The terminal tells which key does what."
    )
    parser.add_argument(
        "--dataset", type=Path, help="of `hilrl up record`, to show there what is to be recorded"
    )
    parser.add_argument(
        "--keys-from",
        help="terminal, auto (the keyboard that is plugged into this machine) or its path, such as "
        "/dev/input/by-id/...-event-kbd; default: what config/teleop.yaml says, else the terminal",
    )
    parser.add_argument("--robot", default="so101", help="its name; default: %(default)s")


def run(chosen: argparse.Namespace) -> int:
    """Become the node: the terminal is its own."""
    if chosen.dataset:
        from hilrl_learning.lerobot.dataset_files import RECORDING

        attach(chosen.dataset / RECORDING)
    else:
        attach()
    program = executable(KEYBOARD)
    settings = Path(get_package_share_directory("hilrl")) / "config" / "teleop.yaml"
    names = ["-r", f"__ns:=/{chosen.robot.strip('/')}"]
    # After the file: what was asked for here counts.
    keys = ["-p", f"keys_from:='{chosen.keys_from}'"] if chosen.keys_from else []
    os.execv(program, [str(program), "--ros-args", *names, "--params-file", str(settings), *keys])
