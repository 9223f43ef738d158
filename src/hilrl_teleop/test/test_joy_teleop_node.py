"""The joystick's node as its own process: `joy` in, actions and requests to the actor out."""

import sys
from pathlib import Path

import pytest
from joy_bench import Bench
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSProfile

from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos, stamps
from hilrl_ros.testing import NodeProcess

NODE = "hilrl_teleop.joy_teleop_node"
CONFIG = Path(__file__).resolve().parents[3] / "config" / "teleop.yaml"
PATIENT = "joy_timeout_s:=5.0"
A, B, X, Y, LB, RB = range(6)


@pytest.fixture
def bench(probe):
    return Bench(probe)


def test_a_held_dead_man_moves_the_arm_until_it_is_let_go(bench, start_node):
    start_node(NODE, PATIENT)
    bench.ready()
    assert bench.actions == [], "nothing is said before it is pressed"
    bench.stamp(42)
    for bench.axes[1] in (0.3, 0.55):  # a stick passes what lies between
        bench.hold()
    assert bench.actions == []
    bench.hold_until(lambda: len(bench.actions) > 10, RB)
    action = bench.actions[-1]
    assert (action.engaged, action.source, action.device, action.gripper) == (True, 1, "joy", 0)
    assert action.delta.tolist() == pytest.approx([0.25, 0, 0, 0, 0])
    assert stamps.to_ns(action.header.stamp) == 42_000_000_000 and action.header.frame_id == "base_link"
    bench.hold_until(lambda: not bench.actions[-1].engaged)
    assert not bench.actions[-1].delta.any()
    bench.hold(duration_s=0.4)
    assert [action.engaged for action in bench.actions].count(False) == 1, "once, and silent then"


def test_a_silent_joy_lets_go_and_the_dead_man_must_be_pressed_again(bench, start_node):
    start_node(NODE, "joy_timeout_s:=0.5")
    bench.ready()
    bench.press_until(lambda: bench.actions and bench.actions[-1].engaged, RB)
    bench.probe.spin_until(lambda: not bench.actions[-1].engaged)
    count = len(bench.actions)
    bench.hold(RB, duration_s=1.0)
    assert len(bench.actions) == count
    bench.press_until(lambda: bench.actions[-1].engaged, RB)


def test_every_press_reaches_the_actor_exactly_once(bench, start_node):
    start_node(NODE, PATIENT)
    bench.ready()
    codes = {Y: 0, X: 1, 6: 2, LB: 3, 8: 4}
    for button in codes:
        bench.hold(button, duration_s=0.4)
        for _ in range(3):
            bench.joys.publish(bench.sent)  # the press again, word for word
        bench.hold(duration_s=0.3)
    bench.probe.spin_until(lambda: len(bench.labels) == len(codes))
    for paused in (True, False):
        bench.hold(7, duration_s=0.3)
        bench.hold(duration_s=0.3)
        bench.probe.spin_until(lambda paused=paused: bench.pauses[-1:] == [paused])
    bench.hold(duration_s=0.5)
    assert bench.labels == list(codes.values()) and bench.pauses == [True, False]
    assert bench.actions == [], "a label does not take the arm"


def test_a_button_that_is_down_in_the_first_message_is_no_press(bench, start_node):
    start_node(NODE, PATIENT)
    bench.probe.spin_until(lambda: bench.joys.get_subscription_count())
    bench.probe.spin_until(lambda: bench.probe.node.count_clients("actor/label"))
    bench.hold(Y, RB, duration_s=2.0)
    assert bench.labels == [] and bench.actions == []


def test_the_outcome_is_told_in_the_log(bench, start_node):
    process = start_node(NODE, PATIENT)
    bench.ready()
    bench.hold(Y)
    bench.probe.spin_until(lambda: "success noted" in process.log)


def test_what_is_over_before_the_next_message_of_the_fixed_rate_is_told_too(bench, start_node):
    start_node(NODE, PATIENT)
    bench.ready()
    every = []
    deep = QoSProfile(depth=100)
    bench.probe.node.create_subscription(EeAction, "intervention/joy", every.append, deep)
    bench.probe.meet("joy_teleop")
    for _ in range(20):
        bench.send(RB, A)
        bench.send()
        bench.probe.spin_for(0.07)
    bench.hold_until(lambda: every and not every[-1].engaged)
    taken = [action for action in every if action.engaged]
    # At the fixed rate alone one of them might be seen; one that another overtakes is not sent by DDS.
    assert len(taken) > 10 and all(action.gripper == 1 for action in taken)


