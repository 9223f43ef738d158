"""What the recorder writes is a LeRobotDataset v3 folder at every moment; read here without our reader."""

import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from step_stream import SPEC, StepStream

from hilrl_learning.data import Action, Gripper, Source, Step
from hilrl_learning.lerobot import statistics, video
from hilrl_learning.lerobot.features import ACTION_NAMES, Schema, action_vector, gripper_command
from hilrl_learning.lerobot.writer import DatasetWriter

SCHEMA = Schema(SPEC, control_hz=10.0, step_m=0.02, step_rad=0.1, action_axes=("x", "y", "z"))
TASK = "lift the cube"
LEROBOT_PYTHON = os.environ.get("LEROBOT_PYTHON")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "dataset"


@pytest.fixture
def writer(root):
    writer = DatasetWriter(root, SCHEMA, TASK)
    yield writer
    writer.close()


def smooth(steps) -> list[Step]:
    """The steps with frames such as a camera sees: noise cannot be encoded well."""
    rows, columns = np.mgrid[0:64, 0:64]
    found = []
    for index, step in enumerate(steps):
        frame = np.stack([rows * 3, columns * 3, np.full_like(rows, 5 * index)], axis=-1).astype(np.uint8)
        images = np.stack([frame, frame[::-1]])
        found.append(replace(step, observation=replace(step.observation, images=images)))
    return found


def info(root: Path) -> dict:
    return json.loads((root / "meta" / "info.json").read_text())


def rows(root: Path) -> pa.Table:
    """All data files, as any reader of parquet sees them."""
    return pa.concat_tables(parquet.read_table(path) for path in sorted(root.glob("data/*/*.parquet")))


def entries(root: Path) -> list[dict]:
    paths = sorted(root.glob("meta/episodes/*/*.parquet"))
    return pa.concat_tables(parquet.read_table(path) for path in paths).to_pylist()


