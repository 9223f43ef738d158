"""Simulated time keeps the pace of the wall."""

import pytest

from hilrl_sim.pacing import CATCH_UP_CHUNKS, WallPace

CHUNK_S = 0.02


def test_one_chunk_per_tick_however_ragged_the_ticks() -> None:
    pace = WallPace(CHUNK_S)
    ticks = [index * CHUNK_S + (0.004 if index % 2 else -0.004) for index in range(100)]
    assert [pace.due(now) for now in ticks] == [1] * 100
    assert pace.lost_s == 0


def test_a_short_delay_is_made_good() -> None:
    pace = WallPace(CHUNK_S)
    assert sum(pace.due(now) for now in (0.0, 0.02, 0.10, 0.12)) == 7
    assert pace.lost_s == 0


def test_a_long_delay_is_given_up_and_counted() -> None:
    pace = WallPace(CHUNK_S)
    pace.due(0.0)
    assert pace.due(1.0) == CATCH_UP_CHUNKS
    assert pace.lost_s == pytest.approx(1.0 - CATCH_UP_CHUNKS * CHUNK_S)
    assert pace.due(1.02) == 1
