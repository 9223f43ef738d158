"""A real learner process, with steps that the test sends over DDS.

The tests follow one life of a learner, in order; each begins where the one before left off.
"""

import json
import signal

import numpy as np
import pytest
from learner_peer import SPEC, ActorSide, spinning
from learning_processes import Processes, wait_until
from rcl_interfaces.srv import DescribeParameters
from std_srvs.srv import SetBool, Trigger

from hilrl_interfaces.msg import StepAck
from hilrl_learning.data import Action, Observation, Source, Step
from hilrl_learning.learner_node import lock
from hilrl_learning.messages import step_to_message
from hilrl_learning.policy import load_policy
from hilrl_learning.weights import sha256

pytestmark = pytest.mark.timeout(300)


def a_step(
    sequence: int, actor_id: str = "arm", source: Source = Source.DEMONSTRATION, length: int = 5
) -> Step:
    """Step number `sequence` of an actor whose episodes all take `length` steps and succeed."""
    generator = np.random.default_rng(sequence)

    def observation() -> Observation:
        images = generator.integers(0, 256, (2, *SPEC.image_size, 3), dtype=np.uint8)
        return Observation(sequence, generator.normal(size=19).astype(np.float32), images)

    last = sequence % length == 0
    return Step(
        actor_id=actor_id,
        sequence=sequence,
        episode=1 + (sequence - 1) // length,
        index=(sequence - 1) % length,
        observation=observation(),
        action=Action(generator.uniform(-1, 1, 5).astype(np.float32), source=Source.DEMONSTRATION),
        reward=float(last),
        terminated=last,
        final_observation=observation() if last else None,
    )


