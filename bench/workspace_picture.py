"""The picture in docs/rviz.md: what RViz would show of a running graph, for where there is no RViz.

Looks on for a while at a run that was started elsewhere, and starts `workspace_display` beside it:

    . .venv/ros.sh && hilrl up train --demonstrations 2 --set learner.pretraining_s=1.0 &
    python bench/workspace_picture.py docs/workspace.png [--robot so101] [--after-s 60]
"""

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from sensor_msgs.msg import JointState
from visualization_msgs.msg import MarkerArray
from visualization_msgs.srv import GetInteractiveMarkers

from hilrl_control.kinematics import Kinematics, installed_urdf
from hilrl_control.marker_picture import Scene, draw, skeleton
from hilrl_control.messages import joint_angles
from hilrl_ros import qos

TOPICS = ("ee_controller/workspace_markers", "workspace_display/markers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--robot", default="so101")
    parser.add_argument(
        "--domain", default=os.environ.get("ROS_DOMAIN_ID", "0"), help="ROS domain of the run"
    )
    parser.add_argument("--after-s", type=float, default=60.0)
    parser.add_argument("--trail-points", type=int, default=90)
    arguments = parser.parse_args()

    from hilrl_ros.testing import Probe, starting_nodes  # draws a domain of its own

    os.environ["ROS_DOMAIN_ID"] = arguments.domain
    namespace = f"/{arguments.robot}"
    with (
        tempfile.TemporaryDirectory() as logs,
        closing(Probe(namespace)) as probe,
        starting_nodes(namespace, Path(logs)) as start,
    ):
        start("hilrl_control.workspace_display_node", f"trail_points:={arguments.trail_points}")
        box, trail = TOPICS
        newest: dict[str, MarkerArray | JointState] = {}

        def on_trail(message: MarkerArray) -> None:
            """The arm is drawn as it stood then."""
            newest[trail] = message
            if "joints" in newest:
                newest["arm"] = newest["joints"]

        for topic, kind, keep, profile in (
            (box, MarkerArray, lambda message: newest.update({box: message}), qos.LATCHED),
            (trail, MarkerArray, on_trail, qos.LATCHED),
            ("joint_states", JointState, lambda message: newest.update(joints=message), qos.JOINT_STATES),
        ):
            probe.node.create_subscription(kind, topic, keep, profile)
        began = time.monotonic()
        probe.spin_until(lambda: len(newest) == 4, 60.0)
        probe.spin_for(arguments.after_s - (time.monotonic() - began))
        getter = probe.node.create_client(
            GetInteractiveMarkers, "workspace_display/faces/get_interactive_markers"
        )
        handles = probe.call(getter, GetInteractiveMarkers.Request()).markers
        scene = Scene()
        for topic in TOPICS:
            scene.take(topic, newest[topic])
        scene.take_handles("faces", handles)
        position, _ = joint_angles(newest["arm"])
        draw(scene, skeleton(Kinematics(installed_urdf()), position), arguments.picture)
    print(f"{arguments.picture}: {len(scene.markers)} markers", file=sys.stderr)


if __name__ == "__main__":
    main()
