from collections import Counter

import numpy as np
import pytest

from hilrl_perception.reward_guard import Guard
from hilrl_perception.reward_metrics import (
    LEAST_THRESHOLD,
    choose_threshold,
    confusion,
    live_through,
    of_episodes,
    precision_recall,
)

ANYWHERE = Guard()


def brute_force(labels, probabilities, wanted):
    """Every threshold there is, tried: (recall or precision, threshold) of the best."""
    found = []
    for threshold in sorted({p for p in probabilities if p >= LEAST_THRESHOLD}):
        claims = probabilities >= threshold
        hits = (labels & claims).sum()
        found.append((hits / claims.sum(), hits / labels.sum(), threshold))
    good = [(recall, threshold) for precision, recall, threshold in found if precision >= wanted]
    if good:
        return max(good)[1], True
    return max(found)[2], False


@pytest.mark.parametrize("seed", range(60))
def test_the_threshold_is_the_best_of_all_there_are(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random(80) < 0.3
    labels[0] = True
    # Rounded, so that many frames share a probability.
    probabilities = np.clip(rng.normal(0.35 + 0.4 * labels, 0.25), 0, 1).round(2)
    probabilities[1] = 0.6
    wanted = rng.choice([0.5, 0.8, 0.95, 1.0])
    choice = choose_threshold(labels, probabilities, wanted)
    assert (choice.threshold, choice.reached) == brute_force(labels, probabilities, wanted)
    found = confusion(labels, probabilities >= choice.threshold)
    assert (found.precision, found.recall) == pytest.approx((choice.precision, choice.recall))


def test_no_threshold_without_a_success_to_find():
    with pytest.raises(ValueError, match="expected at least one positive frame"):
        choose_threshold(np.zeros(5, bool), np.linspace(0, 1, 5), 0.9)


def test_a_classifier_that_never_says_yes_reaches_nothing():
    choice = choose_threshold(np.array([True, False]), np.array([0.2, 0.1]), 0.9)
    assert not choice.reached and choice.recall == 0.0 and choice.threshold == LEAST_THRESHOLD


def test_confusion_is_the_plain_count():
    rng = np.random.default_rng(0)
    labels, claims = rng.random(200) < 0.4, rng.random(200) < 0.5
    counted = Counter(zip(labels.tolist(), claims.tolist(), strict=True))
    found = confusion(labels, claims)
    assert (found.true_positives, found.false_positives) == (counted[True, True], counted[False, True])
    assert (found.true_negatives, found.false_negatives) == (counted[False, False], counted[True, False])
    assert found.false_positives_per_1000 == pytest.approx(
        1000 * counted[False, True] / (counted[False, True] + counted[False, False])
    )


def test_the_curve_ends_where_everything_is_claimed():
    labels = np.array([True, False, True, False])
    precision, recall = precision_recall(labels, np.array([0.9, 0.8, 0.7, 0.1]))
    assert precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert recall.tolist() == pytest.approx([0.5, 0.5, 1, 1])


def test_an_episode_is_worth_what_its_first_claim_is(episode_of):
    def lived(labels, above, k=2, n=2, guard=ANYWHERE):
        episode = episode_of([bool(x) for x in labels], 0)
        return live_through(episode, np.array(above, float), 0.5, k, n, guard)

    right = lived([0, 0, 1, 1, 1], [0, 0, 1, 1, 1])
    early = lived([0, 0, 1, 1, 1], [1, 1, 1, 1, 1])
    missed = lived([0, 0, 1, 1, 1], [0, 1, 0, 1, 0])
    quiet = lived([0, 0, 0, 0, 0], [1, 0, 0, 1, 0])
    fooled = lived([0, 0, 0, 0, 0], [0, 1, 1, 0, 0])
    guarded = lived([0, 0, 1, 1, 1], [0, 0, 1, 1, 1], guard=Guard(ee_min=(-1, -1, 0.5)))
    assert right.claimed_rightly and right.first_claim == 3 and right.delay_frames == 1
    assert early.claimed_wrongly and early.first_claim == 1 and early.delay_frames is None
    assert missed.first_claim is None and quiet.first_claim is None and fooled.claimed_wrongly
    assert guarded.first_claim is None and guarded.suppressed == 2
    found = of_episodes([right, early, missed, quiet, fooled, guarded])
    assert (found.true_positives, found.false_positives) == (1, 2)
    assert (found.true_negatives, found.false_negatives) == (1, 2)
