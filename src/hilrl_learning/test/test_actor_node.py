"""A real actor between a stand-in arm and the learner's topics, all over DDS.

The tests follow one life of an actor, in order; each begins where the one before left off.
"""

import itertools
import math
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest
from learner_peer import SPEC, LearnerSide, policy_payload, spinning
from learning_processes import NAMESPACE, Processes, wait_until
from stand_in_arm import operator_delta
from std_srvs.srv import SetBool

from hilrl_interfaces.msg import EeAction, Episode, StepAck
from hilrl_interfaces.srv import LabelEpisode
from hilrl_learning.spool import Spool

pytestmark = pytest.mark.timeout(300)


class World:
    """The running processes, and the test's own node."""

    def __init__(self, processes: Processes, learner: LearnerSide) -> None:
        self.processes = processes
        self.learner = learner
        self.actor = processes.actor(learner_timeout_s=1.0)
        processes.arm()

    def executed(self) -> int:
        return max(self.processes.executed(), default=0)

    def stands_still(self, for_s: float = 0.7) -> bool:
        before = self.executed()
        time.sleep(for_s)
        return self.executed() == before

    def log_count(self, text: str) -> int:
        return self.processes.output("actor").count(text)

    def wait_for_log(self, text: str, count: int = 1) -> None:
        wait_until(lambda: self.log_count(text) >= count, what=f"{text!r} in the actor's log")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    processes = Processes(tmp_path_factory.mktemp("actor"))
    with spinning(LearnerSide, int(processes.environment["ROS_DOMAIN_ID"])) as learner:
        try:
            yield World(processes, learner)
        finally:
            processes.stop()


def tick_of(observation) -> int:
    """The number that the stand-in arm wrote into it; the same in the frames and the state."""
    red, green, blue = observation.images[0].data[:3]
    tick = red << 16 | green << 8 | blue
    assert tick == observation.state[0]
    return tick


def test_nothing_moves_before_the_learner_is_heard(world):
    world.wait_for_log("waiting for the learner's first heartbeat")
    assert world.stands_still() and not world.learner.steps


def test_while_demonstrations_are_wanted_the_actor_asks_for_them_and_stays_still_itself(world):
    """Invariant 2: what the mux executed is what is recorded, with its source."""
    world.learner.publish_policy(1, policy_payload())
    world.learner.speaks = True
    wait_until(lambda: world.learner.episodes, what="an episode")
    assert {episode.kind for episode in world.learner.episodes} == {Episode.KIND_DEMONSTRATION}
    world.learner.wait_for_steps(15)  # the arm may have been found too late to hear of the first episode
    for step in world.learner.wait_for_steps(5):
        assert step.action.source == EeAction.SOURCE_DEMONSTRATION and step.action.device == "operator"
        assert step.action.delta[0] == pytest.approx(operator_delta(tick_of(step.observation)))
        assert step.action.policy_version == 0


def test_while_the_learner_pretrains_the_actor_waits(world):
    world.learner.phase = StepAck.PHASE_PRETRAINING
    world.wait_for_log("waiting while the learner trains on the demonstrations")
    assert world.stands_still()


def test_in_training_steps_are_the_policys_and_the_operators(world):
    """Invariants 1, 2 and 8: observation, executed action, source and version belong together."""
    world.learner.phase = StepAck.PHASE_TRAINING
    steps = world.learner.wait_for_steps(30)
    executed = world.processes.executed()
    for step in steps:
        record = executed[tick_of(step.observation)]
        assert step.action.delta.tolist() == record["delta"]
        assert step.action.source == record["source"]
        assert step.action.policy_version == record["policy_version"]
        if step.action.source == EeAction.SOURCE_POLICY:
            assert step.action.policy_version == 1 and step.action.delta.any()
        assert step.trainable
    assert {step.action.source for step in steps} == {
        EeAction.SOURCE_POLICY,
        EeAction.SOURCE_INTERVENTION,
    }


def test_the_next_observation_is_that_of_the_next_step_or_the_final_one(world):
    """Invariants 4 and 5."""
    steps = world.learner.wait_for_steps(40)
    for step, following in itertools.pairwise(steps):
        tick = tick_of(step.observation)
        if step.terminated or step.truncated:
            assert [tick_of(final) for final in step.final_observation] == [tick + 1]
            assert following.episode == step.episode + 1 and following.index == 0
        else:
            assert not step.final_observation
            assert tick_of(following.observation) == tick + 1
            assert (following.episode, following.index) == (step.episode, step.index + 1)
    ends = [step for step in steps if step.terminated or step.truncated]
    assert {(end.terminated, end.reward) for end in ends} <= {(True, 1.0), (False, 0.0)}


def test_weights_that_may_not_be_used_leave_the_old_ones_in_place(world):
    """Invariant 8."""
    good = policy_payload()
    other_spec = policy_payload(spec=type(SPEC)(SPEC.state_names, ("front",), SPEC.image_size))
    for version, payload, checksum, reason in (
        (11, good, bytes(32), "sha256"),
        (12, good[:1000], None, "not a policy payload"),
        (13, policy_payload(scale=math.nan), None, "not finite"),
        (14, other_spec, None, "observation spec"),
    ):
        world.learner.publish_policy(version, payload, checksum)
        world.wait_for_log(f"policy version {version}: refused")
        steps = world.learner.wait_for_steps(10)
        versions = {s.action.policy_version for s in steps if s.action.source == EeAction.SOURCE_POLICY}
        assert versions == {1}
        line = next(
            line for line in world.processes.output("actor").splitlines() if f"version {version}:" in line
        )
        assert reason in line
    world.learner.publish_policy(15, policy_payload(seed=5))
    wait_until(lambda: world.learner.newest().action.policy_version == 15, what="the good weights")
    assert all(world.log_count(f"policy version {version}: refused") == 1 for version in (11, 12, 13, 14))


