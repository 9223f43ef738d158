"""An operator ends, vetoes, repeats and pauses episodes of a real actor, over DDS.

The tests follow one life of an actor, in order. An episode goes on until it is labelled, or until the file
is there that makes the stand-in arm succeed.
"""

import json
import signal
import threading
from contextlib import contextmanager

import pytest
from learner_peer import LearnerSide, Peer, policy_payload, spinning
from learning_processes import NAMESPACE, Processes, wait_until
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import SetBool, Trigger

from hilrl_interfaces.msg import Episode, Step, StepAck
from hilrl_interfaces.srv import LabelEpisode

pytestmark = pytest.mark.timeout(300)

SUCCESS, FAILURE, DISCARD, RESET, RERECORD = range(5)
ACTOR = f"{NAMESPACE}/actor"


class Helpers(Peer):
    """What puts things back before each scene, and who records."""

    def __init__(self, context):
        super().__init__("helpers", context)
        self.put_back_calls, self.dropped = 0, 0
        self.answers, self.succeeds = threading.Event(), True
        self.answers.set()
        self.create_service(Trigger, "/put_back", self._on_put_back)

    def _on_put_back(self, request, response):
        self.put_back_calls += 1
        self.answers.wait(60)
        response.success, response.message = self.succeeds, "the bin is out of reach"
        return response


class Recorder(Peer):
    def __init__(self, context):
        super().__init__("recorder", context)
        self.dropped = 0
        self.create_service(Trigger, f"{NAMESPACE}/recorder/drop_last", self._on_drop)

    def _on_drop(self, request, response):
        self.dropped += 1
        response.success, response.message = True, "3 episodes are left"
        return response


class World:
    def __init__(self, processes, learner, helpers, recorder):
        self.processes, self.learner = processes, learner
        self.helpers, self.recorder = helpers, recorder
        self.success = processes.folder / "success"
        self.start_actor()
        processes.arm("--succeed-while", str(self.success))
        learner.phase, learner.speaks = StepAck.PHASE_TRAINING, True
        learner.publish_policy(1, policy_payload())

    def start_actor(self):
        self.actor = self.processes.actor(
            max_episode_steps=1_000_000, reset_service="/put_back", reset_timeout_s=60.0, seed=3
        )

    def label(self, label):
        """Asked once: given again, a label would be of the next episode."""
        return self.learner.call_once(LabelEpisode, f"{ACTOR}/label", LabelEpisode.Request(label=label))

    def pause(self, paused):
        assert self.learner.call(SetBool, f"{ACTOR}/pause", SetBool.Request(data=paused)).success

    def set(self, name, value):
        value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        assert self.learner.call(SetParameters, f"{ACTOR}/set_parameters", request).results[0].successful

    def log_count(self, text):
        return self.processes.output("actor").count(text)

    def running(self):
        """Until an episode is under way; its number."""
        return self.learner.wait_for_steps(5)[-1].episode

    def ended(self, episode):
        """The last step and the message of an episode that has ended."""
        wait_until(lambda: self._finished(episode), what=f"the end of episode {episode}")
        wait_until(lambda: self._last(episode), what=f"the last step of episode {episode}")
        return self._last(episode), self._finished(episode)

    def _last(self, episode):
        with self.learner.lock:
            steps = [step for step in self.learner.steps.values() if step.episode == episode]
        return next((step for step in steps if step.terminated or step.truncated), None)

    def _finished(self, episode):
        found = [e for e in self.learner.episodes if e.episode == episode and e.finished]
        return found[0] if found else None

    def seed(self, episode):
        wait_until(
            lambda: any(e.episode == episode for e in self.learner.episodes), what=f"episode {episode}"
        )
        return {e.seed for e in self.learner.episodes if e.episode == episode}

    @contextmanager
    def between_two(self, label=FAILURE):
        """In the block the running episode has ended, and things are still being put back; its number."""
        episode, calls = self.running(), self.helpers.put_back_calls
        self.helpers.answers.clear()
        try:
            assert self.label(label).success
            wait_until(lambda: self.helpers.put_back_calls > calls, what="a call to put things back")
            self.ended(episode)  # heard of by another thread
            yield episode
        finally:
            self.helpers.answers.set()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    processes = Processes(tmp_path_factory.mktemp("control"))
    domain = int(processes.environment["ROS_DOMAIN_ID"])
    with (
        spinning(LearnerSide, domain) as learner,
        spinning(Helpers, domain) as helpers,
        spinning(Recorder, domain) as recorder,
    ):
        try:
            yield World(processes, learner, helpers, recorder)
        finally:
            helpers.answers.set()
            processes.stop()


