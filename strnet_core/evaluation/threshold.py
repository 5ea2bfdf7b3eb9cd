"""The search for a threshold: the largest specificity among those of a grid that keep a sensitivity.

The paper's rule (section 2.5): grid 0.20, 0.21 ... 0.80, sensitivity at least 0.86, largest specificity. Here the grid is made of
whole hundredths and the sensitivity is compared as whole counts, so that 43 of 50 is 0.86. The released code does otherwise; its
results are reproduced by `search_as_released`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from strnet_core.bundle import decision_logit
from strnet_core.evaluation.bootstrap import DEFAULT_RESAMPLING, Resampling, draws, interval
from strnet_core.evaluation.confusion import confusion_of, point_rates
from strnet_core.evaluation.discrimination import Question
from strnet_core.evaluation.estimate import Estimate

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

GRID = tuple(range(20, 81))
"""Hundredths."""
MINIMUM_SENSITIVITY = Fraction(86, 100)
RELEASED_EPSILON = 1e-8
"""Added to the denominators by the released code, so that a sensitivity of exactly 0.86 does not reach 0.86."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A searched threshold."""

    threshold: float
    feasible: bool
    """False: no threshold of the grid keeps the sensitivity; this is the one of largest balanced accuracy."""
    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stability:
    """The search repeated on resamples of its own cases."""

    threshold: Estimate
    feasible_share: float
    """Of the resamples in which some threshold of the grid keeps the sensitivity."""
    optimism_sensitivity: float
    """Mean of the sensitivity on the resample that chose the threshold, less that of the same threshold on the original cases."""
    optimism_specificity: float


def search(question: Question, minimum: Fraction = MINIMUM_SENSITIVITY) -> Found:
    """The threshold by the paper's rule. Of equal specificity the larger sensitivity, then the lower threshold.

    Raises ValueError for a question without both classes.
    """
    chosen, feasible = _choose(_counts(question, np.ones((1, question.truth.size))), minimum)
    index = int(chosen[0])
    rates = point_rates(confusion_of(question.truth, _decided(question)[index]))
    if rates["sensitivity"] is None or rates["specificity"] is None:
        raise ValueError("a search needs cases of both classes")
    return Found(
        threshold=GRID[index] / 100.0,
        feasible=bool(feasible[0]),
        sensitivity=rates["sensitivity"],
        specificity=rates["specificity"],
    )


