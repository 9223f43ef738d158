"""Reading LeRobotDatasets: every number and every frame, or one error that names what is damaged."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot_folders import Episode, change_info, number_of, numbered, write

from hilrl_learning.lerobot.reader import LeRobotReader

TOP = "observation.images.top"
LENGTHS = (13, 20, 1, 17)
STARTS = (0, 13, 33, 34)


def episodes() -> list[Episode]:
    """Four, whose frames and numbers count on from one to the next."""
    made = []
    for index, (start, length) in enumerate(zip(STARTS, LENGTHS, strict=True)):
        numbers = np.arange(start, start + length)
        columns = {
            "observation.state": np.stack([numbers + 0.25 * joint for joint in range(6)], 1).astype(
                np.float32
            ),
            "next.reward": (numbers == start + length - 1).astype(np.float32),
            "next.done": numbers == start + length - 1,
        }
        frames = {TOP: np.stack([numbered(n) for n in numbers])}
        made.append(Episode(columns, frames, task=f"task {index % 2}"))
    return made


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Datasets, each written once."""
    written: dict[str, Path] = {}

    def get(**kwargs: object) -> Path:
        key = repr(sorted(kwargs.items()))
        if key not in written:
            written[key] = write(tmp_path_factory.mktemp("dataset") / "data", episodes(), **kwargs)
        return written[key]

    return get


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize("kind", ["h264", "av1", "images"])
def test_every_number_and_every_frame_in_any_order(
    stock: Callable[..., Path], version: str, kind: str
) -> None:
    options = {"images": True} if kind == "images" else {"codec": kind}
    reader = LeRobotReader(stock(version=version, **options))
    assert (reader.fps, reader.episode_count, reader.tasks) == (30.0, 4, ("task 0", "task 1"))
    assert reader.cameras == (TOP,)
    for index in (3, 0, 2, 1, 1):
        columns, wanted = reader.episode(index), episodes()[index]
        assert reader.length(index) == len(wanted) and reader.tasks_of(index) == (wanted.task,)
        for name, values in wanted.columns.items():
            assert columns[name].dtype == values.dtype
            assert np.array_equal(columns[name], values), name
        assert reader.check(index, TOP) == (64, 96)
        shown = [number_of(frame) for frame in reader.frames(index, TOP)]
        assert shown == list(range(STARTS[index], STARTS[index] + LENGTHS[index]))


def test_colours_are_those_that_were_recorded(stock: Callable[..., Path]) -> None:
    frame = next(LeRobotReader(stock(codec="h264")).frames(1, TOP))
    assert np.abs(frame.astype(int) - numbered(13)).mean() < 3
    assert np.array_equal(next(LeRobotReader(stock(images=True)).frames(1, TOP)), numbered(13))


def test_frames_that_are_not_wanted_any_more_leave_no_process(stock: Callable[..., Path]) -> None:
    frames = LeRobotReader(stock(codec="h264")).frames(1, TOP)
    next(frames)
    frames.close()
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True, check=False
    )
    assert "ffmpeg" not in children.stdout


def test_files_beyond_what_the_description_counts_are_no_episodes(tmp_path: Path) -> None:
    root = write(tmp_path / "data", episodes())
    change_info(root, total_episodes=2)
    assert LeRobotReader(root).episode_count == 2


# Damage: what is done to a dataset, and what the error names.


def lose(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def truncate(path: str, share: float = 0.5) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        file = root / path
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])

    return damage


def info(**changes: object) -> Callable[[Path], None]:
    return lambda root: change_info(root, **changes)


