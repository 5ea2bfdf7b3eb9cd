"""What a sensitivity and a specificity mean where the condition is rarer or commoner than among the cases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.evaluation.confusion import Confusion
from strnet_core.evaluation.estimate import LEVEL, Estimate, unmeasured

DEFAULT_PREVALENCES = (0.05, 0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70)
_POSTERIOR_DRAWS = 20_000
_METHOD = f"Jeffreys posterior, {_POSTERIOR_DRAWS} draws"
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtPrevalence:
    """What to expect of a hundred knees."""

    prevalence: float
    ppv: Estimate
    npv: Estimate
    flagged_per_100: Estimate
    referrals_per_found: Estimate
    """Flagged for each flagged one with the condition: 1 / PPV."""


def at_prevalences(counts: Confusion, prevalences: Iterable[float] = DEFAULT_PREVALENCES, seed: int = 42) -> tuple[AtPrevalence, ...]:
    """By Bayes' rule from sensitivity and specificity. Intervals from their posterior, so that 12 of 12 is not certainty.

    Raises ValueError for a prevalence outside of (0, 1).
    """
    asked = tuple(prevalences)
    if not all(0.0 < each < 1.0 for each in asked):
        raise ValueError("a prevalence lies between 0 and 1")
    if not counts.positives or not counts.negatives:
        nothing = unmeasured("sensitivity and specificity are both needed")
        return tuple(_row(each, nothing, nothing, nothing, nothing) for each in asked)
    generator = np.random.default_rng(seed)
    sensitivity = generator.beta(counts.true_positives + 0.5, counts.false_negatives + 0.5, _POSTERIOR_DRAWS)
    specificity = generator.beta(counts.true_negatives + 0.5, counts.false_positives + 0.5, _POSTERIOR_DRAWS)
    point = np.array([counts.true_positives / counts.positives]), np.array([counts.true_negatives / counts.negatives])
    rows = []
    for each in asked:
        pairs = zip(_bayes(each, *point), _bayes(each, sensitivity, specificity), strict=True)
        rows.append(_row(each, *(_estimate(value, drawn) for value, drawn in pairs)))
    return tuple(rows)


def _bayes(prevalence: float, sensitivity: FloatArray, specificity: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """PPV, NPV, flagged per 100, flagged per found; NaN where not defined."""
    found, wrong = prevalence * sensitivity, (1.0 - prevalence) * (1.0 - specificity)
    missed, cleared = prevalence * (1.0 - sensitivity), (1.0 - prevalence) * specificity
    with np.errstate(divide="ignore", invalid="ignore"):
        return found / (found + wrong), cleared / (cleared + missed), 100.0 * (found + wrong), (found + wrong) / found


def _estimate(point: FloatArray, drawn: FloatArray) -> Estimate:
    if not np.isfinite(point[0]):
        return unmeasured("nobody, or everybody, is flagged")
    low, high = np.quantile(drawn, ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    return Estimate(value=float(point[0]), low=float(low), high=float(high), method=_METHOD)


def _row(prevalence: float, ppv: Estimate, npv: Estimate, flagged: Estimate, referrals: Estimate) -> AtPrevalence:
    return AtPrevalence(prevalence=prevalence, ppv=ppv, npv=npv, flagged_per_100=flagged, referrals_per_found=referrals)
