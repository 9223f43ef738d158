"""The controller as its own process, over real DDS."""

import math
import time
from contextlib import closing

import numpy as np
import pytest
from controller_bench import FORWARD, HOME, NODE, PERIOD_NS, Bench, bench_around
from rcl_interfaces.srv import DescribeParameters
from rclpy.qos import DurabilityPolicy
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from hilrl_control.settings import Settings
from hilrl_interfaces.msg import EeAction
from hilrl_ros import qos, stamps
from hilrl_ros.joints import JOINT_NAMES
from hilrl_ros.testing import Probe, new_namespace, starting_nodes


@pytest.fixture(scope="module")
def shared(urdf_path, tmp_path_factory):
    """One controller for all tests that leave it as it was."""
    namespace, logs = new_namespace(), tmp_path_factory.mktemp("shared")
    with closing(Probe(namespace)) as probe, starting_nodes(namespace, logs) as start_node:
        yield bench_around(probe, start_node, urdf_path)


@pytest.fixture
def lockstep(shared):
    """The shared controller with its arm set back home at once, as a simulation's reset does."""
    defaults = Settings.default()
    assert shared.set("step_m", defaults.step_m).successful
    assert shared.set("max_joint_speed", defaults.max_joint_speed).successful
    assert shared.set("workspace_max", defaults.workspace.maximum.tolist()).successful
    for q in (HOME + 0.1, HOME):
        shared.now_ns += 1_000_000
        shared.q = q.copy()
        shared.look()
    shared.commands.clear()
    return shared


@pytest.fixture
def own(probe, start_node, urdf_path):
    """A controller of this test's own, whose errors can be read when it has ended."""
    return bench_around(probe, start_node, urdf_path)


def errors(process):
    """What the node said at level ERROR, after it has left on SIGINT."""
    assert process.stop() == 0
    return [line for line in process.log.splitlines() if "[ERROR]" in line]


def test_each_action_gets_exactly_one_command_with_its_stamp(lockstep):
    for i in range(20):
        tick = lockstep.now_ns
        command = lockstep.act((math.sin(i), math.cos(i), 0.0, 0.0, 0.0), i % 3)
        assert stamps.to_ns(command.header.stamp) == tick
        assert list(command.name) == list(JOINT_NAMES) and len(command.velocity) == 6
    lockstep.probe.spin_for(0.5)
    assert len(lockstep.commands) == 20


def test_a_repeat_gets_the_same_answer_again_and_moves_nothing(lockstep):
    lockstep.look()
    again = []
    for _ in range(3):
        count = len(lockstep.commands)
        lockstep.actions.publish(lockstep.action_message(FORWARD))
        lockstep.probe.spin_until(lambda before=count: len(lockstep.commands) > before)
        again.append(lockstep.commands[-1])
    assert again[0] == again[1] == again[2]
    assert lockstep.look() == lockstep.look()


def test_the_gripper_goes_only_as_far_as_its_goal_where_one_is_set(lockstep):
    still = (0, 0, 0, 0, 0)
    for _ in range(4):
        command = lockstep.act(still, EeAction.GRIPPER_CLOSE, gripper_partly=True, gripper_goal=0.5)
    assert command.position[5] == pytest.approx(0.5)
    for _ in range(4):
        command = lockstep.act(still, EeAction.GRIPPER_CLOSE, gripper_goal=0.5)
    assert command.position[5] == pytest.approx(Settings.default().gripper_closed_rad)


def test_each_joint_state_gets_one_state_with_its_stamp(lockstep, kinematics):
    tick = lockstep.now_ns
    lockstep.act(FORWARD, 1)
    state = lockstep.look()
    assert stamps.to_ns(state.header.stamp) == lockstep.now_ns and state.header.frame_id == "base_link"
    assert stamps.to_ns(state.action_stamp) == tick and state.action_source == EeAction.SOURCE_INTERVENTION
    pose = kinematics.forward(lockstep.q)
    at = state.pose.position
    np.testing.assert_allclose([at.x, at.y, at.z], pose.position, atol=1e-9)
    assert (state.pitch, state.roll) == pytest.approx((pose.pitch, pose.roll))
    assert state.gripper_position == pytest.approx(lockstep.q[5])
    assert state.gripper_target == pytest.approx(-0.1)
    assert not state.holding and state.status == "following actions"


def test_an_action_of_nan_is_one_clear_error_and_the_arm_holds(own):
    good = own.act(FORWARD)
    for _ in range(5):
        held = own.act((math.nan, 0, 0, 0, 0))
        assert held.position == good.position
        state = own.look()
        assert state.holding and "expected finite numbers" in state.status
    after = own.act(FORWARD)
    assert after.position != good.position
    assert not own.look().holding
    (error,) = errors(own.process)
    assert "action delta: expected finite numbers, got [nan, 0.0" in error


