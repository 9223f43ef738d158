"""RViz's side of interactive markers, as its Jazzy client behaves."""

import copy

from visualization_msgs.msg import InteractiveMarkerFeedback, InteractiveMarkerUpdate
from visualization_msgs.srv import GetInteractiveMarkers

from hilrl_ros import qos


class RvizClient:
    """Takes all markers once, then updates whose numbers follow each other, or none."""

    def __init__(self, probe, name):
        self.probe, node = probe, probe.node
        self.markers, self.newest, self.updates = {}, None, []
        self.feedback = node.create_publisher(InteractiveMarkerFeedback, f"{name}/feedback", qos.EVENTS)
        node.create_subscription(InteractiveMarkerUpdate, f"{name}/update", self._on_update, qos.EVENTS)
        self._getter = node.create_client(GetInteractiveMarkers, f"{name}/get_interactive_markers")
        self._name = name

    def connect(self):
        probe, node = self.probe, self.probe.node
        probe.spin_until(lambda: node.count_publishers(f"{self._name}/update"))
        probe.spin_until(self.feedback.get_subscription_count)
        response = probe.call(self._getter, GetInteractiveMarkers.Request())
        while not response.markers:
            probe.spin_for(0.1)
            response = probe.call(self._getter, GetInteractiveMarkers.Request())
        self.newest = response.sequence_number
        self.markers = {marker.name: marker for marker in response.markers}
        for update in self.updates:
            self._apply(update)

    def _on_update(self, update):
        self.updates.append(update)
        if self.newest is not None:
            self._apply(update)

    def _apply(self, update):
        assert update.type == InteractiveMarkerUpdate.UPDATE
        if update.seq_num <= self.newest:
            return  # older than the answer of the service
        assert update.seq_num == self.newest + 1, "RViz would start anew"
        self.newest = update.seq_num
        for marker in update.markers:
            self.markers[marker.name] = marker
        for name in update.erases:
            del self.markers[name]

    def place(self, name):
        """Where a face is shown along its own axis [m]."""
        at = self.markers[name].pose.position
        return {"x": at.x, "y": at.y, "z": at.z}[name[0]]

    def text(self, name):
        """What is written at a face, in one line."""
        return self.markers[name].controls[0].markers[1].text.replace("\n", " ")

    def drag(self, name, place_m, release=True, **fields):
        """Press, move in ten steps and let go, with all that RViz says on the way."""
        start, axis = self.place(name), name[0]
        for step in range(11):
            self.send(name, axis, start + (place_m - start) * step / 10, "POSE_UPDATE", **fields)
            if step == 0:
                self.send(name, axis, start, "MOUSE_DOWN", **fields)
        if release:
            self.send(name, axis, place_m, "MOUSE_UP", **fields)

    def send(self, name, axis, place_m, event, frame_id="base_link"):
        feedback = InteractiveMarkerFeedback(
            client_id="rviz",
            marker_name=name,
            control_name="move",
            event_type=getattr(InteractiveMarkerFeedback, event),
            pose=copy.deepcopy(self.markers[name].pose if name in self.markers else None),
        )
        feedback.header.frame_id = frame_id
        setattr(feedback.pose.position, axis, place_m)
        self.feedback.publish(feedback)
        self.probe.spin_for(0.02)
