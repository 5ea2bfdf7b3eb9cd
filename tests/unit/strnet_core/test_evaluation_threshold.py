"""The search for a threshold against a plain walk over the grid, and against the released algorithm."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from strnet_core.bundle import decision_logit
from strnet_core.evaluation.bootstrap import Resampling
from strnet_core.evaluation.calibration import probabilities
from strnet_core.evaluation.discrimination import Question
from strnet_core.evaluation.threshold import GRID, cross_fitted, search, search_as_released, stability


def asked(truth, logits):
    return Question(truth=np.asarray(truth, bool), logits=np.asarray(logits, float), clusters=np.arange(len(truth)))


def logit(score):
    return decision_logit(score)


vectors = st.lists(st.tuples(st.booleans(), st.integers(15, 85)), min_size=4, max_size=60).filter(
    lambda rows: len({truth for truth, _ in rows}) == 2
)


@settings(max_examples=150, deadline=None)
@given(vectors)
def test_the_search_is_a_plain_walk_over_whole_hundredths(rows):
    truth, scores = [row[0] for row in rows], [row[1] for row in rows]
    positives, negatives = sum(truth), len(truth) - sum(truth)

    def of(threshold):
        tp = sum(t and s >= threshold for t, s in rows)
        tn = sum(not t and s < threshold for t, s in rows)
        return Fraction(tp, positives), Fraction(tn, negatives)

    walked = [(threshold, *of(threshold)) for threshold in GRID]
    feasible = [each for each in walked if each[1] >= Fraction(86, 100)]
    best = (
        max(feasible, key=lambda each: (each[2], each[1], -each[0]))
        if feasible
        else max(walked, key=lambda each: (each[1] + each[2], each[2], each[1], -each[0]))
    )
    found = search(asked(truth, [logit(score / 100) for score in scores]))
    assert (round(found.threshold * 100), found.feasible) == (best[0], bool(feasible))
    assert (found.sensitivity, found.specificity) == pytest.approx((float(best[1]), float(best[2])))


def as_released(truth, scores):
    """The released algorithm with the libraries it uses: scikit-learn's balanced accuracy, 1e-8 in its own two rates."""
    candidates = []
    for threshold in np.arange(0.20, 0.80 + 1e-12, 0.01):
        decided = (scores >= float(threshold)).astype(int)
        tn, fp, fn, tp = confusion_matrix(truth, decided, labels=[0, 1]).ravel()
        candidates.append((float(threshold), tp / (tp + fn + 1e-8), tn / (tn + fp + 1e-8), balanced_accuracy_score(truth, decided)))
    kept = [each for each in candidates if each[1] >= 0.86]
    if kept:
        return max(kept, key=lambda each: (each[2], each[3], each[1], -each[0]))[0], True
    return max(candidates, key=lambda each: (each[3], each[2], each[1], -each[0]))[0], False


@pytest.mark.parametrize("seed", range(6))
def test_the_compatible_search_is_the_released_algorithm(seed):
    random = np.random.default_rng(seed)
    n = int(random.integers(8, 60))
    truth = np.arange(n) % 3 > 0
    hundredths = random.integers(15, 85, n) // (1 + truth * (seed == 5)) + 8 * truth
    # every other vector lies on the grid, where float32 and the running sum matter; the last one has no feasible threshold
    scores = hundredths.astype(np.float32) / np.float32(100) + np.float32(seed % 2) * random.normal(0, 0.02, n).astype(np.float32)
    found = search_as_released(truth, scores)
    assert (found.threshold, found.feasible) == as_released(truth, scores)


def test_a_sensitivity_of_exactly_086_is_enough_here_and_not_in_the_released_code():
    # 43 of 50 at 0.50 and above, all normals below it
    truth = [True] * 50 + [False] * 10
    scores = [0.60] * 43 + [0.25] * 7 + [0.45] * 10
    ours = search(asked(truth, [logit(score) for score in scores]))
    assert (ours.threshold, ours.feasible, ours.sensitivity, ours.specificity) == (0.46, True, 0.86, 1.0)
    released = search_as_released(np.array(truth), np.array(scores, np.float32))
    assert (released.specificity, released.sensitivity > 0.99) == (0.0, True)


def test_the_released_grid_is_a_running_sum():
    truth = np.array([True] * 10 + [False] * 10)
    found = search_as_released(truth, np.array([0.5] * 10 + [0.435] * 10, np.float32))
    assert found.threshold == 0.4400000000000002
    assert search(asked(truth, [logit(0.5)] * 10 + [logit(0.435)] * 10)).threshold == 0.44


def test_without_a_feasible_threshold_the_best_balance_is_taken_and_said():
    truth = [True] * 10 + [False] * 10
    found = search(asked(truth, [logit(0.5)] * 5 + [logit(0.1)] * 5 + [logit(0.15)] * 10))
    assert (found.feasible, found.threshold, found.sensitivity, found.specificity) == (False, 0.20, 0.5, 1.0)


def test_stability_knows_that_a_small_cohort_flatters_itself():
    random = np.random.default_rng(8)
    truth = random.random(80) < 0.5
    found = stability(asked(truth, truth * 1.0 + random.normal(size=80)), Resampling(replicates=400))
    assert found.threshold.low < found.threshold.high
    assert found.optimism_specificity > 0.0
    assert found.feasible_share > 0.9


def test_a_folds_decisions_are_made_at_the_others_threshold():
    random = np.random.default_rng(9)
    truth = random.random(100) < 0.5
    question = asked(truth, truth * 1.5 + random.normal(size=100))
    folds = np.arange(100) % 4
    decided, thresholds = cross_fitted(question, folds)
    for fold in range(4):
        others = search(question.among(folds != fold)).threshold
        assert thresholds[fold] == others
        assert (decided[folds == fold] == (probabilities(question.logits[folds == fold]) >= others)).all()


def test_a_search_needs_both_classes():
    with pytest.raises(ValueError, match="both classes"):
        search(asked([True, True], [0.0, 1.0]))
    with pytest.raises(ValueError, match="both classes"):
        search_as_released(np.array([False]), np.array([0.5], np.float32))