def test_malformed_joint_states_are_one_clear_error_each_and_nothing_moves(own):
    own.act(FORWARD)
    states, commands = len(own.states), len(own.commands)
    few = {"name": list(JOINT_NAMES[:4]), "position": [0.0] * 4, "velocity": [0.0] * 4}
    for changes in (few, {"position": [0.0] * 5}, {"velocity": [0.0, math.nan, 0.0, 0.0, 0.0, 0.0]}):
        for _ in range(3):
            own.joints.publish(own.joint_message(**changes))
    own.probe.spin_for(0.5)
    assert (len(own.states), len(own.commands)) == (states, commands)
    assert not own.look().holding
    missing, short, nan = errors(own.process)
    assert "joint_states name: expected" in missing and "['wrist_roll', 'gripper'] missing" in missing
    assert "joint_states position: expected 6 values, got 5" in short
    assert "joint_states velocity: expected finite numbers, got nan for shoulder_lift" in nan


def test_joints_in_another_order_and_others_beside_them_are_understood(lockstep, kinematics):
    message = lockstep.joint_message(
        name=["head", *reversed(JOINT_NAMES)], position=[9.0, *lockstep.q[::-1].tolist()], velocity=[]
    )
    lockstep.now_ns += PERIOD_NS
    message.header.stamp = stamps.from_ns(lockstep.now_ns)
    count = len(lockstep.states)
    lockstep.joints.publish(message)
    lockstep.probe.spin_until(lambda: len(lockstep.states) > count)
    at = lockstep.states[-1].pose.position
    np.testing.assert_allclose([at.x, at.y, at.z], kinematics.forward(HOME).position, atol=1e-9)


def test_parameters_take_effect_on_the_next_tick(lockstep, kinematics):
    x = kinematics.forward(lockstep.act((0.0,) * 5).position).position[0]
    assert lockstep.set("step_m", 0.005).successful
    assert kinematics.forward(lockstep.act(FORWARD).position).position[0] - x == pytest.approx(
        0.005, abs=1e-3
    )
    assert lockstep.set("workspace_max", [0.21, 0.15, 0.22]).successful
    for _ in range(5):
        command = lockstep.act(FORWARD)
    assert kinematics.forward(command.position).position[0] == pytest.approx(0.21, abs=1e-3)
    assert lockstep.look().clipped_workspace


def test_a_lower_joint_speed_holds_on_the_next_tick(lockstep):
    before = np.array(lockstep.act((0.0,) * 5).position)
    assert lockstep.set("max_joint_speed", 0.1).successful
    after = np.array(lockstep.act(FORWARD).position)
    assert 0.0 < np.abs(after - before)[:5].max() <= 0.1 / 10.0 + 1e-9


def test_bad_parameters_are_refused_with_a_reason_and_change_nothing(lockstep):
    for name, value, reason in (
        ("workspace_max", [0.1, 0.15, 0.22], "workspace_min x: expected less than workspace_max x"),
        ("workspace_max", [0.1, 0.15], "workspace_max: expected 3 values, got 2"),
        ("workspace_min", [math.nan, 0.0, 0.0], "workspace_min: expected finite numbers"),
        ("step_m", 5.0, "step_m"),
        ("max_joint_speed", 100.0, "max_joint_speed"),
        ("leash_m", math.nan, "leash_m"),
        ("gripper_open_rad", 3.0, "gripper_open_rad: expected within [-0.1745, 1.7453] rad, got 3.0"),
        ("gripper_open_rad", -0.1, "gripper_open_rad: expected more than 0.05 rad away"),
        ("home_joints", [0.0, 3.0, 0.0, 0.0, 0.0, 0.0], "home_joints[1]: expected within"),
        ("control_hz", 50.0, "read-only"),
    ):
        result = lockstep.set(name, value)
        assert not result.successful and reason in result.reason, (name, result.reason)
    step = np.array(lockstep.act(FORWARD).position) - HOME
    assert 0.0 < np.abs(step).max() < 0.3


def test_parameters_are_described_with_their_units_and_ranges(lockstep):
    client = lockstep.node.create_client(DescribeParameters, "ee_controller/describe_parameters")
    names = ["step_m", "leash_m", "max_joint_speed", "command_timeout_s", "workspace_min", "urdf", "lockstep"]
    found = lockstep.probe.call(client, DescribeParameters.Request(names=names)).descriptors
    for descriptor in found[:4]:
        assert descriptor.description and descriptor.floating_point_range and not descriptor.read_only
    assert "[m]" in found[4].description and "each in [-1.0, 1.0]" in found[4].description
    assert found[5].read_only and found[6].read_only


