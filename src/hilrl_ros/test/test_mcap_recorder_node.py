"""The MCAP recorder among real publishers: what it writes is what they said, whatever becomes of it."""

import signal
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from mcap_contents import contents, is_complete, only_file
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header, String

from hilrl_interfaces.msg import EeAction, Observation, Step
from hilrl_ros import qos
from hilrl_ros.images import to_message
from hilrl_ros.testing import NodeProcess, Probe, StartNode

pytestmark = pytest.mark.timeout(180)

PATIENCE_S = 60.0
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
FRAME = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
IMAGE = to_message(FRAME, Time(sec=3, nanosec=4), "front")
JOINTS = JointState(
    header=Header(stamp=Time(sec=1, nanosec=2)), name=["gripper"], position=[0.1], velocity=[-1e-300]
)
OBSERVATION = Observation(stamp=Time(sec=5), state=array("f", [0.1, -2.0]), images=[IMAGE, IMAGE])
STEP = Step(
    actor_id="so101",
    sequence=2**63,
    observation=OBSERVATION,
    action=EeAction(delta=[0.5, -1.0, 0.0, 1.0, 0.1], gripper=2),
    terminated=True,
    final_observation=[OBSERVATION],
)


@pytest.fixture
def record(start_node: StartNode, tmp_path: Path) -> Callable[..., NodeProcess]:
    """Starts the recorder; `record("a,b")` writes to tmp_path / "mcap"."""

    def start(topics: str, *parameters: str) -> NodeProcess:
        settings = (f"topics:={topics}", f"folder:={tmp_path / 'mcap'}", "keep_free_mb:=0", *parameters)
        return start_node("hilrl_ros.mcap_recorder_node", *settings)

    return start


@pytest.fixture
def status_when(probe: Probe, namespace: str) -> Callable[..., DiagnosticStatus]:
    """`status_when(holds)`: what the recorder says of itself, once that is so."""
    heard: list[DiagnosticStatus] = []

    def take(array: DiagnosticArray) -> None:
        heard.extend(status for status in array.status if status.name == f"{namespace}/mcap_recorder: node")

    probe.node.create_subscription(DiagnosticArray, "/diagnostics", take, qos.EVENTS)

    def wait(holds: Callable[[DiagnosticStatus], bool]) -> DiagnosticStatus:
        heard.clear()
        probe.spin_until(lambda: heard and holds(heard[-1]), PATIENCE_S)
        return heard[-1]

    return wait


