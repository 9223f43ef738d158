"""Checkpoints: whole or refused."""

import pytest
import torch

from hilrl_learning import checkpoint

TENSORS = {"a": torch.arange(5.0)}


def write(folder, version: int):
    checkpoint.save(folder, str(version), TENSORS, {"version": version}, b"policy")
    checkpoint.mark_latest(folder, str(version))


def test_newest_checkpoint_is_read_back(tmp_path):
    for version in (9, 10, 11):
        write(tmp_path, version)
    found, refused = checkpoint.load_newest(tmp_path)
    assert found.state["version"] == 11 and not refused
    assert torch.equal(found.tensors["a"], TENSORS["a"])
    assert (tmp_path / "latest").read_text() == "11"


@pytest.mark.parametrize("file", ["training.safetensors", "policy.safetensors", "state.json"])
def test_damaged_checkpoint_is_refused_with_its_reason_and_the_previous_one_taken(tmp_path, file):
    write(tmp_path, 1)
    write(tmp_path, 2)
    path = tmp_path / "2" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    found, refused = checkpoint.load_newest(tmp_path)
    assert found.state["version"] == 1
    assert len(refused) == 1 and refused[0].startswith("checkpoint 2: refused: ")


def test_half_written_checkpoint_is_not_seen(tmp_path):
    write(tmp_path, 1)
    (tmp_path / ".2.tmp").mkdir()
    (tmp_path / ".2.tmp" / "policy.safetensors").write_bytes(b"half")
    found, refused = checkpoint.load_newest(tmp_path)
    assert found.state["version"] == 1 and not refused


def test_old_checkpoints_go_and_the_imitation_policy_stays(tmp_path):
    (tmp_path / "bc").mkdir()
    for version in range(1, 7):
        write(tmp_path, version)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"bc", "latest", "4", "5", "6"}


def test_nothing_there_is_no_error(tmp_path):
    assert checkpoint.load_newest(tmp_path / "none") == (None, [])
