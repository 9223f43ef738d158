"""Layouts of pads, and those in config/teleop.yaml."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from hilrl_teleop.joy_layout import XBOX, layout_from, parameter_table

CONFIG = Path(__file__).resolve().parents[3] / "config" / "teleop.yaml"


def test_the_configuration_has_the_default_layout_and_others_that_work():
    blocks = yaml.safe_load(CONFIG.read_text())["/**/joy_teleop"]["ros__parameters"]
    assert blocks.pop("pad") == "xbox"
    layouts = {}
    for pad in {name.partition(".")[0] for name in blocks}:
        table = parameter_table(pad)
        values = {parameter.name: parameter.default for parameter in table}
        mine = {name: value for name, value in blocks.items() if name.startswith(f"{pad}.")}
        assert mine.keys() <= values.keys()
        values |= mine
        assert [reason for parameter in table if (reason := parameter.problem(values[parameter.name]))] == []
        layouts[pad] = layout_from(pad, values)
    assert (
        layouts["xbox"] == XBOX == layout_from("xbox", {p.name: p.default for p in parameter_table("xbox")})
    )
    assert {pad: layout.problem() for pad, layout in layouts.items()} == dict.fromkeys(
        ("xbox", "playstation", "game_controller", "spacenav")
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": (-1,) * 5}, "axes: expected one that is not -1"),
        (
            {"axes": (1, 1, 4, 7, 3)},
            "axes: expected no axis twice, got [1, 1, 4, 7, 3] for x, y, z, pitch, roll",
        ),
        ({"open_button": 0}, "open_button: expected a button of its own, got 0, which is close_button"),
        ({"deadman_button": -1}, "deadman_button: expected a button where takeover is deadman, got -1"),
        (
            {"takeover": "movement", "engage_level": 0.1},
            "engage_level: expected more than release_level, 0.15, got 0.1",
        ),
    ],
)
def test_a_layout_nobody_could_work_with_is_refused(change, message):
    assert replace(XBOX, **change).problem().startswith(message)
    assert XBOX.problem() is None
