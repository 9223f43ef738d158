"""What the recorder was given comes back from its dataset: numbers to the bit, frames but for the codec."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lerobot_folders import Episode, change_info, write

from hilrl_learning.data import Action, Gripper, Observation, ObservationSpec, Source, Step
from hilrl_learning.lerobot.features import Schema
from hilrl_learning.lerobot.import_own import Motion, OwnEpisodes
from hilrl_learning.lerobot.import_record import ImportRecord
from hilrl_learning.lerobot.import_steps import ACTOR_ID, Frames, Importer
from hilrl_learning.lerobot.reader import LeRobotReader
from hilrl_learning.lerobot.writer import DatasetWriter
from hilrl_learning.observation_sync import state_names
from hilrl_learning.replay import Replay
from hilrl_learning.run_replay import successful_demonstrations

SPEC = ObservationSpec(state_names(), ("front", "wrist"), (32, 32))
MOTION = Motion(control_hz=10.0, step_m=0.02, step_rad=0.1, action_axes=("x", "y", "z", "pitch", "roll"))
GRIPPER = {Gripper.CLOSE: -1.0, Gripper.STAY: 0.0, Gripper.OPEN: 1.0}
INFO = {"hilrl": {"control_hz": 10.0, "step_m": 0.02, "step_rad": 0.1, "action_axes": ["x", "y", "z"]}}
NAMES = {
    "observation.state": state_names(),
    "action": ("x", "y", "z", "pitch", "roll", "gripper"),
}


def smooth(rng: np.random.Generator) -> np.ndarray:
    """A picture that a video codec keeps: two cameras."""
    coarse = rng.integers(40, 216, (2, 2, 2, 3)).astype(np.float32)
    return np.stack([np.kron(picture, np.ones((16, 16, 1))) for picture in coarse]).astype(np.uint8)


def recorded(
    rng: np.random.Generator,
    length: int,
    sources: Sequence[Source] = (Source.DEMONSTRATION,),
    ends: str = "success",
    untrainable: Sequence[int] = (),
) -> list[Step]:
    """The steps of an episode, as the actor makes them."""
    observations = [
        Observation(k * 100_000_000, rng.normal(size=19).astype(np.float32), smooth(rng))
        for k in range(length + 1)
    ]
    return [
        Step(
            actor_id="arm",
            sequence=k + 1,
            episode=1,
            index=k,
            observation=observations[k],
            action=Action(
                delta=rng.uniform(-1, 1, 5).astype(np.float32),
                gripper=Gripper(int(rng.integers(3))),
                source=sources[k % len(sources)],
                policy_version=int(rng.integers(1 << 40)),
            ),
            reward=1.0 if ends == "success" and k == length - 1 else float(np.float32(rng.normal()) * 0.01),
            terminated=ends != "time" and k == length - 1,
            truncated=ends == "time" and k == length - 1,
            trainable=k not in untrainable,
            final_observation=observations[-1] if k == length - 1 else None,
        )
        for k in range(length)
    ]


def as_episode(steps: Sequence[Step]) -> Episode:
    """A row per step."""
    images = np.stack([step.observation.images for step in steps])
    columns = {
        "observation.state": np.stack([step.observation.state for step in steps]),
        "action": np.array(
            [[*step.action.delta, GRIPPER[step.action.gripper]] for step in steps], np.float32
        ),
        "next.reward": np.array([step.reward for step in steps], np.float32),
        "next.done": np.array([step.terminated or step.truncated for step in steps]),
        "next.truncated": np.array([step.truncated for step in steps]),
        "next.success": np.array([step.reward == 1.0 for step in steps]),
        "source": np.array([int(step.action.source) for step in steps]),
        "policy_version": np.array([step.action.policy_version for step in steps]),
        "trainable": np.array([step.trainable for step in steps]),
    }
    frames = {f"observation.images.{name}": images[:, i] for i, name in enumerate(SPEC.cameras)}
    return Episode(columns, frames)


EPISODES = [
    lambda rng: recorded(rng, 7),
    lambda rng: recorded(rng, 12, (Source.POLICY, Source.INTERVENTION, Source.INTERVENTION)),
    lambda rng: recorded(rng, 5, ends="time"),
    lambda rng: recorded(rng, 6, ends="failure", untrainable=(0, 3)),
    lambda rng: recorded(rng, 1),
]


@pytest.fixture
def episodes() -> list[list[Step]]:
    rng = np.random.default_rng(3)
    return [make(rng) for make in EPISODES]


@pytest.fixture
def dataset(tmp_path: Path, episodes: list[list[Step]]) -> Path:
    made = [as_episode(steps) for steps in episodes]
    return write(tmp_path / "dataset", made, fps=10, names=NAMES, info=INFO)


def importer(dataset: Path, spec: ObservationSpec = SPEC, motion: Motion = MOTION) -> Importer:
    reader = LeRobotReader(dataset)
    cameras = {name: Frames(f"observation.images.{name}", lambda frame: frame) for name in spec.cameras}
    return Importer(reader, OwnEpisodes(reader, spec, motion), cameras, spec, 0.1)


def put(dataset: Path, run: Path, capacity: int = 200) -> Replay:
    replay = Replay(run / "replay", SPEC, None, capacity)
    importer(dataset).run(replay, ImportRecord(run), lambda done, of: None)
    return replay


def held(replay: Replay, number: int) -> np.ndarray:
    """Slots of an imported episode, the final observation last."""
    slots = np.flatnonzero(
        (replay.serial > 0) & replay.is_step & (replay.episode == number) & (replay.index == 0)
    )
    assert len(slots) == 1
    chain = [int(slots[0])]
    while replay.is_step[chain[-1]]:
        chain.append(int(replay.next[chain[-1]]))
    return np.array(chain)


@pytest.fixture(params=["a writer of the test's own", "the recorder's"])
def written(request: pytest.FixtureRequest, tmp_path: Path, episodes: list[list[Step]]) -> Path:
    """The dataset, by either."""
    if request.param != "the recorder's":
        return request.getfixturevalue("dataset")
    schema = Schema(SPEC, MOTION.control_hz, MOTION.step_m, MOTION.step_rad, MOTION.action_axes)
    writer = DatasetWriter(tmp_path / "recorded", schema, "lift the cube")
    for steps in episodes:
        writer.add(steps, {})
    writer.close()
    return tmp_path / "recorded"


@pytest.mark.parametrize("reopened", [False, True])
def test_every_field_comes_back_to_the_bit(
    tmp_path: Path, written: Path, episodes: list[list[Step]], reopened: bool
) -> None:
    replay = put(written, tmp_path)
    if reopened:
        replay = Replay(tmp_path / "replay", SPEC, None, 200)
    assert len(replay) == sum(map(len, episodes)) and replay.received() == {ACTOR_ID: len(replay)}
    for number, steps in enumerate(episodes, 1):
        slots = held(replay, number)
        assert len(slots) == len(steps) + 1
        for slot, step in zip(slots, steps, strict=False):
            assert np.array_equal(replay.state[slot], step.observation.state)
            assert np.array_equal(replay.delta[slot], step.action.delta)
            assert replay.gripper[slot] == step.action.gripper
            assert replay.source[slot] == step.action.source
            assert replay.policy_version[slot] == step.action.policy_version
            assert replay.reward[slot] == np.float32(step.reward)
            assert replay.terminated[slot] == step.terminated
            assert replay.truncated[slot] == step.truncated
            error = np.abs(replay.images[slot].astype(int) - step.observation.images)
            assert error.mean() < 6  # of the codec; another frame is 50 away
            # What came of an action that was cut off is not in a dataset.
            assert replay.trainable[slot] == (step.trainable and not step.truncated)
        assert np.array_equal(replay.state[slots[-1]], steps[-1].observation.state)


def test_whole_successful_demonstrations_are_counted(tmp_path: Path, dataset: Path) -> None:
    replay = put(dataset, tmp_path)
    assert successful_demonstrations(replay) == 2  # the first and the last
    assert importer(dataset).successes == 2


def test_what_can_be_sampled_is_what_was_recorded(
    tmp_path: Path, dataset: Path, episodes: list[list[Step]]
) -> None:
    replay = put(dataset, tmp_path)
    windows = replay.sample(np.random.default_rng(0), 0, 2000, 3, 0.9)
    drawn = {(int(replay.episode[s]), int(replay.index[s])) for s in windows.slots[:, 0]}
    wanted = {
        (number, step.index)
        for number, steps in enumerate(episodes, 1)
        for step in steps
        if step.trainable and not step.truncated
    }
    assert drawn == wanted


def test_the_same_recording_twice_is_refused_wherever_it_lies(tmp_path: Path, dataset: Path) -> None:
    replay = put(dataset, tmp_path)
    before = replay.serial.copy()
    elsewhere = dataset.rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"all 5 episodes are in this run already, imported from .*dataset"):
        importer(elsewhere).run(replay, ImportRecord(tmp_path), lambda done, of: None)
    assert np.array_equal(replay.serial, before)


def test_of_a_dataset_that_has_grown_only_the_new_is_taken(
    tmp_path: Path, episodes: list[list[Step]]
) -> None:
    made = [as_episode(steps) for steps in episodes]
    early = write(tmp_path / "early", made[:3], fps=10, names=NAMES, info=INFO)
    late = write(tmp_path / "late", made, fps=10, names=NAMES, info=INFO)
    replay = put(early, tmp_path)
    done = importer(late).run(replay, ImportRecord(tmp_path), lambda done, of: None)
    assert (done.episodes, done.skipped, done.steps) == (2, 3, 7)
    assert len(replay) == sum(map(len, episodes))
    assert np.array_equal(replay.state[held(replay, 4)[0]], episodes[3][0].observation.state)


def test_an_import_that_broke_off_goes_on_where_it_was(tmp_path: Path, dataset: Path) -> None:
    video = dataset / "videos/observation.images.wrist/chunk-000/file-001.mp4"
    whole = video.read_bytes()
    start = whole.index(b"mdat") + 4
    length = int.from_bytes(whole[start - 8 : start - 4], "big") - 8
    half, end = start + length // 2, start + length
    video.write_bytes(whole[:half] + np.random.default_rng(0).bytes(end - half) + whole[end:])
    replay = Replay(tmp_path / "replay", SPEC, None, 200)
    with pytest.raises(ValueError, match="file-001.mp4"):
        importer(dataset).run(replay, ImportRecord(tmp_path), lambda done, of: None)
    assert len(replay) == 19  # two episodes, whole
    video.write_bytes(whole)
    done = importer(dataset).run(replay, ImportRecord(tmp_path), lambda done, of: None)
    assert (done.episodes, done.skipped) == (3, 2)
    assert len(replay) == 31 and [len(held(replay, n)) for n in range(1, 6)] == [8, 13, 6, 7, 2]


def test_a_replay_without_room_is_left_as_it_was(tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(
        ValueError, match=r"expected room for 36 observations, got 30 of 30; .*learner.capacity"
    ):
        put(dataset, tmp_path, capacity=30)
    assert len(Replay(tmp_path / "replay", SPEC, None, 30)) == 0


def reason(dataset: Path, **kwargs: object) -> str:
    with pytest.raises(ValueError) as refused:
        importer(dataset, **kwargs)
    return str(refused.value)


def test_what_does_not_fit_the_run_is_named(
    tmp_path: Path, dataset: Path, episodes: list[list[Step]]
) -> None:
    assert "hilrl.step_m: expected the run's 0.01, got 0.02" in reason(
        dataset, motion=replace(MOTION, step_m=0.01)
    )
    assert "hilrl.control_hz" in reason(dataset, motion=replace(MOTION, control_hz=20.0))
    assert "episode 0: action: expected no motion of pitch" in reason(
        dataset, motion=replace(MOTION, action_axes=("x", "y", "z"))
    )
    assert "camera 'observation.images.top'" in reason(dataset, spec=replace(SPEC, cameras=("top",)))
    assert "observation.state.names" in reason(dataset, spec=replace(SPEC, state_names=("a", "b")))
    change_info(dataset, fps=20)
    assert "fps: expected the run's control_hz 10.0, got 20" in reason(dataset)


@pytest.mark.parametrize(
    ("column", "row", "value", "words"),
    [
        ("observation.state", 2, np.nan, "episode 1: observation.state: expected finite numbers"),
        ("action", 2, 1.5, r"episode 1: action: expected numbers within \[-1, 1\], got 1.5"),
        ("source", 2, 7, "episode 1: source: expected 0 to 2, got 7"),
        ("next.done", 2, True, r"episode 1: next.done: expected in the last row only, got rows \[2, 11\]"),
        ("next.done", 11, False, r"episode 1: next.done: expected in the last row only, got rows \[\]"),
    ],
)
def test_numbers_that_no_recorder_writes_are_named(
    tmp_path: Path, episodes: list[list[Step]], column: str, row: int, value: object, words: str
) -> None:
    made = [as_episode(steps) for steps in episodes]
    made[1].columns[column][row] = value
    root = write(tmp_path / "bad", made, fps=10, names=NAMES, info=INFO)
    with pytest.raises(ValueError, match=words):
        importer(root)


def test_a_missing_column_is_named(tmp_path: Path, episodes: list[list[Step]]) -> None:
    made = [as_episode(steps) for steps in episodes]
    for episode in made:
        del episode.columns["trainable"]
    root = write(tmp_path / "bad", made, fps=10, names=NAMES, info=INFO)
    assert "features.trainable: missing" in reason(root)