class World:
    """The learner process, and the test's own node."""

    def __init__(self, processes: Processes, actor: ActorSide) -> None:
        self.processes = processes
        self.actor = actor
        self.learner = processes.learner()

    def send(self, *sequences: int, actor_id: str = "arm", **changes) -> None:
        for sequence in sequences:
            message = step_to_message(a_step(sequence, actor_id), SPEC, "base_link")
            for name, value in changes.items():
                setattr(message, name, value)
            self.actor.steps.publish(message)

    def wait_for_ack(self, sequence: int, actor_id: str = "arm") -> None:
        wait_until(
            lambda: self.actor.acknowledged(actor_id) == sequence,
            what=f"acknowledgement of {sequence}, it is {self.actor.acknowledged(actor_id)}",
        )

    def wait_for_phase(self, phase: int) -> None:
        wait_until(lambda: self.actor.acks and self.actor.acks[-1].phase == phase, what=f"phase {phase}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    processes = Processes(tmp_path_factory.mktemp("learner"))
    with spinning(ActorSide, int(processes.environment["ROS_DOMAIN_ID"])) as actor:
        try:
            world = World(processes, actor)
            wait_until(lambda: actor.acks and actor.steps.get_subscription_count(), what="a heartbeat")
            yield world
        finally:
            processes.stop()


def test_heartbeat_says_what_the_learner_waits_for(world):
    ack = world.actor.acks[-1]
    assert (ack.phase, ack.demonstrations, ack.demonstrations_wanted) == (StepAck.PHASE_DEMONSTRATIONS, 0, 2)
    assert (ack.policy_version, list(ack.actor_ids)) == (0, [])
    assert not world.actor.call(Trigger, "/learner/request_policy", Trigger.Request()).success


def test_only_an_unbroken_sequence_is_acknowledged(world):
    """Invariant 6. What is lacking is asked for with the next receipt, and no longer than it is."""
    world.send(1, 2, 5, 2)
    world.wait_for_ack(2)
    wait_until(lambda: list(world.actor.acks[-1].lacking) == [2], what="3 and 4 to be asked for")
    world.send(3, 4)
    world.wait_for_ack(5)
    wait_until(lambda: list(world.actor.acks[-1].lacking) == [0], what="nothing to be asked for")


def test_actors_are_acknowledged_apart(world):
    world.send(1, 2, actor_id="second")
    world.wait_for_ack(2, "second")
    assert world.actor.acknowledged("arm") == 5


def test_malformed_steps_are_named_and_the_learner_lives_on(world):
    """Invariant 13."""
    world.send(6, reward=float("nan"))
    wait_until(lambda: "step 6 of 'arm' refused: reward: " in world.processes.output("learner"))
    world.send(6)
    world.wait_for_ack(6)


def test_a_second_learner_is_refused(world):
    """Exactly one publisher of weights."""
    elsewhere = str(world.processes.folder / "elsewhere")
    command = ["-c", "from hilrl_learning.learner_node import main; main()"]
    second = world.processes.start(command, "second", {"run_dir": elsewhere})
    assert second.wait(timeout=60) == 2
    assert "error: /learner: expected to be the only one that takes steps" in world.processes.output("second")
    assert world.learner.poll() is None


def test_a_second_learner_in_the_same_folder_is_refused(world):
    """Also where DDS does not show it."""
    with pytest.raises(ValueError, match="expected to be the only learner that writes here"):
        lock(world.processes.run_dir)


def test_weights_are_latched_checked_and_usable(world):
    """Invariant 8."""
    world.send(*range(7, 11))
    world.wait_for_phase(StepAck.PHASE_TRAINING)
    wait_until(lambda: world.actor.policies, what="weights")
    weights = world.actor.policies[-1]
    payload = weights.data.tobytes()
    assert weights.sha256.tobytes() == sha256(payload) and weights.algorithm == "sac"
    assert np.isfinite(load_policy(payload, weights.version).act(a_step(1).observation, True).delta).all()
    before = len(world.actor.policies)
    assert world.actor.call(Trigger, "/learner/request_policy", Trigger.Request()).success
    wait_until(lambda: len(world.actor.policies) > before, what="the weights again")
    domain = int(world.processes.environment["ROS_DOMAIN_ID"])
    with spinning(ActorSide, domain) as late:
        wait_until(lambda: late.policies, what="the latched weights")
        assert late.policies[0].version >= weights.version


def test_metrics_are_published_and_written(world):

    def of_training() -> list:
        return [message for message in world.actor.metrics if "critic_loss" in message.names]

    wait_until(of_training, what="metrics of training")
    message = of_training()[0]
    assert message.env_steps == 12 and message.time_left_s == -1.0 and message.critic_updates > 0
    assert len(message.names) == len(message.values)

    def written() -> list[dict]:
        lines = (world.processes.run_dir / "metrics.jsonl").read_text().split("\n")[:-1]
        return [record for record in map(json.loads, lines) if "critic_loss" in record]

    wait_until(written, what="the same in the file")  # published first: a full disk does not keep it back
    assert written()[0]["critic_updates"] == message.critic_updates


def test_a_paused_learner_stores_and_does_not_train(world):
    assert world.actor.call(SetBool, "/learner/pause", SetBool.Request(data=True)).success
    world.actor.metrics.clear()
    # The interval in which it was paused is told of first.
    wait_until(
        lambda: world.actor.metrics and world.actor.metrics[-1].updates_per_s == 0.0, what="no updates"
    )
    world.actor.metrics.clear()
    world.send(*range(11, 16))
    world.wait_for_ack(15)
    wait_until(lambda: len(world.actor.metrics) >= 2)
    assert world.actor.metrics[-1].updates_per_s == 0.0
    world.actor.metrics.clear()
    assert world.actor.call(SetBool, "/learner/pause", SetBool.Request(data=False)).success
    # It may soon have done all that these few steps allow.
    wait_until(lambda: any(m.updates_per_s > 0.0 for m in list(world.actor.metrics)), what="updates again")


def test_a_checkpoint_is_written_when_asked_for(world):
    busy = True
    while busy:
        response = world.actor.call(Trigger, "/learner/save_checkpoint", Trigger.Request())
        busy = "still busy" in response.message
    assert response.success and response.message.startswith(str(world.processes.run_dir / "checkpoints"))


def test_training_parameters_are_read_only_and_described(world):
    """Invariant 11."""
    request = DescribeParameters.Request(names=["batch", "sac.learning_rate", "duration_s"])
    described = world.actor.call(DescribeParameters, "/learner/describe_parameters", request).descriptors
    assert all(descriptor.read_only and descriptor.description for descriptor in described)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_or_killed_learner_goes_on_where_it_was(world, how):
    """Invariants 6 and 7: nothing acknowledged is ever lost."""
    acknowledged = world.actor.acknowledged("arm")
    version = world.actor.acks[-1].policy_version
    world.learner.send_signal(how)
    code = world.learner.wait(timeout=10)
    if how is not signal.SIGKILL:
        assert code == 0, world.processes.output("learner")
    world.actor.acks.clear()
    world.actor.policies.clear()
    world.learner = world.processes.learner()
    steps = world.actor.steps
    wait_until(lambda: world.actor.acks and steps.get_subscription_count(), what="a heartbeat")
    assert world.actor.acknowledged("arm") == acknowledged
    assert world.actor.acks[-1].phase == StepAck.PHASE_TRAINING
    wait_until(lambda: world.actor.policies, what="weights")
    if how is not signal.SIGKILL:
        assert world.actor.policies[0].version > version
    # A killed one still counts as a subscriber. Whose answer comes is alive, and this service of its is
    # younger than its subscription, as the client is younger than the publisher: both know each other.
    world.actor.call(Trigger, "/learner/request_policy", Trigger.Request())
    world.send(acknowledged, acknowledged + 1)
    world.wait_for_ack(acknowledged + 1)
