"""What an operator asks of the actor, over real DDS; the actor is a stand-in with threads of its own."""

import threading
from contextlib import closing

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import SetBool

from hilrl_interfaces.srv import LabelEpisode
from hilrl_teleop.episode_control import ANSWER_S, CODES, EpisodeControl


class StandInActor:
    """Answers while `answers` is set; notes what it was asked."""

    def __init__(self, namespace):
        self.asked = []
        self.refusal = ""
        self.answers = threading.Event()
        self.answers.set()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node("actor", namespace=namespace, context=self._context)
        self._node.create_service(LabelEpisode, "~/label", self._on_label)
        self._node.create_service(SetBool, "~/pause", self._on_pause)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def _on_label(self, request, response):
        self.asked.append(request.label)
        return self._answered(response)

    def _on_pause(self, request, response):
        self.asked.append(request.data)
        return self._answered(response)

    def _answered(self, response):
        assert self.answers.wait(20)
        response.success, response.message = not self.refusal, self.refusal
        return response

    def close(self):
        self.answers.set()
        self._executor.shutdown()
        self._thread.join(10)
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def told():
    return []


@pytest.fixture
def control(probe, told):
    return EpisodeControl(probe.node, told.append)


@pytest.fixture
def actor(namespace, probe, control):
    with closing(StandInActor(namespace)) as actor:
        probe.spin_until(lambda: control._label.service_is_ready() and control._pause.service_is_ready())
        probe.meet("actor")
        yield actor


def test_each_label_is_asked_for_once_in_order_and_its_outcome_told(probe, control, actor, told):
    for name in CODES:
        control.ask(name)
    probe.spin_until(lambda: "rerecord noted" in told)
    assert actor.asked == [0, 1, 2, 3, 4]
    assert told == [line for name in CODES for line in (f"{name} ...", f"{name} noted")]


def test_a_refusal_is_told_with_its_reason(probe, control, actor, told):
    actor.refusal = "no episode is running"
    control.ask("success")
    probe.spin_until(lambda: told[-1] == "success refused: no episode is running")


def test_pause_and_continue_take_turns_as_the_actor_confirms_them(probe, control, actor, told):
    control.ask("pause")
    probe.spin_until(lambda: control.paused)
    control.ask("pause")
    probe.spin_until(lambda: not control.paused)
    assert actor.asked == [True, False]
    assert told == ["pause ...", "pause noted", "continue ...", "continue noted"]
    actor.refusal = "not now"
    control.ask("pause")
    probe.spin_until(lambda: told[-1] == "pause refused: not now")
    assert not control.paused


def test_without_an_actor_it_says_so_at_once(control, told):
    control.ask("discard")
    control.ask("pause")
    assert told == [f"{name}: no actor is there to be told" for name in ("discard", "pause")]


def test_what_is_not_answered_is_not_asked_again_and_what_waited_is_dropped(probe, control, actor, told):
    actor.answers.clear()
    control.ask("success")
    control.ask("failure")
    probe.spin_until(lambda: len(told) == 2)
    assert told[1] == (
        f"success: the actor has not answered for {ANSWER_S:g} s; it may have been taken; dropped: failure"
    )
    probe.spin_for(1.5 * ANSWER_S)
    assert len(told) == 2 and actor.asked == [0]
    actor.answers.set()
    probe.spin_until(lambda: told[-1] == "success noted after all")
    control.ask("reset")
    probe.spin_until(lambda: told[-1] == "reset noted")
    assert actor.asked == [0, 3]


def test_asking_does_not_hold_up_the_executor(probe, control, actor, told):
    actor.answers.clear()
    control.ask("success")
    ticks = []
    probe.node.create_timer(0.02, lambda: ticks.append(told[-1]))
    probe.spin_until(lambda: len(ticks) > 10)
    assert set(ticks) == {"success ..."}


def test_a_pause_that_is_answered_late_is_noted(probe, control, actor, told):
    actor.answers.clear()
    control.ask("pause")
    probe.spin_until(lambda: "has not answered" in told[-1])
    assert not control.paused
    actor.answers.set()
    probe.spin_until(lambda: control.paused)
