"""Files of the MCAP recorder without ROS around them: disks that fail, more than the disk takes, definitions.

One disk is a real one of a megabyte, which only root may mount.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mcap_contents import contents, is_complete, only_file
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from hilrl_ros import mcap_recording
from hilrl_ros.mcap_file import Channel
from hilrl_ros.mcap_recording import QUEUE_BYTES, McapRecording
from hilrl_ros.message_definition import full_definition
from hilrl_ros.topic_choice import chosen_topics

PATIENCE_S = 60.0
WORDS = Channel("/words", "std_msgs/msg/String", full_definition("std_msgs/msg/String"), "", "")
RANDOM = np.random.default_rng(0)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Callable[..., McapRecording]]:
    """`recording(folder, keep_free_bytes)`; what it says is in `said`."""
    made: list[McapRecording] = []

    def make(folder: Path, keep_free_bytes: int = 0) -> McapRecording:
        said: list[str] = []
        made.append(McapRecording(folder, keep_free_bytes, said.append))
        made[-1].said = said
        return made[-1]

    yield make
    for one in made:
        assert one.close(PATIENCE_S)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of a megabyte; skips the test where none may be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a disk: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def wait_until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def noise() -> str:
    """64 KiB that do not get much smaller when they are packed."""
    return RANDOM.integers(32, 127, 1 << 16, np.uint8).tobytes().decode()


def add(recording: McapRecording, text: str) -> None:
    recording.add(WORDS, time.time_ns(), time.time_ns(), bytes(serialize_message(String(data=text))))


def test_a_full_disk_ends_the_file_and_a_new_one_begins_when_there_is_space(
    recording, small_disk, monkeypatch
):
    monkeypatch.setattr(mcap_recording, "RETRY_S", 1.1)
    folder = small_disk / "mcap"
    (small_disk / "others").write_bytes(bytes(1 << 19))
    full = recording(folder)
    wait_until(lambda: add(full, noise()) or full.dropped)
    at_first = full.dropped
    wait_until(lambda: add(full, noise()) or full.dropped > at_first)
    assert len(full.said) == 1 and f"{folder}: cannot write: [Errno 28] No space left" in full.said[0]
    (small_disk / "others").unlink()
    add(full, "after")
    wait_until(lambda: not full.fault)
    assert full.close(PATIENCE_S)
    *ended, last = sorted(folder.iterdir())
    assert all(contents(path) for path in ended), "no file stays behind that holds nothing"
    assert is_complete(last) and contents(last)[-1].decoded.data == "after"


def test_the_disk_is_left_to_others_before_it_is_full(recording, tmp_path):
    greedy = recording(tmp_path / "mcap", keep_free_bytes=1 << 60)
    add(greedy, "word")
    wait_until(lambda: greedy.fault)
    assert "expected at least 1099511627776 MiB of free disk space, got " in greedy.fault
    assert not list((tmp_path / "mcap").iterdir())


def test_memory_is_bounded_and_what_is_dropped_is_counted(recording, tmp_path):
    (tmp_path / "mcap").write_text("a file in the way")
    stuck = recording(tmp_path / "mcap")
    wait_until(lambda: stuck.fault)
    text = noise()
    count = 2 * QUEUE_BYTES // len(text)
    for _ in range(count):
        add(stuck, text)
    assert count / 2 <= stuck.dropped < count
    (tmp_path / "mcap").unlink()
    assert stuck.close(PATIENCE_S)
    assert stuck.written + stuck.dropped == count
    assert len(contents(only_file(tmp_path / "mcap"))) == stuck.written


def test_a_definition_has_all_that_is_in_the_type_once(tmp_path):
    text = full_definition("hilrl_interfaces/msg/Step")
    parts = text.split("=" * 80 + "\n")
    names = [part.partition("\n")[0] for part in parts[1:]]
    assert parts[0].startswith("# One control step")
    assert sorted(names) == [
        "MSG: builtin_interfaces/Time",
        "MSG: hilrl_interfaces/EeAction",
        "MSG: hilrl_interfaces/Observation",
        "MSG: sensor_msgs/Image",
        "MSG: std_msgs/Header",
    ]


@pytest.mark.parametrize(
    "name", ["nowhere/msg/Thing", "std_msgs/msg/Thing", "std_srvs/srv/Trigger_Request", "String"]
)
def test_a_type_that_is_not_here_is_named(name):
    with pytest.raises(ValueError, match=f"{name}: expected a message type that is installed here"):
        full_definition(name)


def test_names_of_topics_are_separated_by_commas_or_spaces():
    assert chosen_topics(" joint_states,/learner/ack  all ", "mcap") == (
        "joint_states",
        "/learner/ack",
        "all",
    )
    with pytest.raises(ValueError, match="mcap: expected names of topics, or all, got 'a-b'"):
        chosen_topics("a, a-b", "mcap")