def test_weights_that_the_heartbeat_names_and_that_did_not_come_are_asked_for(world):
    """Invariant 8."""
    before = world.learner.policy_requests
    world.learner.version = 16
    wait_until(lambda: world.learner.policy_requests > before, what="a request for the policy")
    world.learner.publish_policy(16, policy_payload())
    wait_until(lambda: world.learner.newest().action.policy_version == 16, what="the asked-for weights")


def test_malformed_messages_are_named_and_change_nothing(world):
    """Invariant 13."""
    bad = EeAction()
    bad.delta[1] = math.nan
    publisher = world.learner.create_publisher(EeAction, f"{NAMESPACE}/action", 1)

    def was_named() -> bool:
        publisher.publish(bad)  # again and again: the arm's own actions push it out of a depth of one
        return world.log_count("ignored: action.delta: expected finite numbers") > 0

    wait_until(was_named, what="the malformed action in the log")
    world.learner.destroy_publisher(publisher)
    world.learner.wait_for_steps(10)  # some lost their executed action to the flood, and say so
    assert all(step.trainable for step in world.learner.wait_for_steps(20))


def test_a_paused_actor_ends_its_episode_and_goes_on_when_told(world):
    pause = f"{NAMESPACE}/actor/pause"
    assert world.learner.call(SetBool, pause, SetBool.Request(data=True)).success
    world.wait_for_log("paused by ~/pause")
    wait_until(world.stands_still, what="the arm to stand still")

    def ended() -> bool:
        last = world.learner.newest()
        return last.terminated or last.truncated

    wait_until(ended, what="the last step of the episode")
    assert world.learner.call(SetBool, pause, SetBool.Request(data=False)).success
    world.learner.wait_for_steps(5)


def test_a_label_ends_the_running_episode(world):
    request = LabelEpisode.Request(label=LabelEpisode.Request.FAILURE)
    before = len(world.learner.steps)
    label = f"{NAMESPACE}/actor/label"
    wait_until(
        lambda: world.learner.call_once(LabelEpisode, label, request).success, what="a running episode"
    )
    world.learner.wait_for_steps(12)
    later = [world.learner.steps[n] for n in sorted(world.learner.steps) if n > before]
    assert any(step.terminated and step.reward == 0.0 for step in later)


def test_a_silent_learner_is_spooled_for_then_the_actor_parks_and_nothing_is_lost(world):
    """Invariants 6 and 10."""
    parked = "parked: no word from the learner for 1 s"
    count = world.log_count(parked)  # a busy machine may have kept the learner silent before
    world.learner.wait_for_steps(1)
    world.learner.speaks = False
    before = world.executed()
    world.wait_for_log(parked, count + 1)
    wait_until(world.stands_still, what="the arm to stand still")
    assert world.executed() > before, "it went on while there was hope"
    made = max(world.learner.steps)
    world.learner.speaks = True
    wait_until(lambda: world.learner.received > made + 5, what="the spooled steps")
    wait_until(lambda: world.learner.received == max(world.learner.steps), what="steps without a gap")


def test_a_killed_actor_goes_on_with_its_numbers_its_spool_and_the_latched_weights(world):
    """Invariants 6 and 8.

    Whether the latch is quicker or the actor's own question is not the claim here.
    """
    safe = world.learner.acknowledges_at_most = world.learner.received
    world.learner.wait_for_steps(10)
    world.actor.send_signal(signal.SIGKILL)
    world.actor.wait()
    died = len(world.learner.arrivals)
    with closing(Spool(world.processes.run_dir / "spool" / "arm")) as spool:
        made = spool.last_sequence
    world.actor = world.processes.actor(learner_timeout_s=1.0)

    def sent_again() -> list[int]:
        """From the last beginning on: what came before the learner was discovered was lost."""
        since = world.learner.arrivals[died:]
        return since[-1 - since[::-1].index(safe + 1) :] if safe + 1 in since else []

    missing = list(range(safe + 1, made + 1))
    wait_until(lambda: sent_again()[: len(missing)] == missing, what="what had no receipt, again, in order")
    world.learner.acknowledges_at_most = None
    # What was on disk when it died came first, then a new episode.
    wait_until(lambda: world.learner.received >= made + 10, what="steps of its next life")
    steps = [world.learner.steps[n] for n in range(made + 1, made + 11)]
    assert steps[0].index == 0 and steps[0].episode > world.learner.steps[made].episode
    policys = [step for step in steps if step.action.source == EeAction.SOURCE_POLICY]
    assert {step.action.policy_version for step in policys} == {16}


def test_acknowledged_steps_leave_the_disk(world):
    world.learner.call(SetBool, f"{NAMESPACE}/actor/pause", SetBool.Request(data=True))
    spool = Path(world.processes.run_dir) / "spool" / "arm"
    wait_until(lambda: len(list(spool.glob("*.steps"))) == 1, what="one segment to be left")
    assert next(spool.glob("*.steps")).stat().st_size < 6 << 20
