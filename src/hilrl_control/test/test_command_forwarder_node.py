"""What ee_controller commands, as ros2_control's forward_command_controller takes it."""

import math

import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from hilrl_ros import qos
from hilrl_ros.joints import JOINT_NAMES

NODE = "hilrl_control.command_forwarder_node"
GOAL = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.fixture
def forwarder(probe, start_node):
    """(process, commands that came out, a function that sends a joint command)."""
    process = start_node(NODE)
    taken: list[Float64MultiArray] = []
    probe.node.create_subscription(
        Float64MultiArray, "forward_command_controller/commands", taken.append, qos.ACTIONS
    )
    commands = probe.node.create_publisher(JointState, "joint_commands", qos.ACTIONS)
    probe.spin_until(
        lambda: (
            commands.get_subscription_count()
            and probe.node.count_publishers(
                f"{probe.node.get_namespace()}/forward_command_controller/commands"
            )
        )
    )
    probe.meet("command_forwarder")
    return process, taken, commands.publish


def test_goals_go_on_in_the_order_of_the_joints_whatever_order_they_came_in(probe, forwarder):
    _, taken, send = forwarder
    send(JointState(name=list(reversed(JOINT_NAMES)), position=list(reversed(GOAL)), velocity=[1.0] * 6))
    probe.spin_until(lambda: taken)
    assert list(taken[0].data) == GOAL


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (JointState(name=list(JOINT_NAMES), position=[math.nan] * 6), "position: expected finite numbers"),
        (JointState(name=list(JOINT_NAMES[:5]), position=GOAL[:5]), "name: expected"),
    ],
)
def test_what_is_no_goal_goes_nowhere(probe, forwarder, message, reason):
    process, taken, send = forwarder
    send(message)
    probe.spin_until(lambda: reason in process.log)
    send(JointState(name=list(JOINT_NAMES), position=GOAL))
    probe.spin_until(lambda: taken)
    assert [list(command.data) for command in taken] == [GOAL]