def test_a_tap_on_the_jaws_lasts_for_several_control_ticks(bench, start_node):
    start_node(NODE, PATIENT)
    bench.ready()
    bench.hold_until(lambda: bench.actions and bench.actions[-1].engaged, RB)

    def tap():
        """How often the jaws were asked to close after one tap, which a stall of the node makes fewer."""
        bench.hold_until(lambda: bench.actions[-1].gripper == 0, RB)
        count = len(bench.actions)
        bench.send(RB, A)
        bench.send(RB)
        bench.hold(RB, duration_s=0.6)
        return [action.gripper for action in bench.actions[count:]].count(1)

    assert any(tap() > 2 for _ in range(20))
    bench.hold_until(lambda: bench.actions[-1].gripper == 0, RB)


def test_in_lockstep_every_new_stamp_is_answered_once_engaged_or_not(bench, start_node):
    start_node(NODE, PATIENT, "lockstep:=true")
    bench.ready()
    for second in (1, 2, 2, 3):
        bench.stamp(second)
        bench.probe.spin_until(lambda s=second: bench.actions and bench.actions[-1].header.stamp.sec == s)
        bench.probe.spin_for(0.1)
    assert [(action.header.stamp.sec, action.engaged) for action in bench.actions] == [
        (1, False), (2, False), (3, False),
    ]  # fmt: skip
    bench.hold_until(lambda: bench.actions[-1].engaged, RB)
    bench.stamp(4)
    bench.hold_until(lambda: bench.actions[-1].header.stamp.sec == 4, RB)
    assert bench.actions[-1].engaged


def test_in_lockstep_the_mux_waits_for_the_joystick_and_never_goes_without_it(bench, start_node, tmp_path):
    script = tmp_path / "patient_mux.py"
    script.write_text(
        "from hilrl_teleop import arbitration\n"
        "from hilrl_teleop.intervention_mux_node import main\n"
        "arbitration.LOCKSTEP_WAIT_S = 5.0\n"
        "main()\n"
    )
    mux = start_node(script, "devices:=[joy]", "lockstep_devices:=[joy]")
    start_node(NODE, PATIENT, "lockstep:=true")
    node, executed = bench.probe.node, []
    policy = node.create_publisher(EeAction, "policy_action", qos.ACTIONS)
    node.create_subscription(EeAction, "action", executed.append, qos.ACTIONS)
    bench.probe.spin_until(lambda: policy.get_subscription_count() and node.count_publishers("action"))
    bench.probe.meet("intervention_mux")
    bench.ready()

    def tick(second, *down):
        bench.send(*down)
        bench.stamp(second)
        action = EeAction(engaged=True)
        action.header.stamp.sec = second
        policy.publish(action)
        bench.probe.spin_until(lambda: executed and executed[-1].header.stamp.sec == second)
        return executed[-1].device

    tick(1)  # the joystick may not know the mux yet
    missed = mux.log.count("went without")
    assert {tick(second) for second in range(2, 22)} == {"policy"}
    bench.hold_until(lambda: bench.actions[-1].engaged, RB)
    assert {tick(second, RB) for second in range(22, 42)} == {"joy"}
    bench.hold_until(lambda: not bench.actions[-1].engaged)
    assert {tick(second) for second in range(42, 62)} == {"policy"}
    assert mux.log.count("went without") == missed


def test_an_axis_that_jumps_out_of_its_rest_like_a_trigger_has_no_effect_and_is_named(bench, start_node):
    process = start_node(NODE, PATIENT)
    bench.ready()
    bench.axes[1] = 0.97
    bench.hold_until(lambda: "axes [1] have no effect until they were at rest" in process.log, RB)
    assert bench.actions and not any(action.delta.any() for action in bench.actions)
    assert process.log.count("have no effect") == 1


