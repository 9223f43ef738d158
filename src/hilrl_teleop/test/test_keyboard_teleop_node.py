"""The keyboard through a real pseudo-terminal, its node as its own process."""

import signal
import subprocess
import sys
import termios
import time
from contextlib import closing

import pytest
from std_msgs.msg import String
from std_srvs.srv import SetBool
from typist import Typist, actions_of

from hilrl_interfaces.msg import EeState
from hilrl_interfaces.srv import LabelEpisode
from hilrl_ros import qos

MAIN = "from hilrl_teleop.keyboard_teleop_node import main; main()"


@pytest.fixture
def typist(namespace):
    # Longer than a busy machine keeps a node waiting.
    with closing(Typist(MAIN, namespace, "release_s:=3.0")) as typist:
        yield typist


@pytest.fixture
def actions(probe, typist):
    return actions_of(typist, probe)


def test_keys_become_actions_until_the_person_lets_go(probe, typist, actions):
    assert actions == [], "nothing is said before a key"
    typist.type("wc")
    probe.spin_until(lambda: actions)
    first = actions[0]
    assert (first.engaged, first.source, first.gripper) == (True, 1, 1)
    assert first.delta.tolist() == [0.5, 0, 0, 0, 0]
    probe.spin_until(lambda: not actions[-1].engaged)
    assert [action.engaged for action in actions].count(False) == 1
    assert len(actions) > 10 and not actions[-1].delta.any() and actions[-1].gripper == 0
    count = len(actions)
    probe.spin_for(0.3)
    assert len(actions) == count, "silent after it has let go"


def test_an_action_answers_the_newest_state(probe, typist, actions):
    states = probe.node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
    probe.spin_until(states.get_subscription_count)
    probe.meet("keyboard_teleop")
    state = EeState()
    state.header.frame_id = "base_link"
    state.header.stamp.sec = 42
    states.publish(state)
    probe.until_taken_by("keyboard_teleop")
    typist.type("w")
    probe.spin_until(lambda: actions)
    assert actions[-1].header == state.header


def test_the_screen_shows_who_has_the_arm(probe, typist, actions):
    states = probe.node.create_publisher(String, "intervention_mux/state", qos.LATCHED)
    states.publish(String(data="intervention: keyboard"))
    typist.type(" ")
    probe.spin_until(lambda: "ENGAGED   | arm: intervention: keyboard" in typist.read())
    typist.type(" ")
    probe.spin_until(lambda: actions and not actions[-1].engaged)


def test_labels_reach_the_actor(probe, typist, actions):
    asked = []

    def on_label(request, response):
        asked.append(request.label)
        response.success, response.message = False, "no episode is running"
        return response

    typist.type("y")
    probe.spin_until(lambda: "success: no actor is there to be told" in typist.read())
    service = probe.node.create_service(LabelEpisode, "actor/label", on_label)
    probe.meet("keyboard_teleop")
    typist.type("n")
    probe.spin_until(lambda: "failure refused: no episode is running" in typist.read())
    assert asked == [LabelEpisode.Request.FAILURE]
    assert actions == [], "a label does not take the arm"
    probe.node.destroy_service(service)


def test_keys_ask_for_a_reset_a_rerecording_and_a_pause_once_each(probe, typist, actions):
    asked = []

    def noted(response):
        response.success = True
        return response

    def on_label(request, response):
        asked.append(request.label)
        return noted(response)

    def on_pause(request, response):
        asked.append("pause" if request.data else "continue")
        return noted(response)

    label = probe.node.create_service(LabelEpisode, "actor/label", on_label)
    pause = probe.node.create_service(SetBool, "actor/pause", on_pause)
    probe.meet("keyboard_teleop")
    typist.type("x")
    probe.spin_until(lambda: "reset noted" in typist.read())
    typist.type("bbbbb")
    probe.spin_until(lambda: "rerecord noted" in typist.read())
    typist.type("p")
    probe.spin_until(lambda: "| PAUSED | arm: no mux | pause noted" in typist.read())
    probe.spin_for(1.0)
    typist.type("p")
    probe.spin_until(lambda: "continue noted" in typist.read())
    request = LabelEpisode.Request
    assert asked == [request.RESET, request.RERECORD, "pause", "continue"]
    assert actions == [], "asking does not take the arm"
    probe.node.destroy_service(label)
    probe.node.destroy_service(pause)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, "ctrl-c"])
def test_the_terminal_is_given_back_whatever_ends_the_node(typist, end):
    deadline = time.monotonic() + 60
    while "hands off" not in typist.read():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not typist.is_terminal_as_found(), "it reads single keys"
    if end == "ctrl-c":
        # The slave is no controlling terminal here, so the kernel does not turn the byte into a signal.
        assert termios.tcgetattr(typist.slave)[3] & termios.ISIG
        end = signal.SIGINT
    typist.process.send_signal(end)
    typist.process.wait(60)
    assert typist.is_terminal_as_found()


def test_without_a_terminal_it_says_so_and_ends():
    run = subprocess.run(
        [sys.executable, "-c", MAIN],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: stdin: expected a terminal") and run.stderr.count("\n") == 1
