"""The arm's driver amid faults: 100,000 exchanges on a bus where everything goes wrong, then the reckoning.

    . .venv/ros.sh && python bench/arm_faults.py [--exchanges 100000] [--seed 0]

The driver runs in this process, the servos in one of their own. Faults of the line strike at random all the
time; on top, one after the other: late replies (5 to 95 ms), a servo that is absent, overloaded, hot, blocked
or restarts, the board unplugged. Commands come meanwhile, one in fifteen of them mad, and torque is asked for
again when it is gone. Afterwards all that was published and written is held against what each servo recorded.
Exits with 1 where anything was violated.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import arm_world

sys.path.insert(0, str(arm_world.TESTS))

from arm_witness import Findings, examine
from faulted_arm import Story, live_through


def show(story: Story, findings: Findings) -> None:
    """All counts."""
    published = (
        f"{findings.published:,} of {len(story.cycles):,} cycles; {findings.moved:,} differ from the last"
    )
    rows = {
        "duration": f"{story.duration_s:.0f} s",
        "exchanges": f"{story.exchanges:,}",
        "poses published": published,
        "poses not believed": f"{story.refused:,}",
        "goals sent": f"{findings.goals_sent:,}; {findings.restarts:,} a jump to the measured pose",
        "goals that reached a servo": f"{findings.goals_received:,}",
        "goals outside, where a joint was": f"{findings.outside:,}",
        "age of such a pose, at most": f"{1e3 * findings.oldest_pose_s:.0f} ms",
        "torque on, per servo": f"{findings.torque_on:,}",
        "from a goal to its torque, longest": f"{1e3 * findings.longest_wait_s:.0f} ms",
        "fastest goals, of their bound": f"{findings.largest_share:.1%}",
    }
    for title, value in rows.items():
        print(f"{title:<36}{value}")
    for title, counts in (
        ("Faults that struck", story.struck),
        ("Commands", story.commands),
        ("What the driver said, by its first words", story.reports),
    ):
        print(f"\n{title}")
        for kind, count in counts.most_common():
            print(f"  {count:>8,}  {kind}")
    print(f"\nViolations: {sum(map(len, findings.violations.values()))}")
    if findings.violations:
        print(f"largest error of a published position: {findings.largest_error} ticks\n{findings}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--exchanges", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(arm_world.machine(), end="\n\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        story = live_through(Path(folder), arguments.exchanges, arguments.seed)
    findings = examine(story)
    show(story, findings)
    sys.exit(bool(findings.violations))


if __name__ == "__main__":
    main()
