"""config/hilrl.rviz against the graph it looks at: RViz says nothing of a topic that nobody publishes."""

import re
import xml.etree.ElementTree as ElementTree
from contextlib import closing
from pathlib import Path

import pytest
import xacro
import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rclpy.qos import DurabilityPolicy, QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible
from sensor_msgs.msg import Image
from std_msgs.msg import String
from visualization_msgs.msg import InteractiveMarkerFeedback, Marker, MarkerArray

from hilrl import nodes
from hilrl_ros.testing import Probe, new_namespace, starting_nodes

CONFIG = Path(__file__).parents[1] / "config" / "hilrl.rviz"
URDF = CONFIG.parents[1] / "urdf" / "so101.urdf.xacro"
PLUGIN = "rviz_default_plugins"
# What the file may use of Jazzy's: rviz_default_plugins/plugins_description.xml, branch jazzy of ros2/rviz.
JAZZY = {
    "Display": "Axes Camera Grid Image InteractiveMarkers Marker MarkerArray RobotModel TF",
    "Tool": "FocusCamera Interact Measure MoveCamera PublishPoint Select",
    "ViewController": "FPS Orbit ThirdPersonFollower TopDownOrtho XYOrbit",
}
PANELS = {"Displays", "Help", "Selection", "Time", "Tool Properties", "Transformation", "Views"}
TYPES = {"RobotModel": String, "MarkerArray": MarkerArray, "Image": Image}
OF_THE_STATE_PUBLISHER = {"robot_description"}
"""Published by robot_state_publisher, reliable and latched; it does not come as a wheel."""
NODES = (
    "hilrl_sim.sim_node",
    "hilrl_perception.image_cropper_node",
    "hilrl_control.ee_controller_node",
    "hilrl_control.workspace_display_node",
)


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load(CONFIG.read_text())


@pytest.fixture(scope="module")
def manager(config):
    return config["Visualization Manager"]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A node in the robot's namespace, as RViz is one, with those beside it that publish what RViz shows."""
    namespace = new_namespace()
    logs = tmp_path_factory.mktemp("graph")
    with closing(Probe(namespace)) as probe, starting_nodes(namespace, logs) as start:
        for node in NODES:
            start(node)
        yield probe


def of(manager, kind):
    """The displays of a class."""
    found = [shown for shown in manager["Displays"] if shown["Class"] == f"{PLUGIN}/{kind}"]
    assert found
    return found


def topics(manager):
    """(class, its settings of a topic) of each display that subscribes to one."""
    for shown in manager["Displays"]:
        for settings in shown.values():
            if isinstance(settings, dict) and "Durability Policy" in settings:
                yield shown["Class"].partition("/")[2], settings


def profile(settings):
    """QoS as RViz makes it of its settings."""
    return QoSProfile(
        depth=settings["Depth"],
        durability=DurabilityPolicy[settings["Durability Policy"].upper().replace(" ", "_")],
        reliability=ReliabilityPolicy[settings["Reliability Policy"].upper().replace(" ", "_")],
    )


def test_every_class_is_one_of_jazzys(config, manager):
    used = {
        "Display": [shown["Class"] for shown in manager["Displays"]],
        "Tool": [tool["Class"] for tool in manager["Tools"]],
        "ViewController": [manager["Views"]["Current"]["Class"]],
    }
    for kind, classes in used.items():
        assert set(classes) <= {f"{PLUGIN}/{name}" for name in JAZZY[kind].split()}
    assert {panel["Class"] for panel in config["Panels"]} <= {f"rviz_common/{name}" for name in PANELS}
    for shown in manager["Displays"]:
        assert shown["Name"] and shown["Value"] == shown["Enabled"]


def test_the_installed_rviz_has_every_class(config):
    try:
        share = Path(get_package_share_directory(PLUGIN))
    except PackageNotFoundError:
        pytest.skip("needs an installed RViz")
    root = ElementTree.fromstring((share / "plugins_description.xml").read_text())
    installed = {entry.get("name") for entry in root.iter("class")}
    assert set(re.findall(rf"{PLUGIN}/\w+", CONFIG.read_text())) <= installed


