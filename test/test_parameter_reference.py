"""docs/parameters.md, and what it is made from."""

from pathlib import Path

import pytest

from hilrl.graph import NODE_NAMES
from hilrl.parameter_reference import markdown
from hilrl.parameter_tables import parameter_tables

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"
OTHERS_OF_A_KIND = {"camera_wrist"}
NOT_OURS = {"robot_state_publisher", "rviz2"}


def test_the_page_is_up_to_date():
    assert PAGE.read_text() == markdown(), "write it anew: hilrl param table > docs/parameters.md"


def test_the_page_has_every_node_of_the_graph():
    assert set(parameter_tables()) >= NODE_NAMES - OTHERS_OF_A_KIND - NOT_OURS


@pytest.mark.parametrize("node", parameter_tables())
def test_every_parameter_is_described_and_every_number_has_a_range(node):
    for parameter in parameter_tables()[node]:
        assert parameter.description, parameter.name
        values = parameter.default if isinstance(parameter.default, list) else [parameter.default]
        if any(type(value) in (int, float) for value in values):
            bounds = (parameter.minimum, parameter.maximum, parameter.choices)
            assert any(bound is not None for bound in bounds), f"{node}.{parameter.name} has no range"
        assert all(
            parameter.problem([value] if parameter.default == [] else parameter.default) is None
            for value in values
        ), parameter.name
