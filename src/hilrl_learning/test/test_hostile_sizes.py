"""What others send, or leave on the disk, is refused for its size before memory is given to it."""

import json
import os
import resource
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from policies import fresh_policy
from pyarrow import parquet
from sensor_msgs.msg import Image

from hilrl_interfaces.msg import PolicyWeights
from hilrl_learning import messages, spool
from hilrl_learning.lerobot import reader_files
from hilrl_learning.messages import image_array, step_from_message, step_to_message, weights_from_message
from hilrl_learning.policy import load_policy
from hilrl_learning.receiver import AHEAD_KEPT_IN_ALL, StepReceiver
from hilrl_learning.replay_files import MAX_ACTORS
from hilrl_learning.spool import Spool
from hilrl_learning.weights import pack

SPARE_BYTES = 256 << 20
"""Far below what the hostile sizes ask for, and enough to say no."""


@contextmanager
def little_memory() -> Iterator[None]:
    """Whoever takes more than a little inside gets a MemoryError, or torch's word for it."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize(
    "change",
    [
        {"features_per_camera": 10**9},
        {"features_per_camera": 10**30},
        {"settings": {"hidden": [10**6, 10**6]}},
        {"settings": {"hidden": ["wide"]}},
    ],
)
def test_a_policy_whose_networks_would_be_huge_is_refused(spec, change):
    tensors, policy_spec = fresh_policy(spec)
    if "settings" in change:
        change = {"settings": {**policy_spec.settings, **change["settings"]}}
    payload = pack(tensors, replace(policy_spec, **change))
    load_policy(pack(tensors, policy_spec), 1)  # torch loads what it needs
    with little_memory(), pytest.raises(ValueError, match="weights: ") as caught:
        load_policy(payload, 1)
    assert "allocate" not in str(caught.value)


def test_a_header_that_claims_more_than_there_is_is_refused(spec):
    payload = bytearray(pack(*fresh_policy(spec)))
    payload[:8] = (1 << 62).to_bytes(8, "little")
    with little_memory(), pytest.raises(ValueError, match="weights: not a policy payload"):
        load_policy(bytes(payload), 1)


def test_a_tensor_that_claims_more_than_there_is_is_refused(spec):
    header = {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    text = json.dumps(header).encode()
    with little_memory(), pytest.raises(ValueError, match="weights: not a policy payload"):
        load_policy(len(text).to_bytes(8, "little") + text + bytes(64), 1)


def test_weights_that_are_too_large_are_not_even_copied(monkeypatch):
    monkeypatch.setattr(messages, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match="data: expected at most 100 bytes, got 101"):
        weights_from_message(PolicyWeights(data=array("B", bytes(101))))


def test_an_image_of_another_size_is_refused_before_it_is_converted():
    width = height = 8000
    image = Image(height=height, width=width, step=width, encoding="mono8")
    image._data = array("B", b"")  # its 64 MB would be 192 MB as rgb
    with little_memory(), pytest.raises(ValueError, match="expected height x width 64x64, got 8000x8000"):
        image_array("observation.images[front]", image, (64, 64))


@pytest.mark.parametrize("name", ["", "../../home", ".hidden", "a" * 65, "a/b", "a b", "a\n"])
def test_an_actor_id_that_is_no_name_for_a_folder_is_refused(stream, spec, name):
    message = step_to_message(next(stream.steps(1)), spec, "base_link")
    message.actor_id = name
    with pytest.raises(ValueError, match="actor_id: expected 1 to 64 letters"):
        step_from_message(message, spec)


def test_steps_that_wait_for_a_missing_one_are_bounded_over_all_actors(stream):
    receiver = StepReceiver({}, lambda step: None)
    step = next(stream.steps(1))
    for number in range(AHEAD_KEPT_IN_ALL + 50):
        receiver.add(replace(step, actor_id=f"arm{number % 100}", sequence=2 + number // 100))
    assert (receiver.counts.ahead, receiver.counts.refused) == (AHEAD_KEPT_IN_ALL, 50)


def test_actors_are_bounded(stream):
    receiver = StepReceiver({f"arm{number}": 1 for number in range(MAX_ACTORS)}, lambda step: None)
    with pytest.raises(ValueError, match=f"actor_id: expected at most {MAX_ACTORS} actors"):
        receiver.add(next(stream.steps(1)))
    assert len(receiver.received) == MAX_ACTORS


def sparse(path: os.PathLike, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)


def test_a_huge_file_in_the_spool_is_refused_unread(tmp_path):
    Spool(tmp_path).close()
    sparse(tmp_path / f"{1:020d}.steps", spool.MAX_FILE_BYTES + 1)
    with little_memory(), pytest.raises(ValueError, match=r"spool .*expected at most \d+ bytes"):
        Spool(tmp_path)


def test_a_frame_of_the_spool_that_claims_more_than_there_is_ends_it(tmp_path):
    written = Spool(tmp_path)
    written.append(1, 1, b"step")
    written.close()
    with next(tmp_path.glob("*.steps")).open("ab") as file:
        file.write((0xFFFFFFFF).to_bytes(4, "little") + bytes(40))
    with little_memory():
        assert Spool(tmp_path).last_sequence == 1


@pytest.mark.parametrize("read", [reader_files.read_table, reader_files.DataFile])
def test_a_small_dataset_file_that_claims_many_rows_is_refused(tmp_path, monkeypatch, read: Callable):
    monkeypatch.setattr(reader_files, "MAX_ROWS", 1000)
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"episode_index": np.zeros(1001, np.int64)}), path)
    with pytest.raises(ValueError, match=f"{path}: expected at most 1000 rows, got 1001"):
        read(path)


def test_a_huge_text_of_a_dataset_is_refused_unread(tmp_path):
    sparse(tmp_path / "info.json", 10 << 30)
    with little_memory(), pytest.raises(ValueError, match=r"info\.json: expected at most \d+ bytes, got \d+"):
        reader_files.read_text(tmp_path / "info.json")
