"""The mux as its own process, over real DDS."""

import re
import time

import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import String

from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos, stamps

NODE = "hilrl_teleop.intervention_mux_node"


class Bench:
    """A policy, operators and an arm around the mux."""

    def __init__(self, probe):
        self.probe = probe
        self.executed, self.states = [], []
        self.judged = 0
        """How many of the executed actions `next` has given."""
        node = probe.node
        self.inputs = {
            name: node.create_publisher(EeAction, topic, qos.ACTIONS)
            for name, topic in (
                ("policy", "policy_action"),
                ("keyboard", "intervention/keyboard"),
                ("scripted", "intervention/scripted"),
            )
        }
        node.create_subscription(EeAction, "action", self.executed.append, qos.ACTIONS)

    def ready(self):
        for publisher in self.inputs.values():
            self.probe.spin_until(publisher.get_subscription_count)
        self.probe.spin_until(lambda: self.probe.node.count_publishers("action"))
        self.probe.node.create_subscription(
            String, "intervention_mux/state", lambda m: self.states.append(m.data), qos.LATCHED
        )
        self.probe.spin_until(lambda: self.states)
        self.probe.meet("intervention_mux")

    def say(self, who, tick, x=0.5, gripper=0, source=None, engaged=True, **fields):
        message = EeAction(gripper=gripper, engaged=engaged, device=who, policy_version=3, **fields)
        message.header.frame_id = "base_link"
        message.header.stamp = stamps.from_ns(tick * 100_000_000)
        message.source = source if source is not None else int(who != "policy")
        message.delta[0] = x
        self.inputs[who].publish(message)
        if who != "policy":
            # Of what is ready at once the mux takes the policy's action first.
            self.probe.until_taken_by("intervention_mux")

    def next(self):
        """What was executed since it was asked last."""
        self.probe.spin_until(lambda: len(self.executed) > self.judged)
        self.judged = len(self.executed)
        return self.executed[-1]


@pytest.fixture
def bench(probe):
    return Bench(probe)


def test_policy_and_operator_take_turns_and_only_the_mux_says_who_it_was(bench, start_node):
    start_node(NODE, "timeout_s:=5.0", "policy_timeout_s:=2.0")
    bench.ready()
    bench.say("policy", 1, source=1)
    first = bench.next()
    assert (first.source, first.device, first.policy_version) == (0, "policy", 3)
    assert stamps.to_ns(first.header.stamp) == 100_000_000
    bench.say("keyboard", 1, x=-1.0, source=0)
    bench.say("policy", 2, gripper=2)
    second = bench.next()
    assert (second.source, second.device, second.gripper, second.policy_version) == (1, "keyboard", 0, 0)
    assert second.delta.tolist() == [-1, 0, 0, 0, 0] and second.engaged
    bench.say("policy", 2)
    assert bench.next() == second, "a repeated stamp gives the same output"
    bench.say("keyboard", 2, engaged=False)
    bench.say("policy", 3)
    assert bench.next().device == "policy"
    bench.probe.spin_until(lambda: bench.states[-1].startswith("holding: no policy_action for 2 s"))
    assert bench.states[-4:-1] == ["policy", "intervention: keyboard", "policy"]


def test_a_tick_waits_for_the_lockstep_device_and_goes_without_it_when_it_is_gone(bench, start_node):
    process = start_node(NODE, "lockstep_devices:=[scripted]")
    bench.ready()
    bench.say("scripted", 1, source=2)
    bench.say("policy", 1)
    shown = bench.next()
    assert (shown.source, shown.device) == (2, "scripted")
    said_s = time.monotonic()
    bench.say("policy", 2)
    assert bench.next().device == "policy" and time.monotonic() - said_s > 0.09
    bench.probe.spin_until(lambda: "went without" in process.log)
    assert re.findall("ticks that went .*", process.log) == [
        "ticks that went without a lockstep device so far: scripted: 1"
    ]