def rows(path: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda root: pq.write_table(change(pq.read_table(root / path)), root / path)


def shorter_video(root: Path) -> None:
    from lerobot_folders import encode

    file = root / VIDEO_3
    file.unlink()
    encode(file, np.stack([numbered(n) for n in range(30)]), 30, "h264")


def null_state(table: pa.Table) -> pa.Table:
    column = table.column("observation.state").to_pylist()
    column[3] = None
    at = table.column_names.index("observation.state")
    return table.set_column(at, "observation.state", pa.array(column, pa.list_(pa.float32())))


def text_reward(table: pa.Table) -> pa.Table:
    at = table.column_names.index("next.reward")
    return table.set_column(at, "next.reward", pa.array(["?"] * table.num_rows))


INFO, EPISODES_3 = "meta/info.json", "meta/episodes/chunk-000/file-000.parquet"
DATA_2, DATA_3 = "data/chunk-000/episode_000001.parquet", "data/chunk-000/file-000.parquet"
VIDEO_2, VIDEO_3 = f"videos/chunk-000/{TOP}/episode_000001.mp4", f"videos/{TOP}/chunk-000/file-000.mp4"

DAMAGE = {
    "no description": ("v3.0", lose(INFO), ["info.json", "no such file"]),
    "cut description": ("v3.0", truncate(INFO), ["info.json", "expected JSON"]),
    "list for a description": ("v3.0", lambda r: (r / INFO).write_text("[]"), ["info.json", "object"]),
    "version from the future": ("v3.0", info(codebase_version="v4.0"), ["codebase_version", "'v4.0'"]),
    "version 1": ("v2.1", info(codebase_version="v1.6"), ["codebase_version", "'v1.6'"]),
    "no frame rate": ("v3.0", info(fps=None), ["info.json", "fps", "None"]),
    "frame rate zero": ("v3.0", info(fps=0), ["fps", "more than 0"]),
    "features without shape": ("v3.0", info(features={"action": {"dtype": "float32"}}), ["features.action"]),
    "more episodes than there are": ("v3.0", info(total_episodes=9), ["total_episodes", "4", "got 9"]),
    "template of something else": ("v3.0", info(data_path="data/{x}.parquet"), ["data_path", "{x}"]),
    "template that looks inside": ("v3.0", info(data_path="{chunk_index.__class__}/{file_index}"), ["data"]),
    "path out of the folder": ("v3.0", info(data_path="../{chunk_index}/{file_index}"), ["data_path"]),
    "no tasks, 2": ("v2.1", lose("meta/tasks.jsonl"), ["tasks.jsonl", "no such file"]),
    "no tasks, 3": ("v3.0", lose("meta/tasks.parquet"), ["tasks.parquet", "no such file"]),
    "no episodes, 2": ("v2.1", lose("meta/episodes.jsonl"), ["episodes.jsonl", "no such file"]),
    "no episodes, 3": ("v3.0", lose(EPISODES_3), ["meta/episodes", "found none"]),
    "an episode is left out": (
        "v3.0", rows(EPISODES_3, lambda t: t.take([0, 1, 3])), ["episode_index", "expected 0 to 2"],
    ),
    "no column of places": (
        "v3.0",
        rows(EPISODES_3, lambda t: t.drop_columns(["data/file_index"])),
        ["data/file_index", "no such"],
    ),
    "length that is none": ("v2.1", lambda r: (r / "meta/episodes.jsonl").write_text(
        '{"episode_index": 0, "tasks": [], "length": -1}'), ["episodes.jsonl", "length", "-1"]),
    "no data": ("v3.0", lose(DATA_3), [DATA_3, "no such file"]),
    "no data, 2": ("v2.1", lose(DATA_2), [DATA_2, "no such file"]),
    "cut data": ("v3.0", truncate(DATA_3), [DATA_3, "readable parquet"]),
    "cut data, 2": ("v2.1", truncate(DATA_2), [DATA_2, "readable parquet"]),
    "rows are missing": ("v3.0", rows(DATA_3, lambda t: t.slice(0, 30)), [DATA_3, "20 rows, got 17"]),
    "a column is missing": (
        "v3.0", rows(DATA_3, lambda t: t.drop_columns(["next.done"])), [DATA_3, "next.done"],
    ),
    "a row without a state": ("v3.0", rows(DATA_3, null_state), [DATA_3, "observation.state", "1 are"]),
    "words for numbers": ("v3.0", rows(DATA_3, text_reward), [DATA_3, "next.reward"]),
    "no video": ("v3.0", lose(VIDEO_3), [VIDEO_3, "no such file"]),
    "no video, 2": ("v2.1", lose(VIDEO_2), [VIDEO_2, "no such file"]),
    "cut video": ("v2.1", truncate(VIDEO_2), [VIDEO_2, "video"]),
    "no video at all": ("v3.0", lambda r: (r / VIDEO_3).write_text("mp4"), [VIDEO_3, "readable video"]),
    "a video shorter than the episode": (
        "v3.0", shorter_video, [VIDEO_3, "episode 1", "expected frame 17 of 20", "has 30 frames"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_error_that_names_it(tmp_path: Path, case: str) -> None:
    version, damage, words = DAMAGE[case]
    root = write(tmp_path / "data", episodes(), version=version)
    damage(root)

    def read() -> None:
        reader = LeRobotReader(root)
        for index in range(reader.episode_count):
            reader.episode(index)
            reader.check(index, TOP)

    with pytest.raises(ValueError) as refused:
        read()
    message = str(refused.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_a_frame_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    root = write(tmp_path / "data", episodes(), version="v2.1", codec="av1")
    file = root / VIDEO_2
    data = bytearray(file.read_bytes())
    start = data.index(b"mdat") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    half = slice(start + length // 2, start + length)
    data[half] = np.random.default_rng(0).bytes(half.stop - half.start)
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"episode_000001.mp4: frame \d+ cannot be decoded"):
        list(LeRobotReader(root).frames(1, TOP))


def test_a_stranger_is_told_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the folder of a LeRobotDataset"):
        LeRobotReader(tmp_path / "nowhere")
    root = write(tmp_path / "data", episodes(), images=True)
    with pytest.raises(ValueError, match=r"camera 'observation.images.wrist': expected one of observation"):
        LeRobotReader(root).check(0, "observation.images.wrist")


def test_image_files_beside_the_rows_are_read(tmp_path: Path) -> None:
    import cv2

    root = write(tmp_path / "data", episodes()[:1], images=True)
    file = root / "images" / "one.png"
    file.parent.mkdir()
    cv2.imwrite(str(file), numbered(44)[..., ::-1])
    path = root / DATA_3
    table = pq.read_table(path)
    at = table.column_names.index(TOP)
    cells = [{"bytes": None, "path": "images/one.png"}] * table.num_rows
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(table.set_column(at, TOP, pa.array(cells, kind)), path)
    assert number_of(next(LeRobotReader(root).frames(0, TOP))) == 44
    file.unlink()
    with pytest.raises(ValueError, match=r"row 0: images/one.png: no such file"):
        list(LeRobotReader(root).frames(0, TOP))


SCRIPT = """
import sys, numpy as np
sys.path.insert(0, sys.argv[2])
from lerobot.datasets.lerobot_dataset import LeRobotDataset
frames = np.load(sys.argv[3])
features = {
    "observation.state": {"dtype": "float32", "shape": (6,), "names": list("abcdef")},
    "observation.images.top": {
        "dtype": sys.argv[4], "shape": frames.shape[1:], "names": ["height", "width", "channels"]
    },
}
made = LeRobotDataset.create(
    "local/made", fps=30, features=features, root=sys.argv[1], use_videos=sys.argv[4] == "video"
)
at = 0
for length in (13, 20, 1, 17):
    for _ in range(length):
        made.add_frame({"observation.state": np.full(6, at, np.float32), "observation.images.top": frames[at],
                        "task": "count"})
        at += 1
    made.save_episode()
made.finalize()
read = LeRobotDataset("local/made", root=sys.argv[1])
images = [read[i]["observation.images.top"].permute(1, 2, 0).numpy() * 255 for i in range(len(read))]
np.save(sys.argv[3] + ".read.npy", np.stack(images).round().astype(np.uint8))
"""


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    "LEROBOT_PYTHON" not in os.environ, reason="LEROBOT_PYTHON names no interpreter with LeRobot"
)
@pytest.mark.parametrize("kind", ["video", "image"])
def test_what_lerobot_writes_is_read_as_lerobot_reads_it(tmp_path: Path, kind: str) -> None:
    frames = np.stack([numbered(n) for n in range(sum(LENGTHS))])
    np.save(tmp_path / "frames.npy", frames)
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments = [str(tmp_path / "data"), str(tmp_path), str(tmp_path / "frames.npy"), kind]
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    made = subprocess.run(
        [os.environ["LEROBOT_PYTHON"], str(tmp_path / "script.py"), *arguments],
        capture_output=True, text=True, env=environment | {"HF_HUB_OFFLINE": "1"}, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr[-2000:]
    theirs = np.load(tmp_path / "frames.npy.read.npy").astype(int)
    reader = LeRobotReader(tmp_path / "data")
    assert json.loads((tmp_path / "data/meta/info.json").read_text())["codebase_version"] == reader.version
    for index in (3, 1, 0, 2):
        wanted = np.arange(STARTS[index], STARTS[index] + LENGTHS[index])
        assert np.array_equal(reader.episode(index)["observation.state"][:, 0], wanted)
        ours = np.stack(list(reader.frames(index, TOP))).astype(int)
        # Each rounds in its way, and blends colours at edges; frames next to each other are 20 apart.
        assert np.abs(ours - theirs[wanted]).mean((1, 2, 3)).max() < 3
