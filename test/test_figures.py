"""Episode log, statistics and plots."""

import json

import numpy as np
import pytest

from hilrl import episodes, plots
from hilrl.episodes import EpisodeLog
from hilrl.run_folder import RunFolder
from hilrl.statistics import summarise, wilson_interval
from hilrl_interfaces.msg import Episode


def finished(number, success=True, kind=Episode.KIND_TRAINING, steps=30, helped=0):
    return Episode(
        actor_id="so101",
        episode=number,
        kind=kind,
        finished=True,
        success=success,
        truncated=not success,
        episode_return=float(success),
        steps=steps,
        intervention_steps=helped,
        duration_s=steps / 10,
        seed=number,
    )


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_agrees_with_published_values(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=6e-5)


def test_cycle_time_counts_successful_episodes_alone(tmp_path):
    log = EpisodeLog(tmp_path / "e.jsonl")
    for number, (success, steps) in enumerate([(True, 20), (False, 60), (True, 30)]):
        log.add(finished(number, success, steps=steps))
    summary = summarise(log.records)
    assert (summary.successes, summary.episodes) == (2, 3)
    assert (summary.cycle_steps, summary.cycle_s) == (25.0, 2.5)
    assert summarise([]).cycle_steps is None


def test_the_episode_log_goes_on_after_a_line_cut_short(tmp_path):
    path = tmp_path / "e.jsonl"
    log = EpisodeLog(path)
    log.add(finished(0, steps=10))
    log.add(finished(1, steps=10))
    log.close()
    path.write_text(path.read_text()[:-20])
    log = EpisodeLog(path)
    log.add(finished(2, steps=5))
    log.close()
    records = episodes.read(path)
    assert [record.episode for record in records] == [0, 2]
    assert [record.env_steps for record in records] == [10, 15]
    assert records[1].elapsed_s >= records[0].elapsed_s


def test_a_damaged_episode_log_names_the_line(tmp_path):
    path = tmp_path / "e.jsonl"
    EpisodeLog(path).add(finished(0))
    with open(path, "a") as file:
        file.write('{"episode": 1}\n')
    with pytest.raises(ValueError, match=r"line 2: expected an episode, got '{\"episode\": 1}'"):
        episodes.read(path)


def test_rolling_mean_is_over_the_last_episodes():
    assert plots.rolling_mean([1, 0, 0, 1], window=2) == pytest.approx([1, 0.5, 0, 0.5])


def test_plots_are_drawn_from_what_a_run_leaves(tmp_path):
    run = RunFolder(tmp_path)
    assert plots.draw(run, "scripted") == []
    log = EpisodeLog(run.episodes)
    rng = np.random.default_rng(0)
    for number in range(60):
        log.add(finished(number, bool(rng.random() < number / 60), helped=max(0, 20 - number)))
    log.close()
    lines = [{"critic_updates": i, "env_steps": i, "critic_loss": 1 / (i + 1)} for i in range(9)]
    lines[3]["critic_loss"] = None
    run.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"critic_lo')
    names = {path.name for path in plots.draw(run, "scripted")}
    assert names == {"success.png", "interventions.png", "episodes.png", "losses.png"}
    assert all((run.plots / name).read_bytes().startswith(b"\x89PNG") for name in names)