def decoded(path: Path) -> np.ndarray:
    """The frames of a video of 64 x 64 pixels, shape (n, 64, 64, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 64, 64, 3)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))


def test_rows_hold_what_the_steps_held(root, writer, stream):
    episodes = [list(stream.steps(7)), list(stream.steps(5, terminated=False)), list(stream.steps(1))]
    for steps in episodes:
        writer.add(steps, {})
    table = rows(root)
    steps = [step for episode in episodes for step in episode]
    found = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}

    assert np.array_equal(np.stack(found["observation.state"]), [step.observation.state for step in steps])
    assert np.array_equal(np.stack(found["action"]), [action_vector(step.action) for step in steps])
    assert np.array_equal(found["next.reward"], np.float32([step.reward for step in steps]))
    ends = [0] * 6 + [1] + [0] * 4 + [1] + [1]
    assert found["next.done"].tolist() == [bool(end) for end in ends]
    assert np.flatnonzero(found["next.truncated"]).tolist() == [11]
    assert np.flatnonzero(found["next.success"]).tolist() == [6, 12]
    assert found["source"].tolist() == [int(step.action.source) for step in steps]
    assert found["policy_version"].tolist() == [step.action.policy_version for step in steps]
    assert found["trainable"].all()
    assert found["frame_index"].tolist() == [*range(7), *range(5), 0]
    assert np.array_equal(found["timestamp"], np.float32(found["frame_index"] / 10))
    assert found["episode_index"].tolist() == [0] * 7 + [1] * 5 + [2]
    assert found["index"].tolist() == list(range(13))
    assert set(found["task_index"]) == {0}


def test_info_names_every_column_with_its_type_and_shape(root, writer, stream):
    writer.add(list(stream.steps(3)), {})
    stored = info(root)
    schema = rows(root).schema
    assert (stored["codebase_version"], stored["fps"], stored["robot_type"]) == ("v3.0", 10, "so101")
    assert stored["splits"] == {"train": "0:1"} and stored["total_frames"] == 3
    videos = {name for name, feature in stored["features"].items() if feature["dtype"] == "video"}
    assert videos == {"observation.images.front", "observation.images.wrist"}
    assert set(stored["features"]) - videos == set(schema.names)
    arrow = {"float32": "float", "bool": "bool", "int64": "int64"}
    for name in schema.names:
        feature, kind = stored["features"][name], schema.field(name).type
        if feature["shape"] == [1]:
            assert str(kind) == arrow[feature["dtype"]]
        else:
            assert kind.list_size == feature["shape"][0] == len(feature["names"])
            assert str(kind.value_type) == arrow[feature["dtype"]]
    assert stored["features"]["observation.state"]["names"] == list(SPEC.state_names)
    assert stored["features"]["action"]["names"] == ["x", "y", "z", "pitch", "roll", "gripper"]
    assert stored["hilrl"]["step_m"] == 0.02 and stored["hilrl"]["control_hz"] == 10.0
    assert stored["hilrl"]["action_axes"] == ["x", "y", "z"]


def test_entries_say_where_an_episode_is(root, writer, stream):
    for length in (4, 6):
        writer.add(list(stream.steps(length)), {})
    for index, entry in enumerate(entries(root)):
        assert entry["episode_index"] == index and entry["tasks"] == [TASK]
        assert entry["length"] == entry["dataset_to_index"] - entry["dataset_from_index"] == (4, 6)[index]
        for kind in ("data", "meta/episodes", "videos/observation.images.front"):
            assert (entry[f"{kind}/chunk_index"], entry[f"{kind}/file_index"]) == (0, index)
        assert entry["videos/observation.images.wrist/to_timestamp"] == entry["length"] / 10
    assert [entry["dataset_from_index"] for entry in entries(root)] == [0, 4]


def test_videos_show_every_frame_in_its_place(root, writer, stream):
    steps = smooth(stream.steps(40))
    writer.add(steps, {})
    for number, camera in enumerate(SPEC.cameras):
        path = root / f"videos/observation.images.{camera}/chunk-000/file-000.mp4"
        frames = decoded(path)
        assert frames.shape == (40, 64, 64, 3)
        for frame, step in zip(frames, steps, strict=True):
            assert psnr_db(frame, step.observation.images[number]) > 38
            # One frame further on the blue differs by 5.
            assert (
                abs(float(frame[..., 2].mean()) - float(step.observation.images[number][..., 2].mean())) < 2
            )


def test_the_gripper_of_an_action_is_a_number_between_close_and_open():
    for gripper, value in ((Gripper.CLOSE, -1), (Gripper.STAY, 0), (Gripper.OPEN, 1)):
        vector = action_vector(Action(np.zeros(5, np.float32), gripper))
        assert vector[ACTION_NAMES.index("gripper")] == value
        assert gripper_command(vector[-1]) is gripper


def test_statistics_are_those_of_the_columns(root, writer, stream):
    for length in (9, 30):
        writer.add(list(stream.steps(length)), {})
    table, stored = rows(root), json.loads((root / "meta" / "stats.json").read_text())
    for name in table.column_names:
        values = np.stack(table[name].to_numpy(zero_copy_only=False)).reshape(39, -1).astype(float)
        for statistic, function in (("min", np.min), ("max", np.max), ("mean", np.mean), ("std", np.std)):
            assert np.allclose(stored[name][statistic], function(values, axis=0), atol=1e-6), (
                name,
                statistic,
            )
        assert stored[name]["count"] == [39]
    front = stored["observation.images.front"]
    assert np.shape(front["mean"]) == (3, 1, 1) and front["count"] == [39]
    assert set(front) == {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}


def test_statistics_of_frames_are_those_of_their_pixels():
    frames = np.random.default_rng(0).integers(0, 200, (5, 8, 6, 3), dtype=np.uint8)
    found = statistics.of_frames(frames)
    pixels = frames.reshape(-1, 3) / 255
    for name, function in (("min", np.min), ("max", np.max), ("mean", np.mean), ("std", np.std)):
        assert np.allclose(found[name].ravel(), function(pixels, axis=0))
    assert np.allclose(found["q90"].ravel(), np.quantile(pixels, 0.9, axis=0, method="inverted_cdf"))


def test_a_large_or_long_video_is_sampled():
    assert statistics.of_frames(np.zeros((900, 2, 2, 3), np.uint8))["count"] == [164]
    frames = np.zeros((1, 480, 640, 3), np.uint8)
    frames[:, 1::4] = 255  # between the rows that are looked at
    assert statistics.of_frames(frames)["max"].max() == 0


def test_it_goes_on_with_a_dataset(root, stream):
    for task, length in ((TASK, 4), (TASK, 5), ("place the cube", 6)):
        writer = DatasetWriter(root, SCHEMA, task)
        writer.add(list(stream.steps(length)), {"mark": length})
        assert writer.journal == {"mark": length}
        writer.close()
    assert info(root)["total_episodes"] == 3 and info(root)["total_frames"] == 15
    assert rows(root)["index"].to_pylist() == list(range(15))
    assert rows(root)["task_index"].to_pylist() == [0] * 9 + [1] * 6
    tasks = parquet.read_table(root / "meta" / "tasks.parquet")
    assert tasks["task"].to_pylist() == [TASK, "place the cube"]


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        (replace(SCHEMA, control_hz=20.0), "fps"),
        (replace(SCHEMA, step_m=0.01), "hilrl.step_m"),
        (replace(SCHEMA, action_axes=("x", "y")), "hilrl.action_axes"),
        (replace(SCHEMA, spec=replace(SPEC, image_size=(32, 32))), "features.observation.images.front.shape"),
        (replace(SCHEMA, spec=replace(SPEC, cameras=("front",))), "features.observation.images.wrist.dtype"),
        (replace(SCHEMA, spec=replace(SPEC, state_names=("a", "b", "c", "d"))), "features.observation.state"),
    ],
)
def test_another_schema_is_refused_by_name(root, stream, schema, field):
    writer = DatasetWriter(root, SCHEMA, TASK)
    writer.add(list(stream.steps(3)), {})
    writer.close()
    with pytest.raises(ValueError, match=field):
        DatasetWriter(root, schema, TASK)
    DatasetWriter(root, SCHEMA, TASK).close()


def test_what_the_format_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"control_hz: expected a whole number.*12\.5"):
        replace(SCHEMA, control_hz=12.5)
    with pytest.raises(ValueError, match="image_size: expected even.*63x64"):
        replace(SCHEMA, spec=replace(SPEC, image_size=(63, 64)))


def test_a_folder_that_holds_something_else_is_left_alone(root):
    root.mkdir()
    (root / "thesis.tex").write_text("all my work")
    with pytest.raises(ValueError, match="expected an empty folder or a dataset"):
        DatasetWriter(root, SCHEMA, TASK)
    assert [path.name for path in root.iterdir()] == ["thesis.tex"]


def test_only_one_recorder_writes_a_dataset(root, writer):
    with pytest.raises(ValueError, match="expected to be the only recorder"):
        DatasetWriter(root, SCHEMA, TASK)


def test_the_last_episode_can_be_dropped_and_taken_anew(root, writer, stream):
    kept, unwanted, again = (list(stream.steps(length)) for length in (4, 9, 5))
    writer.add(kept, {"done": 4})
    before = {path: path.read_bytes() for path in root.rglob("file-*")}
    writer.add(unwanted, {"done": 13})
    assert writer.drop_last() == 1
    assert {path: path.read_bytes() for path in root.rglob("file-*")} == before
    assert info(root)["total_frames"] == 4 and writer.journal == {"done": 13}
    writer.add(again, {"done": 18})
    assert rows(root)["episode_index"].to_pylist() == [0] * 4 + [1] * 5
    assert json.loads((root / "meta" / "stats.json").read_text())["index"]["max"] == [8.0]
    writer.drop_last(), writer.drop_last()
    assert info(root)["total_episodes"] == 0 and not list(root.rglob("file-*"))
    with pytest.raises(ValueError, match="expected an episode to drop"):
        writer.drop_last()


def add(writer: DatasetWriter, stream: StepStream) -> None:
    writer.add(smooth(stream.steps(6)), {"done": 11})


def drop(writer: DatasetWriter, stream: StepStream) -> None:
    writer.drop_last()


def killed_at(root: Path, operation: int, action: Callable) -> bool:
    """Whether the writer of a second process is killed; it is, right before this file operation of its."""
    process = os.fork()
    if not process:
        gc.disable()  # what ROS left in this process does not bear to be torn down in a copy of it
        left = operation
        stream = StepStream(seed=1)
        writer = DatasetWriter(root, SCHEMA, TASK)

        def count(event: str, arguments: tuple) -> None:
            """Python announces every file operation here before it is done."""
            nonlocal left
            if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(root) in str(arguments[0]):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            action(writer, stream)
        finally:
            os._exit(int(sys.exc_info()[0] is not None))
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def check_whole(root: Path) -> int:
    """Episodes, each whole, as a reader finds them that knows nothing of strays."""
    stored = info(root)
    count, frames = stored["total_episodes"], stored["total_frames"]
    if not count:
        return 0
    places, table = entries(root)[:count], rows(root)
    assert [entry["episode_index"] for entry in places] == list(range(count))
    assert table["index"].to_pylist()[:frames] == list(range(frames))
    for entry in places:
        begin, end = entry["dataset_from_index"], entry["dataset_to_index"]
        assert set(table["episode_index"].to_pylist()[begin:end]) == {entry["episode_index"]}
        for camera in SPEC.cameras:
            file = entry[f"videos/observation.images.{camera}/file_index"]
            path = root / f"videos/observation.images.{camera}/chunk-000/file-{file:03d}.mp4"
            assert path.stat().st_size > 0
    tasks = parquet.read_table(root / "meta" / "tasks.parquet")["task"].to_pylist()
    assert tasks[: stored["total_tasks"]] == [TASK]
    assert (root / "meta" / "stats.json").exists()
    return count


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("action", "after"), [(add, 2), (drop, 0)])
def test_killed_before_any_file_operation_it_leaves_a_dataset_with_all_committed_episodes(
    tmp_path, stream, action, after
):
    first = DatasetWriter(tmp_path / "first", SCHEMA, TASK)
    first.add(smooth(stream.steps(5)), {"done": 5})
    first.close()
    committed = {path.relative_to(first.root): path.read_bytes() for path in first.root.rglob("file-*")}
    seen, operation, killed = [], 0, True
    while killed:
        root = tmp_path / str(operation)
        shutil.copytree(tmp_path / "first", root)
        killed = killed_at(root, operation, action)
        count = check_whole(root)
        seen.append(count)
        if count:
            assert all((root / path).read_bytes() == content for path, content in committed.items())
        writer = DatasetWriter(root, SCHEMA, TASK)  # the next start
        assert writer.episodes == count
        assert writer.journal == {"done": 11 if count == 2 else 5}
        assert len(list(root.rglob("file-*"))) == 4 * count, "no strays"
        assert not list((root / ".recording" / "aside").glob("*"))
        if operation % 10 == 0:
            writer.add(smooth(stream.steps(7)), {})
            assert check_whole(root) == count + 1
        writer.close()
        operation += 1
    print(f"{operation - 1} file operations")
    # It is there, or gone, at one moment, and never is there another number of episodes.
    assert seen == sorted(seen, reverse=after == 0) and set(seen) == {1, after}


@pytest.mark.skipif(not LEROBOT_PYTHON, reason="LEROBOT_PYTHON does not name an interpreter with LeRobot")
@pytest.mark.parametrize("operation", [-1, 8, 16, 24, 32, 40])
def test_lerobot_opens_what_a_killed_writer_left(tmp_path, stream, operation):
    """Without any clean-up; -1: it is not killed."""
    root = tmp_path / "dataset"
    writer = DatasetWriter(root, SCHEMA, TASK)
    writer.add(smooth(stream.steps(5)), {"done": 5})
    writer.close()
    killed_at(root, operation if operation >= 0 else 1 << 30, add)
    read = "import sys; from lerobot.datasets.lerobot_dataset import LeRobotDataset as D\n"
    read += "d = D('local/test', root=sys.argv[1]); frames = [d[i] for i in range(len(d))]\n"
    read += "print(d.num_episodes, len(frames), frames[-1]['task'])"
    environment = {**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    ended = subprocess.run(
        [LEROBOT_PYTHON, "-c", read, str(root)], capture_output=True, text=True, env=environment, check=False
    )
    stored = info(root)
    assert ended.stdout.split(maxsplit=2) == [
        str(stored["total_episodes"]), str(stored["total_frames"]), TASK + "\n"
    ], ended.stderr  # fmt: skip


def test_a_video_that_cannot_be_written_is_an_error_and_leaves_the_dataset_as_it_was(root, writer, stream):
    writer.add(list(stream.steps(3)), {})
    with pytest.raises(OSError, match="not encoded"):
        video.encode(root / "no such folder" / "x.mp4", np.zeros((1, 64, 64, 3), np.uint8), 10)
    assert check_whole(root) == 1


def test_an_interventions_source_is_kept(root, writer, stream):
    sources = [Source.POLICY, Source.INTERVENTION, Source.DEMONSTRATION]
    writer.add(list(stream.steps(3, source=lambda index: sources[index])), {})
    assert rows(root)["source"].to_pylist() == [0, 1, 2]
