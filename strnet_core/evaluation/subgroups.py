"""The same figures apart for groups of cases; what a group cannot show is said, not left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from strnet_core.errors import CountsError
from strnet_core.evaluation.bootstrap import DEFAULT_RESAMPLING, Resampling
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.confusion import Confusion, confusion_of, proportions
from strnet_core.evaluation.discrimination import Question, areas
from strnet_core.evaluation.estimate import Estimate, unmeasured

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
UNKNOWN = "unknown"
AGE_GATE = 50.0
"""Years: below it WHO's T-score classes do not apply, and the gateway's default refuses."""
_BMI_BANDS = ((25.0, "under 25"), (30.0, "25 to under 30"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subgroup:
    """Cases that share something, at the primary threshold."""

    dimension: str
    name: str
    counts: Confusion
    auroc: Estimate
    auprc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    flagged: Estimate
    baseline_auroc: Estimate
    """Of age and BMI alone on the same cases."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What these cases cannot show, as sentences."""
        figures = {"AUROC": self.auroc, "sensitivity": self.sensitivity, "specificity": self.specificity}
        return tuple(f"{name} cannot be measured: {figure.missing}" for name, figure in figures.items() if figure.missing)


def age_band(case: Case) -> str:
    """Under 50, 50 and over."""
    return UNKNOWN if case.age is None else "under 50" if case.age < AGE_GATE else "50 and over"


def bmi_band(case: Case) -> str:
    """WHO's bands of 25 and 30 kg/m2."""
    if case.bmi is None:
        return UNKNOWN
    return next((name for limit, name in _BMI_BANDS if case.bmi < limit), "30 and over")


DIMENSIONS: dict[str, Callable[[Case], str]] = {
    "age": age_band,
    "sex": lambda case: case.sex or UNKNOWN,
    "BMI": bmi_band,
    "family": lambda case: case.family or UNKNOWN,
}


def subgroups(
    cases: Sequence[Case],
    question: Question,
    decided: BoolArray,
    baseline: FloatArray | None = None,
    resampling: Resampling = DEFAULT_RESAMPLING,
) -> tuple[Subgroup, ...]:
    """Every group of every dimension of which something is known; the groups of a dimension sum to all cases.

    decided: (n,) at the primary threshold. baseline: (n,) scores of age and BMI, NaN where unknown.
    """
    found = []
    for dimension, name_of in DIMENSIONS.items():
        names = np.array([name_of(case) for case in cases])
        if set(names) == {UNKNOWN}:
            continue
        groups = [_subgroup(dimension, name, names == name, question, decided, baseline, resampling) for name in _ordered(names)]
        if sum(group.counts.n for group in groups) != len(cases):
            raise CountsError(f"the groups by {dimension} do not sum to {len(cases)} cases")
        found += groups
    return tuple(found)


def _ordered(names: npt.NDArray[np.str_]) -> list[str]:
    """By name, those without the value last; the younger and the lighter first."""
    rank = {"under 50": "0", "under 25": "0", "25 to under 30": "1", "50 and over": "2", "30 and over": "2", UNKNOWN: "~~"}
    return sorted(set(map(str, names)), key=lambda name: rank.get(name, name))


def _subgroup(
    dimension: str,
    name: str,
    members: BoolArray,
    question: Question,
    decided: BoolArray,
    baseline: FloatArray | None,
    resampling: Resampling,
) -> Subgroup:
    asked = question.among(members)
    counts = confusion_of(asked.truth, decided[members])
    figures, rates = areas(asked, resampling), proportions(counts, "Wilson", question.classes)
    return Subgroup(
        dimension=dimension,
        name=name,
        counts=counts,
        auroc=figures.auroc,
        auprc=figures.auprc,
        sensitivity=rates["sensitivity"],
        specificity=rates["specificity"],
        flagged=rates["flagged"],
        baseline_auroc=_of_baseline(question, members, baseline, resampling),
    )


def _of_baseline(question: Question, members: BoolArray, baseline: FloatArray | None, resampling: Resampling) -> Estimate:
    if baseline is None:
        return unmeasured("no age and BMI")
    known = members & np.isfinite(baseline)
    asked = question.among(known)
    return areas(Question(truth=asked.truth, logits=baseline[known], clusters=asked.clusters, classes=asked.classes), resampling).auroc
