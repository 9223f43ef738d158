"""Run every package's tests and end with one line of totals. Called by `make test` in the built workspace."""

import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ("build/*/pytest.xml", "build/*/test_results/**/*.xml")
COLCON = ["--log-base", "log", "test", "--base-paths", "src", "--executor", "sequential"]
COLCON += ["--return-code-on-test-failure", "--python-testing", "pytest"]
COLCON += ["--event-handlers", "console_direct+", "desktop_notification-", "status-"]


def result_files() -> list[Path]:
    """JUnit files in the build folder."""
    return [path for pattern in RESULTS for path in ROOT.glob(pattern)]


def count(path: Path) -> Counter[str]:
    """Outcomes in a JUnit file; a test that fails and errs in its tear-down counts once."""
    outcomes: Counter[str] = Counter()
    for case in ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            outcomes["failed"] += 1
        elif "skipped" in kinds:
            outcomes["skipped"] += 1
        else:
            outcomes["passed"] += 1
    return outcomes


def main() -> int:
    """Exit status: 0 where at least one test ran and none failed."""
    for stale in result_files():
        stale.unlink()
    # A domain of its own: suites run side by side on one machine, and never reach a robot in use.
    environment = {**os.environ, "ROS_DOMAIN_ID": str(random.SystemRandom().randint(1, 101))}
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    colcon = subprocess.check_output(["sh", "-c", "command -v colcon"], text=True).strip()
    command = [sys.executable, colcon, *COLCON, *sys.argv[1:]]
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    outcomes = sum((count(path) for path in result_files()), Counter())
    print(
        f"{outcomes['passed']} passed, {outcomes['failed']} failed, {outcomes['skipped']} skipped", flush=True
    )
    return int(status != 0 or outcomes["failed"] > 0 or outcomes["passed"] == 0)


if __name__ == "__main__":
    sys.exit(main())
