"""An arm that cannot be reset by magic: it goes home between episodes, and the actor waits until it is there.

The real controller and the simulated arm, both in real time as a real arm is.
"""

from itertools import pairwise

import numpy as np
import pytest
from learner_peer import LearnerSide, policy_payload, spinning
from learning_processes import NAMESPACE, SIZE, Processes, wait_until
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from hilrl_interfaces.msg import EeState, StepAck
from hilrl_learning.scene_reset import AT_HOME

pytestmark = pytest.mark.timeout(180)

EPISODES = 3
HOME = np.array([0.0, -0.4827, 0.166, 1.638, 0.0, 0.9])
"""The controller's default."""
ALL = QoSProfile(reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_ALL)
"""No status is pushed out by later ones, however long the test stands still."""


def start(processes, module, name, remappings=(), **parameters):
    remapped = [word for rule in remappings for word in ("-r", rule)]
    command = ["-c", f"from {module} import main; main()", "--ros-args", *remapped, "--"]
    return processes.start(command, name, parameters, NAMESPACE)


@pytest.fixture
def processes(tmp_path):
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


def test_every_episode_begins_at_home_and_none_before_the_arm_is_there(processes):
    statuses = []
    with spinning(LearnerSide, int(processes.environment["ROS_DOMAIN_ID"])) as learner:
        learner.create_subscription(
            EeState, f"{NAMESPACE}/ee_state", lambda m: statuses.append(m.status), ALL
        )
        crops = [f"camera/{name}/image_raw:=camera/{name}/image_crop" for name in ("front", "wrist")]
        start(processes, "hilrl_sim.sim_node", "sim", crops, lockstep=False, image_size=SIZE)
        start(
            processes,
            "hilrl_control.ee_controller_node",
            "ee_controller",
            lockstep=False,
            use_sim_time=True,
            home_speed=2.0,
        )
        # No mux: what the policy says is executed as it is.
        start(
            processes,
            "hilrl_learning.actor_node",
            "actor",
            ["policy_action:=action"],
            run_dir=str(processes.run_dir),
            image_size=SIZE,
            lockstep=False,
            sim_reset=False,
            max_age_s=1.0,
            max_episode_steps=15,
        )
        learner.phase, learner.speaks = StepAck.PHASE_TRAINING, True
        learner.publish_policy(1, policy_payload())
        wait_until(lambda: sum(e.finished for e in learner.episodes) >= EPISODES, 150, f"{EPISODES} episodes")
        with learner.lock:
            steps = [learner.steps[n] for n in sorted(learner.steps)]
    firsts = [np.array(step.observation.state[:6]) for step in steps if step.index == 0]
    assert len(firsts) >= EPISODES
    for first in firsts:
        assert np.abs(first - HOME).max() < 0.15, first
    lasts = [step.final_observation[0].state[:6] for step in steps if step.final_observation]
    assert max(np.abs(np.array(last) - HOME).max() for last in lasts) > 0.15, "they did go away from home"
    assert statuses.count("going home") and statuses.count(AT_HOME)
    before_moving = {a for a, b in pairwise(statuses) if a != b and b == "following actions"}
    assert AT_HOME in before_moving and "going home" not in before_moving
