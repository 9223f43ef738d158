"""A controller as its own process, with an arm behind it and an actor before it."""

import numpy as np
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from hilrl_control.settings import Settings
from hilrl_interfaces.msg import EeAction, EeState
from hilrl_ros import qos, stamps
from hilrl_ros.joints import JOINT_NAMES

NODE = "hilrl_control.ee_controller_node"
HOME = np.array(Settings.default().home_joints)
PERIOD_NS = 100_000_000
FORWARD = (1.0, 0.0, 0.0, 0.0, 0.0)


class Bench:
    """An arm behind the controller and an actor before it."""

    def __init__(self, probe):
        self.probe, self.node = probe, probe.node
        self.states, self.commands = [], []
        self.q, self.now_ns = HOME.copy(), 10**9
        self.joints = self.node.create_publisher(JointState, "joint_states", qos.JOINT_STATES)
        self.actions = self.node.create_publisher(EeAction, "action", qos.ACTIONS)
        self.node.create_subscription(EeState, "ee_state", self.states.append, qos.JOINT_STATES)
        self.node.create_subscription(JointState, "joint_commands", self.commands.append, qos.ACTIONS)
        self.parameters = self.node.create_client(SetParameters, "ee_controller/set_parameters")
        self.home = self.node.create_client(Trigger, "ee_controller/go_home")

    def ready(self):
        self.probe.spin_until(self.joints.get_subscription_count)
        self.probe.spin_until(self.actions.get_subscription_count)
        for topic in ("ee_state", "joint_commands"):
            self.probe.spin_until(lambda name=topic: self.node.count_publishers(name))
        self.probe.spin_until(self.parameters.service_is_ready)
        self.probe.meet("ee_controller")

    def joint_message(self, **changes):
        message = JointState(name=list(JOINT_NAMES), position=self.q.tolist(), velocity=[0.0] * 6)
        message.header.stamp = stamps.from_ns(self.now_ns)
        for field, value in changes.items():
            setattr(message, field, value)
        return message

    def action_message(self, delta, gripper=0, **fields):
        message = EeAction(
            delta=np.array(delta, np.float32), gripper=gripper, source=EeAction.SOURCE_INTERVENTION, **fields
        )
        message.header.stamp = stamps.from_ns(self.now_ns)
        return message

    def look(self):
        """Publish joint states; the state that comes back."""
        count = len(self.states)
        self.joints.publish(self.joint_message())
        self.probe.spin_until(lambda: len(self.states) > count)
        return self.states[-1]

    def act(self, delta=FORWARD, gripper=0, **fields):
        """One lockstep period; the command."""
        self.look()
        count = len(self.commands)
        self.actions.publish(self.action_message(delta, gripper, **fields))
        self.probe.spin_until(lambda: len(self.commands) > count)
        self.q = np.array(self.commands[-1].position)
        self.now_ns += PERIOD_NS
        return self.commands[-1]

    def set(self, name, value):
        """The result of setting a double, or a list of them."""
        kind = (
            ParameterType.PARAMETER_DOUBLE_ARRAY
            if isinstance(value, list)
            else ParameterType.PARAMETER_DOUBLE
        )
        value = {"double_array_value": value} if isinstance(value, list) else {"double_value": value}
        parameter = Parameter(name=name, value=ParameterValue(type=kind, **value))
        return self.probe.call(self.parameters, SetParameters.Request(parameters=[parameter])).results[0]


def bench_around(probe, start_node, urdf_path, kind=Bench):
    """A bench of some kind around a controller of its own in lockstep, with `bench.process`."""
    bench = kind(probe)
    bench.process = start_node(NODE, "lockstep:=true", f"urdf:={urdf_path}")
    bench.ready()
    return bench
