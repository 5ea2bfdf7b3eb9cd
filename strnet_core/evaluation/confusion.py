"""Counts of decisions, and the rates that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from strnet_core.errors import CountsError
from strnet_core.evaluation.estimate import LEVEL, Estimate, unmeasured

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
ProportionMethod = Literal["Wilson", "Clopper-Pearson"]
RATES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "youden", "mcc", "flagged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """What the two classes of a question are called, for sentences."""

    positive: str = "bone-loss"
    negative: str = "normal"
    unit: str = "knee"


DEFAULT_CLASSES = Classes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Counts by reference and decision. Raises CountsError for a negative count or an empty table."""

    true_positives: int
    false_negatives: int
    true_negatives: int
    false_positives: int

    def __post_init__(self) -> None:
        if min(self.true_positives, self.false_negatives, self.true_negatives, self.false_positives) < 0:
            raise CountsError("a count below 0")
        if self.n == 0:
            raise CountsError("all counts are 0")

    @property
    def positives(self) -> int:
        """With the condition."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """Without the condition."""
        return self.true_negatives + self.false_positives

    @property
    def n(self) -> int:
        """All."""
        return self.positives + self.negatives

    @property
    def flagged(self) -> int:
        """Decided positive."""
        return self.true_positives + self.false_positives

    def check_totals(self, *, positives: int | None = None, negatives: int | None = None, n: int | None = None) -> None:
        """Raises CountsError where the counts do not sum to what is said of them elsewhere."""
        told = {"with the condition": (positives, self.positives), "without": (negatives, self.negatives), "in all": (n, self.n)}
        wrong = [f"{found} {name}, not {said}" for name, (said, found) in told.items() if said is not None and said != found]
        if wrong:
            raise CountsError("the counts sum to " + "; ".join(wrong))


def confusion_of(truth: BoolArray, decided: BoolArray) -> Confusion:
    """Counts of (n,) decisions against (n,) references."""
    return Confusion(
        true_positives=int((truth & decided).sum()),
        false_negatives=int((truth & ~decided).sum()),
        true_negatives=int((~truth & ~decided).sum()),
        false_positives=int((~truth & decided).sum()),
    )


def rates_of(tp: FloatArray, fn: FloatArray, tn: FloatArray, fp: FloatArray) -> dict[str, FloatArray]:
    """RATES of arrays of counts of one shape; NaN where a rate is not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        return {
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
            "accuracy": (tp + tn) / (tp + fn + tn + fp),
            "balanced_accuracy": (sensitivity + specificity) / 2.0,
            "f1": 2.0 * tp / (2.0 * tp + fp + fn),
            "youden": sensitivity + specificity - 1.0,
            "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
            "flagged": (tp + fp) / (tp + fn + tn + fp),
        }


def point_rates(counts: Confusion) -> dict[str, float | None]:
    """RATES; None where a rate is not defined."""
    given = (counts.true_positives, counts.false_negatives, counts.true_negatives, counts.false_positives)
    found = rates_of(*(np.array(count, np.float64) for count in given))
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def why_unmeasured(name: str, counts: Confusion, classes: Classes = DEFAULT_CLASSES) -> str:
    """Why a rate is not defined for these counts; empty where it is."""
    no_positive, no_negative = f"no {classes.positive} {classes.unit}", f"no {classes.negative} {classes.unit}"
    asks = {
        "sensitivity": (counts.positives, no_positive),
        "specificity": (counts.negatives, no_negative),
        "ppv": (counts.flagged, f"no flagged {classes.unit}"),
        "npv": (counts.n - counts.flagged, f"every {classes.unit} is flagged"),
    }
    if name in asks:
        return "" if asks[name][0] else asks[name][1]
    if name in ("balanced_accuracy", "youden", "mcc") and not (counts.positives and counts.negatives):
        return no_negative if counts.positives else no_positive
    return "" if point_rates(counts)[name] is not None else f"every {classes.unit} has the same decision"


def proportions(counts: Confusion, method: ProportionMethod = "Wilson", classes: Classes = DEFAULT_CLASSES) -> Mapping[str, Estimate]:
    """Those rates that are proportions, each with its counts and interval."""
    parts = {
        "sensitivity": (counts.true_positives, counts.positives),
        "specificity": (counts.true_negatives, counts.negatives),
        "ppv": (counts.true_positives, counts.flagged),
        "npv": (counts.true_negatives, counts.n - counts.flagged),
        "accuracy": (counts.true_positives + counts.true_negatives, counts.n),
        "flagged": (counts.flagged, counts.n),
    }
    return {name: proportion(k, n, method) if n else unmeasured(why_unmeasured(name, counts, classes)) for name, (k, n) in parts.items()}


def proportion(k: int, n: int, method: ProportionMethod = "Wilson") -> Estimate:
    """k of n. Raises ValueError unless 0 <= k <= n and n > 0."""
    from scipy.stats import binomtest

    interval = binomtest(k, n).proportion_ci(LEVEL, method="wilson" if method == "Wilson" else "exact")
    return Estimate(value=k / n, low=float(interval.low), high=float(interval.high), method=method, numerator=k, denominator=n)