def test_a_person_gets_through_without_a_policy(bench, start_node):
    start_node(NODE, "policy_timeout_s:=2.0")
    bench.ready()
    assert bench.states[-1].startswith("holding")
    bench.say("keyboard", 7)
    executed = bench.next()
    assert (executed.device, executed.source) == ("keyboard", 1)
    bench.probe.spin_until(lambda: "intervention: keyboard" in bench.states)


def test_a_press_shorter_than_a_tick_is_executed_once_with_its_goal(bench, start_node):
    start_node(NODE, "timeout_s:=5.0", "policy_timeout_s:=60.0")
    bench.ready()
    bench.say("policy", 1)
    bench.next()
    for tick in range(2, 12):
        bench.say("keyboard", tick)
        bench.say("keyboard", tick, gripper=1, gripper_partly=True, gripper_goal=0.25)
        bench.say("keyboard", tick)
        bench.say("policy", 10 * tick, gripper=2)
        pressed = bench.next()
        assert (pressed.device, pressed.gripper) == ("keyboard", 1)
        assert pressed.gripper_partly and pressed.gripper_goal == 0.25
        bench.say("policy", 10 * tick + 1, gripper=2)
        after = bench.next()
        assert (after.device, after.gripper, after.gripper_partly) == ("keyboard", 0, False)


def test_bad_input_is_refused_once_and_the_node_lives_on(bench, start_node):
    process = start_node(NODE)
    bench.ready()
    for tick in range(1, 6):
        bench.say("policy", tick, x=float("nan"))
        bench.say("keyboard", tick, x=1.7)
        bench.probe.spin_for(0.03)
    bench.probe.spin_until(lambda: "policy_action delta x" in bench.states[-1])
    assert bench.executed == []
    bench.say("policy", 9)
    assert bench.next().device == "policy"
    errors = re.findall("refused.*", process.log)
    assert sorted(errors) == [
        "refused, treated as silent: intervention/keyboard delta x: expected a number in [-1, 1], got 1.7",
        "refused, treated as silent: policy_action delta x: expected a number in [-1, 1], got nan",
    ]


def test_timeouts_and_priorities_are_tuned_while_it_runs_and_devices_are_not(bench, start_node):
    start_node(NODE, "policy_timeout_s:=5.0")
    bench.ready()
    client = bench.probe.node.create_client(SetParameters, "intervention_mux/set_parameters")

    def set_to(name, **value):
        request = SetParameters.Request(parameters=[Parameter(name=name, value=ParameterValue(**value))])
        return bench.probe.call(client, request).results[0]

    double = ParameterType.PARAMETER_DOUBLE
    assert set_to("timeout_s", type=double, double_value=5.0).successful
    assert not set_to("timeout_s", type=double, double_value=0.0).successful
    names = {"type": ParameterType.PARAMETER_STRING_ARRAY, "string_array_value": ["joy"]}
    refused = set_to("devices", **names)
    assert not refused.successful and "in any order, got ['joy']" in refused.reason
    bench.say("policy", 1)
    bench.next()
    bench.say("keyboard", 1)
    time.sleep(0.4)
    bench.say("policy", 2)
    assert bench.next().device == "keyboard"
    bench.say("scripted", 2)
    bench.say("policy", 3)
    assert bench.next().device == "keyboard"
    names["string_array_value"] = ["scripted", "keyboard", "joy", "leader"]
    assert set_to("devices", **names).successful
    bench.say("policy", 4)
    assert bench.next().device == "scripted"


def test_a_lockstep_device_that_is_no_device_stops_the_start_with_one_line(start_node):
    process = start_node(NODE, "lockstep_devices:=[wand]")
    assert process.wait() == 2 and "Traceback" not in process.log
    known = ["leader", "joy", "keyboard", "scripted"]
    assert f"lockstep_devices: expected some of {known}, got also ['wand']" in process.log