def test_markers_reach_a_late_joiner_and_turn_red_at_the_box(lockstep):
    for _ in range(10):
        lockstep.act((0.0, 1.0, 0.0, 0.0, 0.0))
    lockstep.look()
    assert qos.LATCHED.durability == DurabilityPolicy.TRANSIENT_LOCAL

    def shown():
        arrived = []
        topic = "ee_controller/workspace_markers"
        subscription = lockstep.node.create_subscription(MarkerArray, topic, arrived.append, qos.LATCHED)
        lockstep.probe.spin_until(lambda: arrived)
        lockstep.node.destroy_subscription(subscription)
        return arrived[-1].markers

    def drawn_at_the_box():
        faces = shown()[0]
        size = (faces.scale.x, faces.scale.y, faces.scale.z)
        return faces.color.r > 0.8 and size == pytest.approx((0.2, 0.3, 0.215))

    # What is latched may still be the last drawing before this test.
    lockstep.probe.spin_until(drawn_at_the_box)
    faces, edges, target = shown()
    assert faces.pose.position.x == pytest.approx(0.22) and 0.0 < faces.color.a < 0.5
    assert len(edges.points) == 24 and edges.color.r > 0.8
    assert target.pose.position.y == pytest.approx(0.15, abs=1e-3)


def test_in_real_time_silence_holds_and_going_home_is_served(probe, start_node, urdf_path):
    """Stamps are the wall clock's here, as a real arm's are."""
    bench = Bench(probe)
    timeouts = ("command_timeout_s:=0.3", "joint_state_timeout_s:=1.0")
    start_node(NODE, *timeouts, "control_hz:=20.0", "home_speed:=2.0", f"urdf:={urdf_path}")
    bench.ready()
    refused = probe.call(bench.home, Trigger.Request())
    assert not refused.success and refused.message == "go_home: no joint_states yet"
    bench.q = HOME + np.array([0.3, 0.2, 0.0, -0.1, 0.0, -0.5])

    def follow(until, limit_s=60.0):
        """Joint states at 50 Hz that follow the commands, until something holds."""
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            bench.now_ns = probe.node.get_clock().now().nanoseconds
            if bench.commands:
                bench.q = bench.q + 0.3 * (np.array(bench.commands[-1].position) - bench.q)
            bench.joints.publish(bench.joint_message())
            probe.spin_for(0.02)
            if until():
                return
        raise AssertionError(bench.states[-1].status)

    def moves_once_asked():
        """Asked again where the action found joint states that a busy machine had let grow old."""
        if not bench.commands:
            bench.actions.publish(bench.action_message(FORWARD))
        return bench.commands

    follow(lambda: len(bench.states) > 3)
    assert not bench.commands, "nothing is sent before the first action"
    follow(moves_once_asked)
    follow(lambda: "no action for 0.3 s" in bench.states[-1].status)
    held = bench.commands[-1].position
    count = len(bench.commands)
    follow(lambda: len(bench.commands) > count + 5)
    assert all(command.position == held for command in bench.commands[count:])
    assert min(bench.commands[-1].velocity) > 0.0

    # The arm is seen while its way home is planned, or it would be refused.
    answer = bench.home.call_async(Trigger.Request())
    follow(answer.done)
    assert answer.result().success, answer.result().message
    follow(lambda: bench.states[-1].status == "holding: at home")
    np.testing.assert_allclose(bench.commands[-1].position, HOME, atol=1e-9)
    count = len(bench.commands)
    probe.spin_for(1.5)
    late = len(bench.commands)
    probe.spin_for(0.5)
    assert len(bench.commands) == late, "joint states have stopped: nothing more is sent"
    assert late - count < 30
    refused = probe.call(bench.home, Trigger.Request())
    assert not refused.success and "joint_states: expected a stamp within 1.0 s" in refused.message


def test_a_bad_start_ends_with_one_line(start_node, urdf_path):
    bad = {
        "urdf:=/nowhere.xacro": "error: urdf: expected a URDF or xacro file, found none at /nowhere.xacro",
        "workspace_min:=[0.5, 0.0, 0.0]": "error: workspace_min x: expected less than workspace_max x",
        "step_m:=7.0": "step_m",
        "home_joints:=[0.0]": "error: home_joints: expected 6 values, got 1",
    }
    started = [start_node(NODE, f"urdf:={urdf_path}", parameter) for parameter in bad]
    for process, reason in zip(started, bad.values(), strict=True):
        assert process.wait() == 2
        (line,) = [line for line in process.log.splitlines() if line.startswith("error:")]
        assert reason in line
