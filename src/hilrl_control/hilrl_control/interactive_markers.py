"""The server's side of RViz's interactive markers: shapes that a mouse can drag.

An installed ROS has the package `interactive_markers` for this, which does not come as a wheel. The protocol,
as its Jazzy client speaks it under one name NAME:

- service NAME/get_interactive_markers: all markers, and the number of the newest update. A client asks when
  it sees the service appear, and again whenever it missed an update.
- topic NAME/update: what changed; each is numbered one higher than the one before.
- topic NAME/feedback: what the mouse does. While it drags, the client moves the marker by itself.

A server says nothing to stay alive: the client watches whether the service is there.
"""

from collections.abc import Callable, Sequence

from visualization_msgs.msg import InteractiveMarker, InteractiveMarkerFeedback, InteractiveMarkerUpdate
from visualization_msgs.srv import GetInteractiveMarkers

from hilrl_ros import qos
from hilrl_ros.node import Node


class InteractiveMarkers:
    """Markers under the name `name`, shown as a whole; `on_release` hears where the mouse let go of one."""

    def __init__(
        self, node: Node, name: str, on_release: Callable[[InteractiveMarkerFeedback], None]
    ) -> None:
        self._server_id = f"{node.get_fully_qualified_name()}/{name}"
        self._on_release = on_release
        self._sequence_number = 0
        self._markers: list[InteractiveMarker] = []
        self._updates = node.create_publisher(InteractiveMarkerUpdate, f"{name}/update", qos.EVENTS)
        node.create_service(GetInteractiveMarkers, f"{name}/get_interactive_markers", self._on_get)
        node.create_subscription(InteractiveMarkerFeedback, f"{name}/feedback", self._on_feedback, qos.EVENTS)

    def show(self, markers: Sequence[InteractiveMarker]) -> None:
        """Replace all markers; one that a mouse moved goes back to where it is here."""
        names = {marker.name for marker in markers}
        erased = [marker.name for marker in self._markers if marker.name not in names]
        self._markers = list(markers)
        self._sequence_number += 1
        self._updates.publish(
            InteractiveMarkerUpdate(
                server_id=self._server_id,
                seq_num=self._sequence_number,
                type=InteractiveMarkerUpdate.UPDATE,
                markers=self._markers,
                erases=erased,
            )
        )

    def _on_get(
        self, _: GetInteractiveMarkers.Request, response: GetInteractiveMarkers.Response
    ) -> GetInteractiveMarkers.Response:
        response.sequence_number, response.markers = self._sequence_number, self._markers
        return response

    def _on_feedback(self, feedback: InteractiveMarkerFeedback) -> None:
        """The client names the pose with every event; only the last of a drag counts here."""
        if feedback.event_type == InteractiveMarkerFeedback.MOUSE_UP:
            self._on_release(feedback)
