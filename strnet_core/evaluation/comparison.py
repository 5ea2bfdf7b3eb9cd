"""Several sets of predictions side by side: backbones, ablations, seeds (the paper's Table 4 and Figures 6 and 7)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strnet_core.evaluation.agreement import Agreement
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.cohort import Cohort, cohort_of, values
from strnet_core.evaluation.confusion import Confusion
from strnet_core.evaluation.discrimination import Discrimination, Question, areas, difference, operating_point
from strnet_core.evaluation.estimate import Estimate, unmeasured
from strnet_core.evaluation.evaluation import (
    EvaluationSettings,
    compare_t_scores,
    decide_severity,
    screening_question,
)
from strnet_core.evaluation.threshold import search


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One set of predictions, each at its own searched threshold unless one was given."""

    name: str
    n: int
    auroc: Estimate
    auprc: Estimate
    threshold: float
    counts: Confusion
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    severity_auroc: Estimate
    pearson: Estimate
    mae: float | None
    rmse: float | None
    difference: Estimate
    """AUROC less the first set's, paired over the cases that both have."""
    common: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of one figure over the sets: mean and standard deviation (n - 1)."""

    mean: float
    sd: float
    n: int


def compare(sets: Sequence[tuple[str, Sequence[Case]]], settings: EvaluationSettings) -> tuple[Compared, ...]:
    """Sets with their names, in the order given; the first is what the others are compared with. Raises what `cohort_of` raises."""
    cohorts = [(name, cohort_of(rows, settings.unit)) for name, rows in sets]
    return tuple(_compared(name, cohort, cohorts[0][1], settings) for name, cohort in cohorts)


def spreads(compared: Sequence[Compared]) -> dict[str, Spread]:
    """Means and deviations over the sets, for runs that differ in their seed alone; empty for fewer than two."""
    if len(compared) < 2:  # noqa: PLR2004
        return {}
    figures = {
        name: [found.value for each in compared if (found := getattr(each, name)).value is not None]
        for name in ("auprc", "auroc", "sensitivity", "severity_auroc")
    }
    figures["rmse"] = [each.rmse for each in compared if each.rmse is not None]
    return {
        name: Spread(mean=statistics.fmean(known), sd=statistics.stdev(known), n=len(known))
        for name, known in figures.items()
        if len(known) > 1
    }


def _compared(name: str, cohort: Cohort, first: Cohort, settings: EvaluationSettings) -> Compared:
    question = screening_question(cohort)
    threshold = settings.threshold if settings.threshold is not None else search(question).threshold
    point = operating_point(question, threshold, name, "", settings.resampling)
    figures = areas(question, settings.resampling)
    severity, t_scores = decide_severity(cohort.cases, settings), compare_t_scores(cohort.cases)
    common, gain = _difference(cohort, first, settings)
    return Compared(
        name=name,
        n=len(cohort.cases),
        auroc=figures.auroc,
        auprc=figures.auprc,
        threshold=threshold,
        counts=point.counts,
        sensitivity=point.bootstrap["sensitivity"],
        specificity=point.bootstrap["specificity"],
        accuracy=point.bootstrap["accuracy"],
        severity_auroc=severity.areas.auroc if isinstance(severity, Discrimination) else unmeasured(severity),
        pearson=t_scores.pearson if isinstance(t_scores, Agreement) else unmeasured(t_scores),
        mae=t_scores.mae if isinstance(t_scores, Agreement) else None,
        rmse=t_scores.rmse if isinstance(t_scores, Agreement) else None,
        difference=gain,
        common=common,
    )


def _difference(cohort: Cohort, first: Cohort, settings: EvaluationSettings) -> tuple[int, Estimate]:
    if cohort is first:
        return len(cohort.cases), unmeasured("it is what the others are compared with")
    others = {_key(case, cohort): case.logit for case in first.cases}
    there = np.array([_key(case, cohort) in others for case in cohort.cases])
    if not there.any():
        return 0, unmeasured("no case in common")
    asked: Question = screening_question(cohort).among(there)
    theirs = values(others[_key(case, cohort)] for case, both in zip(cohort.cases, there, strict=True) if both)
    return int(there.sum()), difference(asked, theirs, settings.resampling)


def _key(case: Case, cohort: Cohort) -> str:
    return case.patient_id if cohort.unit == "patient" else case.image
