"""A robot at 10 Hz and its learner on two machines, over a link that is slow, loses packets and breaks.

    . .venv/ros.sh && python bench/link.py [--loss 0.01] [--cut-s 30] [--profile config/dds/lossy_link.xml]

Both machines are network namespaces of this one with a cable in user space between them (root, /dev/net/tun).
Two cameras of 128x128, 100 kB a step, 1 MB/s. The link is used, cut, healed; then the learner is killed and
started again. Every step must be in the learner's replay once, with the action that the arm executed.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src" / "hilrl_learning" / "test"))

from boxes import Cable, two_boxes  # noqa: E402
from learning_processes import wait_until  # noqa: E402
from linked_run import LinkedRun  # noqa: E402

from hilrl_learning.trainer import Phase  # noqa: E402

SIZE_PX, PERIOD_S = 128, 0.1
PATIENCE_S = 240.0


class Report:
    """Prints what changed over a stretch of the run."""

    def __init__(self, run: LinkedRun) -> None:
        self._run = run
        print(f"{'':<34}{'time [s]':>9}{'made/s':>9}{'stored/s':>10}{'behind':>8}{'version':>9}")

    def during(self, what: str, wait: Callable[[], object]) -> None:
        """One line about the time that `wait` takes."""
        run = self._run
        start_s, made, stored = time.monotonic(), run.moves(), run.stored()
        wait()
        taken_s = time.monotonic() - start_s
        made, stored = run.moves() - made, run.stored() - stored
        behind = run.moves() - run.stored()
        rates = f"{taken_s:>9.1f}{made / taken_s:>9.1f}{stored / taken_s:>10.1f}"
        print(f"{what:<34}{rates}{behind:>8}{run.version():>9}", flush=True)


def measure(run: LinkedRun, cable: Cable, cut_s: float, learner_timeout_s: float) -> None:
    def caught_up() -> None:
        wait_until(lambda: run.moves() - run.stored() < 25, PATIENCE_S, "the learner to catch up")

    def next_version() -> None:
        version = run.newest("policy_version")
        wait_until(lambda: run.version() >= version, PATIENCE_S, "the newest weights at the arm")

    wait_until(lambda: run.newest("phase") == Phase.TRAINING, PATIENCE_S, "training")
    report = Report(run)
    report.during("link up", lambda: time.sleep(30.0))
    cable.cut()
    if cut_s > learner_timeout_s:
        report.during("cut, until the actor parks", lambda: time.sleep(learner_timeout_s + 1.0))
        report.during("cut, parked", lambda: time.sleep(cut_s - learner_timeout_s - 1.0))
    else:
        report.during("cut", lambda: time.sleep(cut_s))
    cable.heal()
    report.during("healed, until weights arrive", next_version)
    report.during("healed, until caught up", caught_up)
    run.learner.send_signal(signal.SIGKILL)
    run.learner.wait()
    report.during("learner killed, and away", lambda: time.sleep(5.0))
    run.start_learner()
    report.during("learner again, until caught up", lambda: (time.sleep(10.0), caught_up()))
    account, bytes_over = run.settle(), cable.unplug()
    print(
        f"\n{account}\nover the link: {bytes_over[1] / 1e6:.0f} MB there, {bytes_over[0] / 1e6:.0f} MB back"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--delay-s", type=float, default=0.02, help="each way")
    parser.add_argument("--loss", type=float, default=0.01, help="share of packets, each way")
    parser.add_argument("--cut-s", type=float, default=30.0)
    parser.add_argument("--learner-timeout-s", type=float, default=60.0, help="the actor parks after so long")
    parser.add_argument("--profile", type=Path, default=ROOT / "config" / "dds" / "lossy_link.xml")
    arguments = parser.parse_args()
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(arguments.profile.absolute())
    link = ("--delay-s", str(arguments.delay_s), "--loss", str(arguments.loss))
    print(
        f"{arguments.profile.stem}; {1e3 * arguments.delay_s:g} ms and {arguments.loss:.1%} of packets lost "
        f"each way; cut for {arguments.cut_s:g} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    with tempfile.TemporaryDirectory() as folder, two_boxes(*link) as (robot, learner, cable):
        timeout_s = arguments.learner_timeout_s
        run = LinkedRun(Path(folder), robot, learner, SIZE_PX, PERIOD_S, timeout_s)
        try:
            measure(run, cable, arguments.cut_s, timeout_s)
        finally:
            run.processes.stop()


if __name__ == "__main__":
    main()
