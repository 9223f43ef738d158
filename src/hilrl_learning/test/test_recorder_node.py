"""The recorder as a process beside a real actor, over real DDS; killed at random, it loses nothing."""

import json
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from learner_peer import ActorSide, spinning
from learning_processes import NAMESPACE, SIZE, Processes, wait_until
from pyarrow import parquet
from std_srvs.srv import SetBool, Trigger

from hilrl_learning.data import Source

pytestmark = pytest.mark.timeout(400)

KILLS = 12
STARTING_S = 2.0
"""About as long as a process takes to start."""


class Recording(Processes):
    """An arm, an actor and a recorder."""

    @property
    def root(self) -> Path:
        return self.folder / "dataset"

    def recorder(self, **parameters: object):
        defaults = {"dataset": str(self.root), "task_text": "lift the cube", "image_size": SIZE}
        program = ["-c", "from hilrl_learning.recorder_node import main; main()"]
        return self.start(program, "recorder", {**defaults, **parameters}, NAMESPACE)

    @property
    def domain(self) -> int:
        return int(self.environment["ROS_DOMAIN_ID"])

    def starts(self) -> int:
        """How often a recorder has come up."""
        return self.output("recorder").count("so far")

    def shown(self) -> dict[int, dict]:
        """What the arm executed of a demonstration. What it did while it had not heard of one is none."""
        executed = self.executed().items()
        return {tick: record for tick, record in executed if record["source"] == Source.DEMONSTRATION}

    def info(self) -> dict:
        path = self.root / "meta" / "info.json"
        return json.loads(path.read_text()) if path.exists() else {"total_episodes": 0}

    def episodes(self) -> list[dict[str, np.ndarray]]:
        """What is in the dataset, by column."""
        found = []
        for index in range(self.info()["total_episodes"]):
            table = parquet.read_table(self.root / f"data/chunk-000/file-{index:03d}.parquet")
            columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
            found.append({name: np.stack(values) for name, values in columns.items()})
        return found


@pytest.fixture
def processes(tmp_path):
    processes = Recording(tmp_path)
    yield processes
    processes.stop()


def ended_runs(executed: dict[int, dict]) -> list[list[int]]:
    """Ticks of each episode: at the last observation of one nothing is executed, so there is a gap."""
    runs: list[list[int]] = []
    for tick in sorted(executed):
        if not runs or runs[-1][-1] != tick - 1:
            runs.append([])
        runs[-1].append(tick)
    return runs


def check_against_the_arm(processes: Recording) -> None:
    """Every tick that the arm was shown is in the dataset, in its episode, once, with what was executed."""
    executed = processes.shown()
    episodes = processes.episodes()
    assert [[int(tick) for tick in e["observation.state"][:, 0]] for e in episodes] == ended_runs(executed)
    for index, episode in enumerate(episodes):
        assert set(episode["episode_index"]) == {index}
        assert episode["frame_index"].tolist() == list(range(len(episode["index"])))
        assert episode["next.done"].tolist() == [False] * (len(episode["index"]) - 1) + [True]
        for row, tick in enumerate(episode["observation.state"][:, 0]):
            record = executed[int(tick)]
            assert np.array_equal(episode["action"][row][:5], np.float32(record["delta"]))
            assert episode["source"][row] == record["source"]
    rows = np.concatenate([episode["index"] for episode in episodes])
    assert rows.tolist() == list(range(processes.info()["total_frames"]))


def pause(processes: Recording, watcher: ActorSide) -> None:
    watcher.call(SetBool, "/so101/actor/pause", SetBool.Request(data=True))
    wait_until(lambda: "paused" in processes.output("actor").splitlines()[-1], what="the actor to pause")


