"""`hilrl doctor`: what is wrong with this machine and with the running graph, and what to do about it."""

import argparse
import os
from pathlib import Path

from hilrl import doctor_machine
from hilrl.findings import Finding, note, wrong, wrongs
from hilrl.run_folder import RunFolder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `hilrl doctor`."""
    parser.description = (
        "Look at this machine, and at the newest run that is up on it, or at the ROS domain that "
        "ROS_DOMAIN_ID names: in words, what is wrong and what to do. The exit status is 1 where something "
        "is."
    )
    parser.add_argument("--machine", action="store_true", help="leave the graph alone")
    parser.add_argument("--graph", action="store_true", help="leave the machine alone")


def run(chosen: argparse.Namespace) -> int:
    """The exit status."""
    memory = doctor_machine.shared_memory()
    if wrongs([memory]):
        _show("this machine", [memory])
        print("\nNothing else was looked at: the kernel would kill every process that loads ROS.")
        return 1
    # Not before: this process loads ROS with it.
    from hilrl import doctor_devices
    from hilrl.session import attach

    folder = attach()
    findings: list[Finding] = []
    if not chosen.graph:
        uses_gpu = _option(folder, "device") == "cuda"
        machine = doctor_machine.look(Path.cwd(), uses_gpu)
        findings += _show("this machine", [*machine, *doctor_devices.look()])
    if not chosen.machine:
        findings += _show(_title(folder), _graph(folder))
    bad = len(wrongs(findings))
    print(f"\n{bad} wrong." if bad else "\nNothing is wrong.")
    return 1 if bad else 0


def _graph(folder: RunFolder | None) -> list[Finding]:
    from hilrl import doctor_graph, doctor_rules
    from hilrl.graph_client import connected

    with connected() as client:
        view = doctor_graph.look(client, folder)
    if not view.nodes:
        if folder is not None:
            return [
                wrong(f"run {folder.name} is up, none of its nodes is found", f"see the logs in {folder.log}")
            ]
        return [note("no graph runs", "start one with `hilrl up`")]
    return doctor_rules.judge(view)


def _title(folder: RunFolder | None) -> str:
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    return f"\nthe graph in ROS domain {domain}" + (f", run {folder.path}" if folder else "")


def _option(folder: RunFolder | None, name: str) -> object:
    """Of the run; None where there is none, or its configuration is another kind's."""
    if folder is None or not folder.config.exists():
        return None
    return folder.load().options.get(name)


def _show(title: str, findings: list[Finding]) -> list[Finding]:
    print(title)
    for finding in findings:
        print(finding)
    return findings
