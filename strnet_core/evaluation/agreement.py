"""Predicted T-scores against those of the reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.evaluation.estimate import LEVEL, Estimate, unmeasured

FloatArray = npt.NDArray[np.float64]
MINIMUM_PAIRS = 4
"""Fisher's z has the variance 1 / (n - 3)."""
_BROAD = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """In units of T-score. Differences are predicted less reference."""

    n: int
    mae: float
    rmse: float
    rmse_of_the_mean: float
    """Of the references' own mean as everybody's prediction: what a prediction has to beat."""
    pearson: Estimate
    concordance: float
    """Lin's coefficient: like Pearson's, but deviations from the identity line count."""
    bias: Estimate
    lower_limit: Estimate
    """95 % limits of agreement (Bland and Altman), each with its own interval."""
    upper_limit: Estimate
    proportional_bias: Estimate
    """Slope of the difference over the mean of the pair; 0 is none."""
    fit_slope: float
    """Least squares, predicted over reference."""
    fit_intercept: float


def agreement(reference: FloatArray, predicted: FloatArray) -> Agreement | str:
    """Of (n,) pairs; a sentence instead where there are fewer than MINIMUM_PAIRS or one side is constant."""
    if reference.size < MINIMUM_PAIRS:
        return f"only {reference.size} pairs of reference and predicted T-score, at least {MINIMUM_PAIRS} are needed"
    if np.ptp(reference) == 0.0 or np.ptp(predicted) == 0.0:
        return "the reference or the predicted T-scores are all equal"
    from scipy.stats import linregress

    away = predicted - reference
    bias, lower, upper = _limits(away)
    fit = linregress(reference, predicted)
    return Agreement(
        n=reference.size,
        mae=float(np.abs(away).mean()),
        rmse=float(np.sqrt((away**2).mean())),
        rmse_of_the_mean=float(reference.std()),
        pearson=_pearson(reference, predicted),
        concordance=float(
            2.0
            * np.cov(reference, predicted, ddof=0)[0, 1]
            / (reference.var() + predicted.var() + (reference.mean() - predicted.mean()) ** 2)
        ),
        bias=bias,
        lower_limit=lower,
        upper_limit=upper,
        proportional_bias=_proportional((reference + predicted) / 2.0, away),
        fit_slope=float(fit.slope),
        fit_intercept=float(fit.intercept),
    )


def _pearson(reference: FloatArray, predicted: FloatArray) -> Estimate:
    from scipy.stats import pearsonr

    found = pearsonr(reference, predicted)
    interval = found.confidence_interval(LEVEL)
    return Estimate(value=float(found.statistic), low=float(interval.low), high=float(interval.high), method="Fisher z")


def _limits(away: FloatArray) -> tuple[Estimate, Estimate, Estimate]:
    """Bias and limits of agreement; intervals as Bland and Altman 1986: standard errors s / sqrt(n) and s * sqrt(3 / n)."""
    from scipy.stats import t

    n, mean, spread = away.size, float(away.mean()), float(away.std(ddof=1))
    quantile = float(t.ppf((1.0 + LEVEL) / 2.0, n - 1))

    def around(value: float, error: float) -> Estimate:
        return Estimate(value=value, low=value - quantile * error, high=value + quantile * error, method="t")

    wide = spread * (3.0 / n) ** 0.5
    return around(mean, spread / n**0.5), around(mean - _BROAD * spread, wide), around(mean + _BROAD * spread, wide)


def _proportional(mean: FloatArray, away: FloatArray) -> Estimate:
    from scipy.stats import linregress, t

    if np.ptp(mean) == 0.0:
        return unmeasured("all pairs have the same mean")
    fit = linregress(mean, away)
    half = float(t.ppf((1.0 + LEVEL) / 2.0, mean.size - 2)) * float(fit.stderr)
    return Estimate(value=float(fit.slope), low=float(fit.slope) - half, high=float(fit.slope) + half, method="t")