def test_killed_again_and_again_it_loses_nothing_and_doubles_nothing(processes):
    generator = random.Random(time.time_ns())
    recorder = processes.recorder()
    processes.actor()
    # Deaf as where it is discovered late; slow, or it makes more episodes than a busy machine can write.
    arm = processes.arm("--deaf-to", "1", "--period-s", "0.05")
    starts = 1
    with spinning(ActorSide, processes.domain) as watcher:
        for _ in range(KILLS):
            if generator.random() < 0.8:
                wait_until(lambda starts=starts: processes.starts() == starts, 60, "a recorder")
                arm.send_signal(signal.SIGCONT)
                wanted = watcher.acknowledged("arm") + generator.randint(3, 25)
                wait_until(lambda wanted=wanted: watcher.acknowledged("arm") >= wanted, 60, "more steps")
                time.sleep(0.3 * generator.random())
            else:  # while it starts
                time.sleep(STARTING_S * generator.random())
                starts = processes.starts()
            before = processes.episodes()
            if generator.random() < 0.5:  # what it has begun to write it may end before it is killed
                arm.send_signal(signal.SIGSTOP)
                time.sleep(0.5 * generator.random())
            recorder.send_signal(signal.SIGKILL)
            recorder.wait()
            # An arm of this speed would fill the actor's disk while a recorder starts.
            arm.send_signal(signal.SIGSTOP)
            after = processes.episodes()
            assert len(after) >= len(before)
            for one, other in zip(before, after, strict=False):
                assert all(np.array_equal(one[name], other[name]) for name in one), "earlier episodes stay"
            recorder = processes.recorder()
            starts += 1
        wait_until(lambda: processes.starts() == starts, 60, "a recorder")
        arm.send_signal(signal.SIGCONT)
        wanted = watcher.acknowledged("arm") + 20
        wait_until(lambda: watcher.acknowledged("arm") >= wanted, 60, "steps after the last kill")
        pause(processes, watcher)

        def settled() -> bool:
            """The last action may be on its way while the actor says that it pauses."""
            shown = processes.shown()
            acknowledged, episodes = watcher.acknowledged("arm"), processes.info()["total_episodes"]
            return (acknowledged, episodes) == (len(shown), len(ended_runs(shown)))

        wait_until(settled, 120, "a receipt for everything, and every episode")
        shown = processes.shown()
        everything, whole = len(shown), len(ended_runs(shown))
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(timeout=15) == 0
    check_against_the_arm(processes)
    print(f"{KILLS} kills, {everything} steps, {whole} episodes")


def test_it_stops_the_actor_at_the_number_of_episodes_and_goes_on_with_the_dataset(processes):
    recorder = processes.recorder(episodes=3)
    processes.actor()
    processes.arm()
    wait_until(lambda: processes.info()["total_episodes"] == 3, 60, "three episodes")
    wait_until(lambda: "finished" in processes.output("actor"), what="the actor to stop")
    recorder.send_signal(signal.SIGTERM)
    assert recorder.wait(timeout=15) == 0
    processes.recorder(episodes=5)
    wait_until(lambda: processes.info()["total_episodes"] == 5, 60, "two more")
    time.sleep(1.0)
    assert processes.info()["total_episodes"] == 5
    ticks = [int(tick) for episode in processes.episodes() for tick in episode["observation.state"][:, 0]]
    assert ticks == sorted(set(ticks))


def test_the_last_episode_is_dropped_on_request_and_one_more_is_recorded(processes):
    processes.recorder(episodes=2)
    processes.actor()
    processes.arm()
    with spinning(ActorSide, processes.domain) as watcher:
        wait_until(lambda: processes.info()["total_episodes"] == 2, 60, "two episodes")
        first, second = processes.episodes()
        answer = watcher.call_once(Trigger, f"{NAMESPACE}/recorder/drop_last", Trigger.Request())
        assert answer.success, answer.message
        wait_until(lambda: processes.info()["total_episodes"] == 2, 60, "another in its place")
    again, other = processes.episodes()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert other["observation.state"][0, 0] > second["observation.state"][-1, 0]


def test_only_one_takes_steps(processes):
    processes.recorder()
    wait_until(lambda: "episodes so far" in processes.output("recorder"), what="the first")
    second = processes.recorder(dataset=str(processes.folder / "another"))
    assert second.wait(timeout=60) == 2
    assert "/learner/ack: expected to be the only one" in processes.output("recorder")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"task_text": ""}, "task_text: expected a sentence"),
        ({"control_hz": 12.5}, "control_hz: expected a whole number"),
        ({"step_m": 0.01}, "hilrl.step_m: the dataset has 0.02, this recording 0.01"),
        ({"cameras": ["front", "side"]}, "features.observation.images.side.dtype: the dataset has None"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(processes, stream, parameters, words):
    from hilrl_learning.data import ObservationSpec
    from hilrl_learning.lerobot.features import Schema
    from hilrl_learning.lerobot.writer import DatasetWriter
    from hilrl_learning.observation_sync import state_names

    spec = ObservationSpec(state_names(), ("front", "wrist"), (SIZE, SIZE))
    writer = DatasetWriter(processes.root, Schema(spec, 10.0, 0.02, 0.1, ("x", "y", "z")), "lift")
    writer._put_info(0, 0, [], {})
    writer.close()
    assert processes.recorder(**parameters).wait(timeout=60) == 2
    assert words in processes.output("recorder")