@pytest.mark.parametrize(
    ("label", "on_the_step", "terminated"),
    [
        (FAILURE, Step.LABEL_FAILURE, True),
        (SUCCESS, Step.LABEL_SUCCESS, True),
        (DISCARD, Step.LABEL_DISCARD, False),
        (RESET, Step.LABEL_NONE, False),
    ],
)
def test_a_label_ends_the_running_episode(world, label, on_the_step, terminated):
    episode = world.running()
    assert world.label(label).success
    step, message = world.ended(episode)
    assert (step.label, step.terminated, step.trainable) == (on_the_step, terminated, terminated)
    assert step.reward == message.success == (label == SUCCESS)
    following = world.running()
    assert following == episode + 1 and world._last(following) is None, "it is for one episode only"
    assert world.seed(following) != world.seed(episode)


def test_rerecord_discards_and_does_the_same_scene_again(world):
    episode = world.running()
    assert world.label(RERECORD).success
    step, _ = world.ended(episode)
    assert step.label == Step.LABEL_DISCARD and not step.trainable
    assert world.running() == episode + 1
    assert world.seed(episode + 1) == world.seed(episode)
    assert world.recorder.dropped == 0, "by its own label"


def test_things_are_put_back_before_each_scene(world):
    with world.between_two() as episode:
        steps = max(world.learner.steps)
        refused = world.label(SUCCESS)
        assert not refused.success and "its scene is being prepared" in refused.message
        assert not world.label(9).success
        calls = world.helpers.put_back_calls
        assert world.label(RESET).success, "it is being set up already"
        assert world.helpers.put_back_calls == calls and max(world.learner.steps) == steps
    assert world.running() == episode + 1
    assert world._last(episode + 1) is None, "no label was kept for it"


def test_rerecord_between_two_has_the_finished_one_dropped(world):
    with world.between_two() as episode:
        answer = world.label(RERECORD)
        assert answer.success and answer.message == (
            f"episode {episode} is done once more; the recorder is asked to drop it"
        )
        assert not world.label(RERECORD).success
    assert world.running() == episode + 1
    assert world.seed(episode) <= world.seed(episode + 1)
    dropped = f"the recorder dropped episode {episode}: 3 episodes are left"
    wait_until(lambda: world.log_count(dropped) == 1, what=f"{dropped!r} in the actor's log")
    assert world.recorder.dropped == 1


def test_where_putting_back_fails_the_actor_says_so_and_goes_on(world):
    world.helpers.succeeds = False
    episode = world.running()
    assert world.label(FAILURE).success
    world.ended(episode)
    assert world.running() == episode + 1
    assert world.log_count("reset_service /put_back failed: the bin is out of reach; going on without") == 1
    world.helpers.succeeds = True
    world.set("reset_timeout_s", 0.3)
    with world.between_two() as episode:
        assert world.running() == episode + 1
    assert world.log_count("reset_service /put_back failed: no answer within 0.3 s") == 1
    world.set("reset_timeout_s", 60.0)


def test_while_paused_labels_are_refused_and_a_new_scene_follows(world):
    episode = world.running()
    world.pause(True)
    step, message = world.ended(episode)
    assert step.truncated and step.label == Step.LABEL_NONE and not message.success
    for label in range(5):
        refused = world.label(label)
        assert not refused.success and refused.message == "paused: go on first, then label"
    world.pause(False)
    assert world.running() == episode + 1 and world._last(episode + 1) is None


def test_a_pause_while_the_scene_is_prepared_waits_with_it(world):
    with world.between_two() as episode:
        world.pause(True)
    calls, steps = world.helpers.put_back_calls, max(world.learner.steps)
    wait_until(lambda: "paused" in world.processes.output("actor").splitlines()[-1], what="the pause")
    world.pause(False)
    assert world.running() == episode + 1
    assert world.learner.steps[steps + 1].index == 0 and world.helpers.put_back_calls == calls + 1


def hold(world):
    """The number of an episode whose success is held."""
    episode, count = world.running(), world.log_count("success, unless it is labelled FAILURE")
    world.success.touch()
    wait_until(lambda: world.log_count("success, unless it is labelled FAILURE") > count, what="a success")
    world.success.unlink()
    return episode