def is_heard(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0


def plain(message: Any) -> Any:
    """A message of rclpy or of the decoder, as nested tuples, lists and numbers."""
    if hasattr(message, "get_fields_and_field_types"):
        return tuple(plain(getattr(message, name)) for name in message.get_fields_and_field_types())
    if hasattr(message, "__slots__") and not isinstance(message, array | np.ndarray):
        return tuple(plain(getattr(message, name)) for name in message.__slots__)
    if isinstance(message, str | int | float | bool):
        return message
    return (
        np.asarray(message).tolist() if isinstance(message, array | np.ndarray) else list(map(plain, message))
    )


def written(folder: Path, topic: str) -> list[str]:
    """The words on a topic of Strings that a reader finds now."""
    paths = list(folder.glob("*.mcap"))
    return [entry.decoded.data for entry in contents(paths[0], topic)] if paths else []


def test_what_others_decode_is_what_was_published_bit_for_bit(probe, namespace, record, tmp_path):
    recorder = record(f"step,image,{namespace}/joints")
    said = {"step": STEP, "image": IMAGE, "joints": JOINTS}
    sent: dict[str, bytes] = {}
    publishers = {}
    for name, message in said.items():
        publishers[name] = probe.node.create_publisher(type(message), name, qos.EVENTS)
        take = partial(sent.__setitem__, name)
        probe.node.create_subscription(type(message), name, take, qos.EVENTS, raw=True)
    probe.spin_until(lambda: all(p.get_subscription_count() == 2 for p in publishers.values()), PATIENCE_S)
    for name, publisher in publishers.items():
        publisher.publish(said[name])
    folder = tmp_path / "mcap"
    probe.spin_until(lambda: list(folder.glob("*")) and len(contents(only_file(folder))) == 3, PATIENCE_S)
    probe.spin_until(lambda: set(sent) == set(said), PATIENCE_S)
    assert recorder.stop(signal.SIGTERM) == 0

    assert is_complete(only_file(folder))
    found = {entry.channel.topic: entry for entry in contents(only_file(folder))}
    assert set(found) == {f"{namespace}/{name}" for name in said}
    for topic, entry in found.items():
        name = topic.rpartition("/")[2]
        assert entry.message.data == sent[name]
        assert plain(entry.decoded) == plain(said[name])
        assert (entry.schema.encoding, entry.channel.message_encoding) == ("ros2msg", "cdr")
        assert entry.message.log_time >= entry.message.publish_time > 0
    assert found[f"{namespace}/step"].schema.name == "hilrl_interfaces/msg/Step"


def test_it_hears_every_publisher_whatever_each_offers(probe, namespace, record, tmp_path):
    """What was said before it came, what is offered without promises, and two of which one offers less."""
    latched = probe.node.create_publisher(String, "latched", qos.LATCHED)
    latched.publish(String(data="before"))
    loose = probe.node.create_publisher(String, "loose", BEST_EFFORT)
    mixed = [probe.node.create_publisher(String, "mixed", qos.EVENTS)]
    record("latched,loose,mixed")
    probe.spin_until(lambda: is_heard(loose) and is_heard(mixed[0]), PATIENCE_S)
    mixed.append(probe.node.create_publisher(String, "mixed", BEST_EFFORT))
    probe.spin_until(lambda: is_heard(mixed[1]), PATIENCE_S)

    folder = tmp_path / "mcap"

    def all_came() -> bool:
        loose.publish(String(data="loose"))
        for number, publisher in enumerate(mixed):
            publisher.publish(String(data=f"mixed {number}"))
        return {"before", "loose", "mixed 0", "mixed 1"} <= {
            word
            for topic in ("latched", "loose", "mixed")
            for word in written(folder, f"{namespace}/{topic}")
        }

    probe.spin_until(all_came, PATIENCE_S)
    assert written(folder, f"{namespace}/latched") == ["before"]
    offers = {
        entry.channel.topic.rpartition("/")[2]: yaml.safe_load(entry.channel.metadata["offered_qos_profiles"])
        for entry in contents(only_file(folder))
    }
    assert offers["latched"][0]["durability"] == "transient_local"
    assert offers["loose"][0]["reliability"] == "best_effort"
    assert offers["loose"][0]["deadline"] == {"sec": 9223372036, "nsec": 854775807}


def test_a_topic_that_appears_later_is_recorded_in_the_same_file(probe, namespace, record, tmp_path):
    first = probe.node.create_publisher(String, "first", qos.EVENTS)
    record("first,second")
    probe.spin_until(lambda: is_heard(first), PATIENCE_S)
    first.publish(String(data="one"))
    folder = tmp_path / "mcap"
    probe.spin_until(lambda: written(folder, f"{namespace}/first") == ["one"], PATIENCE_S)
    second = probe.node.create_publisher(String, "second", qos.EVENTS)
    probe.spin_until(lambda: is_heard(second), PATIENCE_S)
    second.publish(String(data="two"))
    probe.spin_until(lambda: written(folder, f"{namespace}/second") == ["two"], PATIENCE_S)
    assert only_file(folder)


def test_all_is_everything_but_the_raw_images(probe, namespace, record, tmp_path):
    raw = probe.node.create_publisher(Image, "camera/front/image_raw", qos.IMAGES)
    crop = probe.node.create_publisher(Image, "camera/front/image_crop", qos.IMAGES)
    words = probe.node.create_publisher(String, "words", qos.EVENTS)
    recorder = record("all")
    probe.spin_until(lambda: is_heard(crop) and is_heard(words), PATIENCE_S)
    assert not is_heard(raw)
    crop.publish(IMAGE)
    words.publish(String(data="word"))
    folder = tmp_path / "mcap"
    wanted = {f"{namespace}/camera/front/image_crop", f"{namespace}/words"}

    def recorded() -> set[str]:
        return {entry.channel.topic for path in folder.glob("*.mcap") for entry in contents(path)}

    probe.spin_until(lambda: recorded() >= wanted, PATIENCE_S)
    recorder.stop()
    assert recorded() >= wanted


def test_what_was_written_outlives_a_kill(probe, namespace, record, tmp_path):
    words = probe.node.create_publisher(String, "words", qos.EVENTS)
    recorder = record("words")
    probe.spin_until(lambda: is_heard(words), PATIENCE_S)
    folder, said = tmp_path / "mcap", []

    def some_came() -> bool:
        came = len(written(folder, f"{namespace}/words"))
        if len(said) < came + qos.EVENTS.depth:  # of more than that, a recorder that is late may miss some
            said.append(str(len(said)))
            words.publish(String(data=said[-1]))
        return came >= 20

    probe.spin_until(some_came, PATIENCE_S)
    before = written(folder, f"{namespace}/words")
    assert recorder.stop(signal.SIGKILL) == -signal.SIGKILL
    found = written(folder, f"{namespace}/words")
    assert found[: len(before)] == before and found == said[: len(found)]
    assert not is_complete(only_file(folder)), "it had no time to complete the file"


def test_a_topic_that_nobody_publishes_is_named(probe, namespace, status_when, record):
    words = probe.node.create_publisher(String, "words", qos.EVENTS)
    record("words,wrods")
    status = status_when(lambda said: "nobody publishes" in said.message)
    assert status.level == DiagnosticStatus.WARN
    assert status.message == f"nobody publishes {namespace}/wrods: is the name right?"
    assert is_heard(words)


def test_a_folder_that_takes_nothing_is_said_once_and_recording_begins_when_it_does(
    probe, namespace, status_when, record, tmp_path
):
    folder = tmp_path / "mcap"
    folder.write_text("a file in the way")
    words = probe.node.create_publisher(String, "words", qos.EVENTS)
    recorder = record("words")
    status = status_when(lambda said: said.level == DiagnosticStatus.ERROR)
    assert status.message.startswith("cannot write: ") and str(folder) in status.message
    probe.spin_until(lambda: is_heard(words), PATIENCE_S)
    words.publish(String(data="waits"))
    folder.unlink()
    probe.spin_until(lambda: written(folder, f"{namespace}/words") == ["waits"], PATIENCE_S)
    assert recorder.log.count("cannot write") == 1
    assert status_when(lambda said: said.level == DiagnosticStatus.OK)


@pytest.mark.parametrize("topics", ["'a,b c-d'", "' , '", "~/state"])
def test_what_is_no_topic_is_refused_by_name(record, topics):
    recorder = record(topics)
    assert recorder.wait() == 2
    assert "error: topics: expected names of topics, or all, got " in recorder.log
