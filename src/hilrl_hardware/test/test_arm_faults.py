"""The arm amid every fault of its bus, examined by what the emulated servos recorded."""

from arm_witness import examine
from faulted_arm import LINE, SPELLS_S, live_through

EXCHANGES = 2000


def test_amid_all_faults_and_mad_commands_poses_are_true_and_goals_bounded(tmp_path):
    story = live_through(tmp_path, EXCHANGES, seed=1)
    findings = examine(story)
    assert not findings.violations, str(findings)
    assert story.exchanges >= EXCHANGES
    assert findings.moved > 50 and findings.torque_on >= 6
    assert set(story.struck) >= {*LINE, *SPELLS_S} - {"calm"}
