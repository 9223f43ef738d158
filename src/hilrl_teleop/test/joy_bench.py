"""Hands on a pad, an arm, an actor, and the mux's ear around the node `joy_teleop`, over real DDS."""

import time

from sensor_msgs.msg import Joy
from std_srvs.srv import SetBool

from hilrl_interfaces.msg import EeAction, EeState
from hilrl_interfaces.srv import LabelEpisode
from hilrl_ros import qos, stamps

EVERY_S = 0.03


class Bench:
    """Sends while it waits, as a driver does."""

    def __init__(self, probe):
        self.probe = probe
        node = probe.node
        self.actions, self.labels, self.pauses = [], [], []
        self.axes, self.count = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0], 11
        self.sent = None
        self.joys = node.create_publisher(Joy, "joy", qos.EVENTS)
        self.states = node.create_publisher(EeState, "ee_state", qos.JOINT_STATES)
        node.create_service(LabelEpisode, "actor/label", self._on_label)
        node.create_service(SetBool, "actor/pause", self._on_pause)
        node.create_subscription(EeAction, "intervention/joy", self.actions.append, qos.EVENTS)

    def _on_label(self, request, response):
        self.labels.append(request.label)
        response.success = True
        return response

    def _on_pause(self, request, response):
        self.pauses.append(request.data)
        response.success = True
        return response

    def ready(self):
        node = self.probe.node
        self.probe.spin_until(
            lambda: (
                self.joys.get_subscription_count()
                and self.states.get_subscription_count()
                and node.count_publishers("intervention/joy")
                and node.count_clients("actor/label")
                and node.count_clients("actor/pause")
            )
        )
        self.probe.meet("joy_teleop")
        self.probe.spin_for(1.0)  # services and clients know of each other a little later
        self.rest()
        return self

    def rest(self):
        """All at rest for so long that the node trusts it, however late it takes what was sent."""
        self.send()
        self.taken()
        self.hold(duration_s=0.5)

    def taken(self, messages=1):
        self.probe.until_taken_by("joy_teleop", messages)

    def send(self, *down):
        self.sent = Joy(axes=self.axes, buttons=[int(index in down) for index in range(self.count)])
        self.sent.header.stamp = stamps.from_ns(time.time_ns())
        self.joys.publish(self.sent)

    def hold(self, *down, duration_s=0.2):
        """Until the node has it, which may not skip what came in between."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            self.send(*down)
            self.probe.spin_for(EVERY_S)
        self.taken(qos.EVENTS.depth)

    def hold_until(self, condition, *down):
        end_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end_s, "timed out"
            self.send(*down)
            self.probe.spin_for(EVERY_S)

    def press_until(self, condition, *down):
        """Press again and again: a stall of this machine is silence too."""
        end_s = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end_s, "timed out"
            self.rest()
            self.hold(*down, duration_s=0.2)

    def stamp(self, second):
        state = EeState()
        state.header.frame_id = "base_link"
        state.header.stamp.sec = second
        self.states.publish(state)
