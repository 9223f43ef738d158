import numpy as np
import pytest

from hilrl_perception.debounce import Debounce


@pytest.mark.parametrize(("k", "n"), [(1, 1), (2, 3), (3, 3), (1, 4), (5, 9)])
def test_it_is_the_plain_count_over_the_last_frames(k, n):
    rng = np.random.default_rng([k, n])
    frames = (rng.random(500) < 0.5).tolist()
    resets = set(rng.integers(0, 500, 10).tolist())
    debounce, since = Debounce(k, n), 0
    for i, above in enumerate(frames):
        if i in resets:
            debounce.reset()
            since = i
        expected = above and sum(frames[max(since, i - n + 1) : i + 1]) >= k
        assert debounce.add(above) is expected


def test_one_frame_alone_is_nothing():
    debounce = Debounce(2, 3)
    assert [debounce.add(above) for above in (True, False, False, True, False, True)] == [False] * 5 + [True]


def test_what_no_longer_looks_like_a_success_is_none():
    debounce = Debounce(2, 3)
    assert [debounce.add(above) for above in (True, True, False, True)] == [False, True, False, True]


def test_tuning_keeps_what_was_seen():
    debounce = Debounce(3, 5)
    for above in (True, True, False):
        debounce.add(above)
    debounce.tune(3, 4)
    assert not debounce.add(False) and debounce.n == 4
    debounce.tune(2, 4)
    assert debounce.add(True)


@pytest.mark.parametrize(("k", "n"), [(0, 3), (4, 3), (1, 0), (-1, -1)])
def test_k_of_n_that_cannot_be_is_refused(k, n):
    with pytest.raises(ValueError, match=f"expected 1 <= k <= n, got k={k} and n={n}"):
        Debounce(k, n)