def test_a_success_can_be_taken_back_for_a_while(world):
    world.set("veto_s", 60.0)
    episode = hold(world)
    assert world._last(episode) is None and world._finished(episode) is None, "nothing is said yet"
    assert world.label(FAILURE).success
    step, message = world.ended(episode)
    assert (step.terminated, step.reward, step.label) == (True, 0.0, Step.LABEL_FAILURE)
    assert not message.success and message.episode_return == 0.0
    assert world.running() == episode + 1


def test_a_success_can_be_confirmed_or_confirms_itself(world):
    for label in (SUCCESS, None):
        episode = hold(world)
        if label is None:
            world.pause(True)
            world.pause(False)
        else:
            assert world.label(label).success
        step, message = world.ended(episode)
        expected = Step.LABEL_NONE if label is None else Step.LABEL_SUCCESS
        assert (step.terminated, step.reward, step.label) == (True, 1.0, expected)
        assert message.success
    world.set("veto_s", 0.5)
    episode = hold(world)
    step, message = world.ended(episode)
    assert (step.reward, step.label, message.success) == (1.0, Step.LABEL_NONE, True)


def test_an_actor_killed_with_a_success_in_hand_leaves_no_gap(world):
    """Invariant 6: a step that is held was never promised."""
    world.set("veto_s", 60.0)
    episode = hold(world)
    # The action that the arm executed last is of the step that is held.
    held = max(world.processes.executed())
    wait_until(lambda: world.learner.newest().observation.state[0] == held - 1, what="the step before it")
    made = max(world.learner.steps)
    world.actor.send_signal(signal.SIGKILL)
    world.actor.wait()
    world.start_actor()
    wait_until(lambda: world.learner.received >= made + 5, what="steps of its next life")
    assert world.learner.steps[made + 1].index == 0 and world.learner.steps[made + 1].episode == episode + 1
    wait_until(lambda: world.learner.received == max(world.learner.steps), what="steps without a gap")
    assert not any(e.finished for e in world.learner.episodes if e.episode == episode)


def test_every_episode_is_begun_before_it_is_finished_and_finished_once(world):
    finished = [e.episode for e in world.learner.episodes if e.finished]
    assert len(finished) == len(set(finished)) and finished == sorted(finished)
    assert {e.kind for e in world.learner.episodes} == {Episode.KIND_TRAINING}


def test_in_an_evaluation_an_episode_can_be_done_again_and_a_pause_costs_none(tmp_path):
    processes = Processes(tmp_path)
    policy = tmp_path / "policy.safetensors"
    policy.write_bytes(policy_payload())
    domain = int(processes.environment["ROS_DOMAIN_ID"])
    with spinning(LearnerSide, domain) as watcher, spinning(Helpers, domain) as helpers:

        def running():
            """Until some more steps were made in an episode."""
            made = len(processes.executed())
            wait_until(lambda: len(processes.executed()) > made + 3, what="steps")

        def finished():
            return [e for e in watcher.episodes if e.finished]

        def label(label):
            request, count = LabelEpisode.Request(label=label), len(finished())
            assert watcher.call_once(LabelEpisode, f"{ACTOR}/label", request).success
            return count

        try:
            actor = processes.actor(
                mode="evaluate",
                policy_file=str(policy),
                evaluation_episodes=2,
                max_episode_steps=1_000_000,
                reset_service="/put_back",
            )
            processes.arm("--succeed-while", str(tmp_path / "never"))
            running()
            helpers.answers.clear()
            calls = helpers.put_back_calls
            count = label(FAILURE)
            wait_until(lambda: len(finished()) > count, what="the end of the episode")
            wait_until(lambda: helpers.put_back_calls > calls, what="a call to put things back")
            label(RERECORD)
            helpers.answers.set()
            running()
            pause = f"{ACTOR}/pause"
            count = len(finished())
            assert watcher.call(SetBool, pause, SetBool.Request(data=True)).success
            wait_until(lambda: len(finished()) > count, what="the episode to be cut")
            assert watcher.call(SetBool, pause, SetBool.Request(data=False)).success
            for _ in range(2):
                running()
                count = label(SUCCESS)
                wait_until(lambda before=count: len(finished()) > before, what="the end of the episode")
            assert actor.wait(timeout=60) == 0
        finally:
            helpers.answers.set()
            processes.stop()
    results = json.loads((processes.run_dir / "evaluation_results.json").read_text())["episodes"]
    first = 10_000_000
    assert [(e["seed"], e["success"]) for e in results] == [(first, True), (first + 1, True)]
    assert [e.seed for e in finished()] == [first, first, first, first + 1]