def search_as_released(truth: BoolArray, probabilities: npt.NDArray[np.float32]) -> Found:
    """The threshold that the released code stores for these (n,) float32 probabilities.

    Its grid is a running sum (0.4400000000000002 stands for 0.44), compared in float32; 1e-8 is added to the denominators of
    sensitivity and specificity. Of equal specificity it takes the larger balanced accuracy, then sensitivity, then the lower
    threshold; without a feasible one the largest balanced accuracy, then specificity, sensitivity and the lower threshold.
    Raises ValueError without both classes.
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        raise ValueError("a search needs cases of both classes")
    candidates = []
    for threshold in map(float, np.arange(0.20, 0.80 + 1e-12, 0.01)):
        decided = probabilities >= np.float32(threshold)
        tp, tn = int((truth & decided).sum()), int((~truth & ~decided).sum())
        sensitivity, specificity = tp / (positives + RELEASED_EPSILON), tn / (negatives + RELEASED_EPSILON)
        # scikit-learn's balanced accuracy has no such term: the mean of the two true rates
        candidates.append((threshold, sensitivity, specificity, (tp / positives + tn / negatives) / 2.0))
    feasible = [each for each in candidates if each[1] >= float(MINIMUM_SENSITIVITY)]
    if feasible:
        best = max(feasible, key=lambda each: (each[2], each[3], each[1], -each[0]))
    else:
        best = max(candidates, key=lambda each: (each[3], each[2], each[1], -each[0]))
    return Found(threshold=best[0], feasible=bool(feasible), sensitivity=best[1], specificity=best[2])


def stability(question: Question, resampling: Resampling = DEFAULT_RESAMPLING, minimum: Fraction = MINIMUM_SENSITIVITY) -> Stability:
    """How far the searched threshold moves, and how much better it looks on the cases that chose it."""
    drawn = draws(question.truth, question.clusters, resampling).astype(np.float64)
    resampled = _counts(question, drawn)
    chosen, feasible = _choose(resampled, minimum)
    original = _counts(question, np.ones((1, question.truth.size)))
    rows = np.arange(chosen.size)
    own_sensitivity = resampled.true_positives[rows, chosen] / resampled.positives
    own_specificity = resampled.true_negatives[rows, chosen] / resampled.negatives
    return Stability(
        threshold=interval(search(question, minimum).threshold, np.array(GRID)[chosen] / 100.0, resampling.method, ""),
        feasible_share=float(feasible.mean()),
        optimism_sensitivity=float((own_sensitivity - original.true_positives[0, chosen] / original.positives[0]).mean()),
        optimism_specificity=float((own_specificity - original.true_negatives[0, chosen] / original.negatives[0]).mean()),
    )


def cross_fitted(question: Question, folds: npt.NDArray[np.int64]) -> tuple[BoolArray, tuple[float, ...]]:
    """(n,) decisions of each fold's cases at the threshold that the other folds choose, and those thresholds by fold.

    Raises ValueError where the others of a fold lack a class.
    """
    decided = np.zeros(question.truth.size, np.bool_)
    thresholds = []
    for fold in np.unique(folds):
        found = search(question.among(folds != fold))
        decided[folds == fold] = question.logits[folds == fold] >= decision_logit(found.threshold)
        thresholds.append(found.threshold)
    return decided, tuple(thresholds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counts:
    """Of r resamples: (r, 61) per threshold, and (r,) of the classes. Whole numbers as float64, exact up to 2**53."""

    true_positives: FloatArray
    true_negatives: FloatArray
    positives: FloatArray
    negatives: FloatArray


def _decided(question: Question) -> BoolArray:
    """(61, n) decisions."""
    return question.logits[None, :] >= np.array([decision_logit(each / 100.0) for each in GRID])[:, None]


def _counts(question: Question, drawn: FloatArray) -> _Counts:
    decided, truth = _decided(question), question.truth
    return _Counts(
        true_positives=drawn @ (decided & truth).T.astype(np.float64),
        true_negatives=drawn @ (~decided & ~truth).T.astype(np.float64),
        positives=drawn @ truth.astype(np.float64),
        negatives=drawn @ (~truth).astype(np.float64),
    )


def _choose(counts: _Counts, minimum: Fraction) -> tuple[npt.NDArray[np.int64], BoolArray]:
    """(r,) index into the grid, and whether it keeps the sensitivity. Compared as whole counts, so nothing rounds.

    Along the grid the specificity never falls and the sensitivity never rises, so the largest specificity is at the last feasible
    threshold, and equal counts reach back to the first of equals.
    """
    kept = counts.true_positives * minimum.denominator >= (counts.positives * minimum.numerator)[:, None]
    feasible: BoolArray = np.asarray(kept.any(axis=1), np.bool_)
    balanced = counts.true_positives * counts.negatives[:, None] + counts.true_negatives * counts.positives[:, None]
    # lexicographic as one whole number: what counts most, then specificity, then sensitivity; argmax takes the first of equals
    size = counts.positives + counts.negatives + 1.0
    ties = counts.true_negatives * size[:, None] + counts.true_positives
    by_specificity = np.where(kept, ties, -1.0)
    best_balanced = balanced == balanced.max(axis=1, keepdims=True)
    chosen = np.where(feasible, by_specificity.argmax(axis=1), np.where(best_balanced, ties, -1.0).argmax(axis=1))
    return chosen.astype(np.int64), feasible
