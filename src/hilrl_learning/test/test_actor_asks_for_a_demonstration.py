"""An operator that did not hear of a demonstration is told of it again; waiting for it is no step."""

import pytest
from learner_peer import LearnerSide, spinning
from learning_processes import Processes, wait_until

from hilrl_interfaces.msg import EeAction, StepAck


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def test_a_demonstration_is_asked_for_until_it_begins(processes):
    with spinning(LearnerSide, int(processes.environment["ROS_DOMAIN_ID"])) as learner:
        learner.phase, learner.speaks = StepAck.PHASE_DEMONSTRATIONS, True
        processes.actor()
        processes.arm("--deaf-to", "3")
        steps = learner.wait_for_steps(3)
        assert [step.index for step in steps] == [0, 1, 2]
        assert {step.action.source for step in steps} == {EeAction.SOURCE_DEMONSTRATION}
        begun = [episode for episode in learner.episodes if episode.episode == steps[0].episode]
        assert len(begun) >= 3 and not any(episode.finished for episode in begun[:3])
        wait_until(lambda: any(episode.finished for episode in learner.episodes), what="its end")
