import json
from dataclasses import replace

import numpy as np
import pytest

from hilrl_perception import reward_data
from hilrl_perception.reward_data import Layout, RewardData


def test_episodes_come_back_as_they_went(tmp_path, layout, episode_of):
    data = RewardData(tmp_path, layout)
    stored = [episode_of([False, True], 1), episode_of([False] * 5, 2, behaviour="stop")]
    for episode in stored:
        data.add(episode)
    found_layout, found = reward_data.read([tmp_path])
    assert found_layout == layout and data.count == len(found) == 2
    for was, now in zip(stored, found, strict=True):
        for field in ("frames", "labels", "stamps_ns", "arm"):
            assert np.array_equal(getattr(was, field), getattr(now, field)), field
        assert now.provenance == was.provenance
    assert isinstance(found[0].frames, np.memmap), "frames are not read into memory before they are needed"


def test_what_was_not_finished_is_not_there(tmp_path, layout, episode_of, monkeypatch):
    """The writer dies between the files: nothing of the episode is seen."""
    data = RewardData(tmp_path, layout)
    data.add(episode_of([True], 1))

    def dies(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(reward_data.json, "dump", dies)
    with pytest.raises(KeyboardInterrupt):
        data.add(episode_of([True], 2))
    assert len(reward_data.read([tmp_path])[1]) == 1


def test_folders_of_other_frames_are_refused(tmp_path, layout, episode_of):
    RewardData(tmp_path / "a", layout).add(episode_of([True], 1))
    with pytest.raises(ValueError, match=r"expected frames of Layout\(cameras=\('top',\)"):
        RewardData(tmp_path / "a", Layout(("top",), (64, 64)))
    RewardData(tmp_path / "b", Layout(("top",), (64, 64)))
    with pytest.raises(ValueError, match="expected one layout"):
        reward_data.read([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(ValueError, match="expected labelled episodes, found none"):
        reward_data.read([tmp_path / "b"])
    with pytest.raises(ValueError, match=r"layout\.json: expected readable JSON"):
        reward_data.read([tmp_path / "c"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "frames.npy").write_bytes(b"no"), "frames.npy: expected an array of frames"),
        (lambda f: np.save(f / "frames.npy", np.array([{}], object)), "frames.npy: expected an array of fr"),
        (lambda f: np.save(f / "frames.npy", np.zeros((2, 2, 64, 64, 3))), "frames: expected uint8"),
        (lambda f: np.save(f / "frames.npy", np.zeros((1, 2, 64, 64, 3), np.uint8)), "frames: expected sh"),
        (lambda f: (f / "episode.json").write_text("{"), "episode.json: expected readable JSON"),
        (lambda f: _edit(f, labels=[0, 2]), "labels: expected 0 and 1 alone"),
        (lambda f: _edit(f, labels=[0]), r"frames: expected shape \(1, 2, 64, 64, 3\), got \(2, 2"),
        (lambda f: _edit(f, stamps_ns=None), "episode.json: expected a labelled episode"),
        (lambda f: _edit(f, provenance={}), "provenance: expected a source"),
    ],
)
def test_damage_is_named(tmp_path, layout, episode_of, damage, message):
    damage(RewardData(tmp_path, layout).add(episode_of([False, True], 1)))
    with pytest.raises(ValueError, match=message):
        reward_data.read([tmp_path])


def test_an_episode_that_does_not_fit_is_not_stored(tmp_path, layout, episode_of):
    data, episode = RewardData(tmp_path, layout), episode_of([False, True], 1)
    for wrong in (
        replace(episode, labels=episode.labels[:1]),
        replace(episode, arm=episode.arm[:, :4]),
        replace(episode, frames=episode.frames.astype(np.float32)),
        replace(episode, provenance={}),
    ):
        with pytest.raises(ValueError, match="episode: .*expected"):
            data.add(wrong)
    assert data.count == 0


def _edit(folder, **changes):
    path = folder / "episode.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