def test_the_fixed_frame_is_the_root_of_the_robot_and_the_markers_are_in_it(manager):
    fixed = manager["Global Options"]["Fixed Frame"]
    robot = ElementTree.fromstring(xacro.process_file(str(URDF)).toxml())
    links = {link.get("name") for link in robot.iter("link")}
    children = {joint.find("child").get("link") for joint in robot.iter("joint")}
    assert links - children == {fixed}
    assert manager["Views"]["Current"]["Target Frame"] in links
    (model,) = of(manager, "RobotModel")
    assert model["TF Prefix"] == "", "frames are named as in the URDF"


def test_names_are_relative_so_that_one_file_serves_every_robot(manager):
    names = [settings["Value"] for _, settings in topics(manager)]
    names += [shown["Interactive Markers Namespace"] for shown in of(manager, "InteractiveMarkers")]
    assert len(names) == 6 and all(name and not name.startswith(("/", "~")) for name in names)


@pytest.mark.parametrize("node", [nodes.STATE_PUBLISHER, nodes.RVIZ], ids=lambda node: node.name)
def test_two_robots_do_not_mix_their_frames(node):
    """All have a base_link: RViz must hear of one robot's frames alone."""
    assert node.in_namespace and dict(node.remappings) == {"/tf": "tf", "/tf_static": "tf_static"}


def test_every_topic_is_published_as_rviz_expects_it(manager, graph):
    seen = set()
    for kind, settings in topics(manager):
        wanted, name = profile(settings), settings["Value"]
        if name in OF_THE_STATE_PUBLISHER:
            assert wanted.durability == DurabilityPolicy.TRANSIENT_LOCAL
            continue
        graph.spin_until(lambda topic=name: graph.node.get_publishers_info_by_topic(topic), 60.0)
        (publisher,) = graph.node.get_publishers_info_by_topic(name)
        package, _, message = publisher.topic_type.partition("/msg/")
        assert (package, message) == (TYPES[kind].__module__.split(".")[0], TYPES[kind].__name__)
        compatible, why = qos_check_compatible(publisher.qos_profile, wanted)
        assert compatible != QoSCompatibility.ERROR, f"{name}: {why}"
        arrived = []
        graph.node.create_subscription(TYPES[kind], name, arrived.append, wanted)
        graph.spin_until(lambda taken=arrived: taken, 60.0)
        seen.add(name)
        for marker in getattr(arrived[-1], "markers", []):
            if marker.action == Marker.ADD:
                assert marker.header.frame_id == manager["Global Options"]["Fixed Frame"]
    assert seen >= {"camera/front/image_crop", "camera/wrist/image_crop", "workspace_display/markers"}


def test_the_faces_are_served_where_rviz_looks_for_them(manager, graph):
    (faces,) = of(manager, "InteractiveMarkers")
    name = faces["Interactive Markers Namespace"]
    resolved = f"{graph.node.get_namespace()}/{name}"
    kinds = {
        f"{resolved}/update": "visualization_msgs/msg/InteractiveMarkerUpdate",
        f"{resolved}/feedback": "visualization_msgs/msg/InteractiveMarkerFeedback",
    }
    graph.spin_until(lambda: kinds.keys() <= dict(graph.node.get_topic_names_and_types()).keys(), 60.0)
    there = dict(graph.node.get_topic_names_and_types())
    assert all(there[topic] == [kind] for topic, kind in kinds.items())
    service = f"{resolved}/get_interactive_markers"
    graph.spin_until(lambda: service in dict(graph.node.get_service_names_and_types()), 60.0)
    # RViz leaves interactive_markers' client at its defaults, which are those of ROS.
    (updates,) = graph.node.get_publishers_info_by_topic(f"{name}/update")
    compatible, why = qos_check_compatible(updates.qos_profile, QoSProfile(depth=100))
    assert compatible != QoSCompatibility.ERROR, why
    feedback = graph.node.create_publisher(InteractiveMarkerFeedback, f"{name}/feedback", QoSProfile(depth=1))
    graph.spin_until(feedback.get_subscription_count, 60.0)