def test_a_message_that_does_not_fit_is_one_clear_error_and_hands_off(bench, start_node):
    process = start_node(NODE, PATIENT)
    bench.ready()
    bench.hold_until(lambda: bench.actions and bench.actions[-1].engaged, RB)
    bench.axes = bench.axes[:6]
    bench.hold(RB, duration_s=0.6)
    bench.probe.spin_until(lambda: not bench.actions[-1].engaged)
    text = "hands off: joy axes: expected at least 8, as the layout uses axis 7, got 6"
    bench.probe.spin_until(lambda: text in process.log)
    bench.axes = [0.0, float("nan")] + [0.0] * 6
    bench.hold(RB, duration_s=0.3)
    bench.probe.spin_until(lambda: "joy axes[1]: expected a number in [-1, 1], got nan" in process.log)
    bench.axes = [0.0] * 8
    bench.rest()
    bench.hold_until(lambda: bench.actions[-1].engaged, RB)
    assert process.log.count("hands off: joy axes") == 2, "one per kind of error"


def test_a_change_of_the_layout_lets_go_and_a_bad_one_is_refused(bench, start_node):
    start_node(NODE, PATIENT)
    bench.ready()
    client = bench.probe.node.create_client(SetParameters, "joy_teleop/set_parameters")

    def set_to(name, **value):
        request = SetParameters.Request(parameters=[Parameter(name=name, value=ParameterValue(**value))])
        return bench.probe.call(client, request).results[0]

    integer, doubles = ParameterType.PARAMETER_INTEGER, ParameterType.PARAMETER_DOUBLE_ARRAY
    refused = set_to("xbox.open_button", type=integer, integer_value=5)
    assert not refused.successful
    assert refused.reason == "xbox.open_button: expected a button of its own, got 5, which is deadman_button"
    too_many = set_to("xbox.speeds", type=doubles, double_array_value=[1.0] * 6)
    assert too_many.reason == "xbox.speeds: expected 5 values, got 6"
    assert set_to("xbox.speeds", type=doubles, double_array_value=[1.0] * 5).successful
    bench.rest()
    bench.axes[1] = 0.3
    bench.hold(RB)
    bench.axes[1] = 1.0
    bench.hold_until(lambda: bench.actions and bench.actions[-1].delta[0] == 1.0, RB)


def start_with_config(start_node, namespace, folder, pad):
    command = [
        sys.executable,
        "-c",
        f"from {NODE} import main; main()",
        "--ros-args",
        "-r",
        f"__ns:={namespace}",
    ]
    return NodeProcess(
        [*command, "--params-file", str(CONFIG), "-p", f"pad:={pad}", "-p", PATIENT], folder / "pad.log"
    )


@pytest.mark.parametrize(
    ("pad", "axes", "buttons", "deadman", "x"),
    [("xbox", 8, 11, 5, 1), ("playstation", 8, 13, 5, 1), ("game_controller", 6, 21, 10, 1)],
)
def test_the_pads_of_the_configuration_work(
    bench, start_node, namespace, tmp_path, pad, axes, buttons, deadman, x
):
    process = start_with_config(start_node, namespace, tmp_path, pad)
    try:
        bench.axes, bench.count = [0.0] * axes, buttons
        bench.ready()
        bench.axes[x] = 0.3
        bench.hold_until(lambda: bench.actions and bench.actions[-1].delta[0] > 0, deadman)
    finally:
        process.stop()


def test_a_3d_mouse_takes_over_by_movement(bench, start_node, namespace, tmp_path):
    process = start_with_config(start_node, namespace, tmp_path, "spacenav")
    try:
        bench.axes, bench.count = [0.0] * 6, 0
        bench.ready()
        bench.axes[2] = 0.4
        bench.hold_until(lambda: bench.actions and bench.actions[-1].delta[2] > 0)
        bench.axes[2] = 0.0
        bench.hold_until(lambda: not bench.actions[-1].engaged)
        bench.count = 1
        bench.send(0)
        bench.count = 0
        bench.hold_until(lambda: bench.actions[-1].engaged)
        assert 1 in {action.gripper for action in bench.actions}
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "pad:=wheel",
            "wheel.axes: expected one that is not -1; take the pad's block from config/teleop.yaml",
        ),
        ("pad:='a b'", "pad: expected a name such as xbox, got 'a b'"),
        (
            "xbox.takeover:=telepathy",
            "xbox.takeover: expected one of ['deadman', 'movement'], got 'telepathy'",
        ),
    ],
)
def test_a_bad_parameter_stops_the_start_with_one_line(start_node, setting, message):
    process = start_node(NODE, setting)
    assert process.wait() == 2 and "Traceback" not in process.log
    assert message in process.log
