"""An episode that is added as a whole is there as a whole, whenever its process is killed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from step_stream import SPEC, StepStream

from hilrl_learning.data import Source
from hilrl_learning.replay import Replay

LENGTH = 4
CHILD = """
import json, os, signal, sys
from pathlib import Path
from step_stream import SPEC, StepStream
from hilrl_learning.data import Source
from hilrl_learning.replay import Replay

def killed_at(line, folder, capacity, before):
    # A process that adds `before` episodes, then one more and dies at that many-th line of it.
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    stream = StepStream()
    replay = Replay(folder, SPEC, None, capacity)
    for _ in range(before):
        replay.add_episode(list(stream.steps(4, Source.DEMONSTRATION)))
    last = list(stream.steps(4, Source.DEMONSTRATION))
    left = line
    def trace(frame, event, argument):
        nonlocal left
        if "hilrl_learning/replay" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    replay.add_episode(last)
    os._exit(0)

line, held = 0, []
while True:
    folder = Path(sys.argv[1]) / str(line)
    killed = killed_at(line, folder, 40, 2)
    replay = Replay(folder, SPEC, None, 40)
    whole = [len(episode) for episode in replay.episodes((Source.DEMONSTRATION,))]
    windows = len(replay._index.human)
    held.append((whole, len(replay), windows, replay.received()["arm"]))
    if not killed:
        break
    line += 1
print(json.dumps(held))
"""


def test_at_no_line_does_a_kill_leave_half_an_episode(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    held = json.loads(run.stdout)
    assert len(held) > 100  # so many lines there were to be killed at
    before, after = [[5, 5], 8, 8, 8], [[5, 5, 5], 12, 12, 12]
    assert [found for found in held if found not in (before, after)] == []
    assert held[0] == before and held[-1] == after
    assert held.index(after) > 60


def test_whole_episodes_and_single_steps_are_alike(tmp_path: Path) -> None:
    together, single = (Replay(tmp_path / name, SPEC, None, 40) for name in ("together", "single"))
    for replay, stream in ((together, StepStream()), (single, StepStream())):
        for length in (4, 1, 7):
            steps = list(stream.steps(length, Source.DEMONSTRATION))
            if replay is together:
                replay.add_episode(steps)
            else:
                for step in steps:
                    replay.add(step)
    for replay in (together, single):
        assert len(replay) == 12 and replay.human_transitions == 12 and replay.room == 25
    for ours, theirs in zip(
        together.episodes((Source.DEMONSTRATION,)), single.episodes((Source.DEMONSTRATION,)), strict=True
    ):
        for name in ("images", "state", "delta", "gripper", "reward", "terminated", "sequence", "index"):
            assert np.array_equal(getattr(together, name)[ours], getattr(single, name)[theirs]), name
    drawn = [replay.sample(np.random.default_rng(1), 8, 8, 3, 0.9) for replay in (together, single)]
    assert sorted(drawn[0].reward) == pytest.approx(sorted(drawn[1].reward))


def test_a_ring_that_is_full_gives_up_the_policys_oldest(tmp_path: Path) -> None:
    replay, stream = Replay(tmp_path, SPEC, None, 30), StepStream()
    for _ in range(10):
        for step in stream.steps(5):
            replay.add(step)
    for _ in range(3):
        replay.add_episode(list(stream.steps(6, Source.DEMONSTRATION)))
    assert replay.room == 30 - 21 and replay.human_transitions == 18
    with pytest.raises(ValueError, match="an episode of 9 steps takes 10 slots, of 30 only 9"):
        replay.add_episode(list(stream.steps(9, Source.DEMONSTRATION)))
    assert len(list(Replay(tmp_path, SPEC, None, 30).episodes((Source.DEMONSTRATION,)))) == 3
