"""`bus_emulator`: an SO-101 on a pseudo-terminal."""

import argparse
import json
import signal
import sys
from contextlib import closing
from pathlib import Path

from hilrl_hardware.emulator.arm import ARMS, arm, loose_servos
from hilrl_hardware.emulator.control import Control
from hilrl_hardware.emulator.faults import Faults
from hilrl_hardware.emulator.line import Line
from hilrl_hardware.emulator.protection import Supply
from hilrl_hardware.emulator.recording import Recorder
from hilrl_hardware.emulator.responder import Responder
from hilrl_hardware.emulator.server import Server

PORT = "bus"
"""Name of the link to the pseudo-terminal, in the folder."""
TURNAROUND_S = 50e-6


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    options = argparse.ArgumentParser(prog="bus_emulator", description=__doc__)
    add = options.add_argument
    add("--folder", type=Path, required=True, help=f"where the port appears, as '{PORT}'")
    add("--role", choices=ARMS, help="an arm of six servos")
    add("--servos", type=json.loads, default=[], help='JSON list of single servos, e.g. [{"id": 1}]')
    add("--uncalibrated", action="store_true", help="the arm has no offsets and no limits yet")
    add("--weightless", action="store_true", help="the arm has no gravity")
    add("--record", type=Path, help="file for every position sent and every write received")
    add("--seed", type=int, default=0, help="of the faults")
    add("--voltage-v", type=float, default=7.4, help="of the supply")
    add("--ambient-c", type=float, default=30.0, help="temperature of a servo at rest")
    add("--heating", type=float, default=1.0, help="how much faster than real the motors heat up")
    add("--torque-at-power-up", action="store_true", help="servos hold their place without being told")
    add("--turnaround-s", type=float, default=TURNAROUND_S, help="of each servo, before it replies")
    add("--no-wire-time", action="store_true", help="replies come at once")
    add("--control", action="store_true", help="take commands on stdin, JSON lines, and end with it")
    return options


def main() -> None:
    """Run until a signal, or until the control channel ends."""
    options = parser().parse_args()
    supply = Supply(options.voltage_v, options.ambient_c, options.heating, options.torque_at_power_up)
    servos = loose_servos(options.servos, supply)
    if options.role:
        servos += arm(options.role, not options.uncalibrated, not options.weightless, supply)
    faults = Faults(options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(options.record) if options.record else None
    line = Line(options.folder / PORT, options.turnaround_s, not options.no_wire_time)
    control = Control(servos, faults, line, recorder)
    server = Server(line, Responder(servos, faults, recorder), faults, control)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    # Ctrl-C in a terminal is meant for the client, whose end is the end of the channel.
    signal.signal(signal.SIGINT, signal.SIG_IGN if options.control else lambda *_: server.stop())
    print(json.dumps({"port": str(options.folder / PORT)}), flush=True)
    with closing(line):
        server.run(sys.stdin.fileno() if options.control else None, lambda text: print(text, flush=True))
    if recorder:
        recorder.close()


if __name__ == "__main__":
    main()
