"""Fixtures of the learning core."""

import pytest
import torch
from step_stream import SPEC, StepStream

from hilrl_learning.data import ObservationSpec

# More threads than free cores make small products a hundred times slower.
torch.set_num_threads(1)


@pytest.fixture
def stream() -> StepStream:
    return StepStream()


@pytest.fixture
def spec() -> ObservationSpec:
    return SPEC
