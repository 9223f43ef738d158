"""Fixtures of the learning core."""

import pytest
from step_stream import SPEC, StepStream

from hilrl_learning.data import ObservationSpec


@pytest.fixture
def stream() -> StepStream:
    return StepStream()


@pytest.fixture
def spec() -> ObservationSpec:
    return SPEC
