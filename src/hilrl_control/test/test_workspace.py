"""The box."""

import numpy as np
import pytest

from hilrl_control.workspace import Workspace


def test_clip_takes_the_nearest_point_and_says_so():
    box = Workspace.from_corners((0, 0, 0), (1, 2, 3))
    inside, flagged = box.clip((0.5, 1.0, 3.0))
    assert not flagged and inside.tolist() == [0.5, 1.0, 3.0]
    outside, flagged = box.clip((-1.0, 1.0, 4.0))
    assert flagged and outside.tolist() == [0.0, 1.0, 3.0]


def test_excess_is_the_distance_along_the_worst_axis():
    box = Workspace.from_corners((0, 0, 0), (1, 2, 3))
    assert box.excess((0.5, 0.5, 0.5)) == 0.0
    assert box.excess((-0.25, 2.5, 0.5)) == 0.5


@pytest.mark.parametrize("maximum", [(1, 1, 0), (1, 1, -1), (1, 1, np.nan)])
def test_a_box_turned_inside_out_is_refused_with_its_axis(maximum):
    with pytest.raises(ValueError, match="workspace_min z: expected less than workspace_max z"):
        Workspace.from_corners((0, 0, 0), maximum)
