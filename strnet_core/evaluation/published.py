"""The counts that the STR-Net paper prints, recomputed: where its figures fit their counts, and where no counts can fit them.

Paper: arXiv 2604.20268v1. Only numbers are taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from strnet_core.evaluation.bootstrap import DEFAULT_RESAMPLING, Resampling, interval
from strnet_core.evaluation.confusion import (
    DEFAULT_CLASSES,
    RATES,
    Classes,
    Confusion,
    point_rates,
    proportions,
    rates_of,
    why_unmeasured,
)
from strnet_core.evaluation.discrimination import SMALL_CLASS
from strnet_core.evaluation.estimate import Estimate

_DECIMALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedReport:
    """All that follows from four counts."""

    counts: Confusion
    bootstrap: Mapping[str, Estimate]
    wilson: Mapping[str, Estimate]
    clopper_pearson: Mapping[str, Estimate]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """Counts of the paper, or that follow from it, with the rates printed for them."""

    name: str
    counts: Confusion
    positives: int
    """Class totals that the paper's own Table 1 or Table 6 gives for the cohort."""
    negatives: int
    printed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """A published table and what is made of it."""

    table: PublishedTable
    report: CountedReport
    disagreements: tuple[str, ...]


def _table(name: str, cells: tuple[int, int, int, int], totals: tuple[int, int], printed: Mapping[str, float]) -> PublishedTable:
    counts = Confusion(true_positives=cells[0], false_negatives=cells[1], true_negatives=cells[2], false_positives=cells[3])
    return PublishedTable(name=name, counts=counts, positives=totals[0], negatives=totals[1], printed=printed)


_HEADLINE = {"sensitivity": 0.904, "specificity": 0.773}
_EXTERNAL = {"sensitivity": 0.800, "specificity": 0.750, "ppv": 0.889, "npv": 0.600, "accuracy": 0.786}
PUBLISHED = (
    _table("internal test, abstract and section 3.3", (123, 13, 68, 20), (136, 88), _HEADLINE),
    _table("internal test, Figure 7", (146, 16, 45, 17), (136, 88), _HEADLINE),
    _table("external cohort, Figure 10", (24, 6, 9, 3), (30, 12), _EXTERNAL),
)
SEVERITY_PRINTED = {"sensitivity": 0.862, "specificity": 0.765}
SEVERITY_TOTALS = {"Table 5": (74, 62), "Table 1": (71, 65)}
"""Osteoporosis and osteopenia of the test set, which the paper gives twice."""


def counted(counts: Confusion, classes: Classes = DEFAULT_CLASSES, resampling: Resampling = DEFAULT_RESAMPLING) -> CountedReport:
    """Every rate of four counts with intervals. The stratified bootstrap of decisions is two binomials, drawn as such."""
    generator = np.random.default_rng(resampling.seed)
    found = np.zeros((2, resampling.replicates))
    for row, (right, n) in enumerate(((counts.true_positives, counts.positives), (counts.true_negatives, counts.negatives))):
        if n:
            found[row] = generator.binomial(n, right / n, resampling.replicates)
    resampled = rates_of(found[0], counts.positives - found[0], found[1], counts.negatives - found[1])
    points = point_rates(counts)
    return CountedReport(
        counts=counts,
        bootstrap={
            name: interval(points[name], resampled[name], resampling.method, why_unmeasured(name, counts, classes)) for name in RATES
        },
        wilson=proportions(counts, "Wilson", classes),
        clopper_pearson=proportions(counts, "Clopper-Pearson", classes),
        notes=small_classes(counts.positives, counts.negatives, classes),
    )


def small_classes(positives: int, negatives: int, classes: Classes = DEFAULT_CLASSES) -> tuple[str, ...]:
    """Warnings of classes with fewer than SMALL_CLASS cases."""
    told = ((classes.positive, positives, "sensitivity"), (classes.negative, negatives, "specificity"))
    return tuple(
        f"only {n} {called} {classes.unit}s: the {rate} is known within wide limits only" for called, n, rate in told if 0 < n < SMALL_CLASS
    )


def counts_that_round_to(rate: float, n: int, decimals: int = _DECIMALS) -> tuple[int, ...]:
    """Every k of n whose share is printed as this rate; empty means that no count of n gives it."""
    return tuple(k for k in range(n + 1) if abs(k / n - rate) <= 0.5 * 10.0**-decimals + 1e-12)


def recompute(table: PublishedTable, resampling: Resampling = DEFAULT_RESAMPLING) -> Recomputed:
    """A published table against its own printed rates and class totals."""
    points = point_rates(table.counts)
    wrong = [
        f"{name} is {points[name]:.{_DECIMALS}f}, printed {said:.{_DECIMALS}f}"
        for name, said in table.printed.items()
        if points[name] is None or abs((points[name] or 0.0) - said) > 0.5 * 10.0**-_DECIMALS + 1e-12
    ]
    for called, said, n in (
        ("with bone loss", table.positives, table.counts.positives),
        ("normal", table.negatives, table.counts.negatives),
    ):
        if said != n:
            wrong.append(f"{n} {called}, elsewhere {said}")
    return Recomputed(table=table, report=counted(table.counts, resampling=resampling), disagreements=tuple(wrong))


def severity_findings() -> tuple[str, ...]:
    """Which printed severity rates no count can give."""
    found = []
    for where, (positives, negatives) in SEVERITY_TOTALS.items():
        for name, n in (("sensitivity", positives), ("specificity", negatives)):
            rate = SEVERITY_PRINTED[name]
            if not counts_that_round_to(rate, n):
                found.append(f"severity {name} {rate:.3f} is no k of {n} (class total of {where})")
    return tuple(found)
