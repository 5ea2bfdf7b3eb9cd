"""Whether scores read as probabilities would come true. Nothing here makes the gateway's scores probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.evaluation.confusion import proportion
from strnet_core.evaluation.estimate import Estimate, unmeasured

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_NORMAL_QUANTILE = 1.959963984540054
_BINS = 10
_PER_BIN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Cases of neighbouring scores."""

    n: int
    mean_score: float
    observed: Estimate
    """Share with the condition (Wilson)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Of scores as probabilities, on the cases at hand and at their prevalence."""

    brier: float
    brier_constant: float
    """Of the prevalence as everybody's score: what a score has to beat."""
    brier_scaled: float
    """1 - brier / brier_constant; 1 is perfect, 0 no better than the prevalence."""
    expected_over_observed: float
    intercept: Estimate
    """Calibration in the large: the logit shift that makes the mean score right; 0 is right, negative is scores too high."""
    slope: Estimate
    """Of a logistic regression on the logit; 1 is right, below 1 is scores too extreme."""
    expected_calibration_error: float
    """Mean distance of score and observed share over the bins, weighted by their cases."""
    bins: tuple[ReliabilityBin, ...]


def probabilities(logits: FloatArray) -> FloatArray:
    """(n,) sigmoid, without overflow."""
    from scipy.special import expit

    return np.asarray(expit(logits), np.float64)


def calibration(truth: BoolArray, logits: FloatArray) -> Calibration:
    """Of (n,) references with both classes and their logits."""
    from sklearn.metrics import brier_score_loss

    scores, prevalence = probabilities(logits), float(truth.mean())
    constant = prevalence * (1.0 - prevalence)
    brier = float(brier_score_loss(truth, scores))
    bins = reliability(truth, scores)
    return Calibration(
        brier=brier,
        brier_constant=constant,
        brier_scaled=1.0 - brier / constant,
        expected_over_observed=float(scores.sum() / truth.sum()),
        intercept=_intercept(truth, logits),
        slope=_slope(truth, logits),
        expected_calibration_error=sum(each.n * abs(each.mean_score - (each.observed.value or 0.0)) for each in bins) / truth.size,
        bins=bins,
    )


def reliability(truth: BoolArray, scores: FloatArray) -> tuple[ReliabilityBin, ...]:
    """Up to ten bins of equal counts, at least ten cases in each where there are so many."""
    count = min(_BINS, max(1, truth.size // _PER_BIN))
    parts = np.array_split(np.argsort(scores, kind="stable"), count)
    return tuple(
        ReliabilityBin(n=part.size, mean_score=float(scores[part].mean()), observed=proportion(int(truth[part].sum()), part.size))
        for part in parts
    )


def _intercept(truth: BoolArray, logits: FloatArray) -> Estimate:
    """The maximum of the likelihood of a shift alone: the shifted scores sum to the observed count."""
    from scipy.optimize import brentq

    far = float(np.abs(logits).max()) + 50.0
    shift = float(brentq(lambda moved: float(probabilities(logits + moved).sum() - truth.sum()), -far, far))
    fitted = probabilities(logits + shift)
    return _wald(shift, 1.0 / float((fitted * (1.0 - fitted)).sum()))


def _slope(truth: BoolArray, logits: FloatArray) -> Estimate:
    if not (logits[~truth].max() > logits[truth].min() and logits[truth].max() > logits[~truth].min()):
        return unmeasured("the classes are separated by the score, so no finite slope fits")
    from sklearn.linear_model import LogisticRegression

    spread = float(logits.std())
    standardised = (logits - logits.mean()) / spread
    fit = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(standardised[:, None], truth)
    fitted = fit.predict_proba(standardised[:, None])[:, 1]
    design = np.column_stack((np.ones_like(logits), standardised))
    information = design.T @ (design * (fitted * (1.0 - fitted))[:, None])
    return _wald(float(fit.coef_[0, 0]) / spread, float(np.linalg.inv(information)[1, 1]) / spread**2)


def _wald(value: float, variance: float) -> Estimate:
    half = _NORMAL_QUANTILE * variance**0.5
    return Estimate(value=value, low=value - half, high=value + half, method="Wald")
