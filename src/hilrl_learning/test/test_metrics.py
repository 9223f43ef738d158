"""Metrics of a run go on over restarts."""

import json
import math
import sys

import pytest

from hilrl_learning.metrics import METRICS_FILE, MetricsWriter


def records(folder) -> list:
    lines = []
    for line in (folder / METRICS_FILE).read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            lines.append("torn")
    return lines


def test_one_json_object_per_line_with_its_time_readable_at_once(tmp_path):
    writer = MetricsWriter(tmp_path)
    writer.write({"env_steps": 3, "critic_loss": 0.5, "entropy": math.nan})
    (record,) = records(tmp_path)
    assert record["critic_loss"] == 0.5 and record["wall_time"] > 0
    assert record["entropy"] is None, "NaN is no JSON"


def test_a_resumed_run_appends_and_a_torn_line_stays_by_itself(tmp_path):
    writer = MetricsWriter(tmp_path)
    writer.write({"env_steps": 1})
    writer.close()
    with open(tmp_path / METRICS_FILE, "a") as file:
        file.write('{"wall_time": 12.5, "env_st')
    writer = MetricsWriter(tmp_path)
    writer.write({"env_steps": 2})
    writer.close()
    first, torn, second = records(tmp_path)
    assert (first["env_steps"], torn, second["env_steps"]) == (1, "torn", 2)


def test_tensorboard_events_are_written(tmp_path):
    writer = MetricsWriter(tmp_path)
    writer.write({"env_steps": 1, "critic_loss": 0.5})
    writer.close()
    assert list(tmp_path.glob("events.out.tfevents.*"))


@pytest.mark.parametrize(("name", "reason"), [("wandb", "not installed"), ("mlflow", "expected one of")])
def test_a_tracker_that_is_not_there_is_refused(tmp_path, monkeypatch, name, reason):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    with pytest.raises(ValueError, match=f"tracker: .*{reason}"):
        MetricsWriter(tmp_path, name)
