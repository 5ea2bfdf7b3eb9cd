"""From rows to the cases that are evaluated: what is left out and why, and one score per patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from strnet_core.errors import CountsError, OneClassError, PredictionsError, TooFewCasesError
from strnet_core.evaluation.case import OSTEOPOROSIS, Case
from strnet_core.training.films import family_of

Unit = Literal["patient", "image"]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MINIMUM_PER_CLASS = 5
"""Below this a cohort is refused: the interval of a proportion of 4 is wider than 0.5 whatever was found."""
PATIENT_RULE = "largest screening and severity logit of the patient's images, mean of their T-scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the flow: how many cases were left out, and why."""

    reason: str
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Labelled cases with a logit, at least MINIMUM_PER_CLASS of each class. Raises OneClassError and TooFewCasesError."""

    unit: Unit
    rows: int
    """Of the table."""
    flow: tuple[Step, ...]
    images: int
    """Images behind the cases."""
    patients_named: int
    """Patients of the table, whether or not one of their images is among the cases."""
    cases: tuple[Case, ...]
    unknown_patients: int = 0
    """Images whose group or film stands in for the patient, who is unknown."""

    def __post_init__(self) -> None:
        positives = sum(case.has_bone_loss for case in self.cases)
        negatives = len(self.cases) - positives
        if self.rows - sum(step.left_out for step in self.flow) != self.images:
            raise CountsError(f"{self.rows} rows less those left out are not {self.images} images")
        if not self.cases:
            raise TooFewCasesError("no case has both a label and a logit")
        if not positives or not negatives:
            raise OneClassError(f"{positives} with bone loss, {negatives} normal")
        if min(positives, negatives) < MINIMUM_PER_CLASS:
            raise TooFewCasesError(f"{positives} with bone loss, {negatives} normal; at least {MINIMUM_PER_CLASS} of each are needed")

    @property
    def patients(self) -> int:
        """Among the cases."""
        return len({case.patient_id for case in self.cases})

    @property
    def truth(self) -> BoolArray:
        """(n,) whether each case has bone loss."""
        return np.array([case.has_bone_loss for case in self.cases])

    @property
    def logits(self) -> FloatArray:
        """(n,) screening logits."""
        return values(case.logit for case in self.cases)


def cohort_of(rows: Sequence[Case], unit: Unit) -> Cohort:
    """The cases of a table, one per image or one per patient by PATIENT_RULE.

    Raises OneClassError, TooFewCasesError, PredictionsError (a patient with two labels, where the unit is the patient; a patient or a
    group in two folds).
    """
    _refuse_parted(rows)
    labelled = [case for case in rows if case.label_cls is not None]
    complete = [with_family(case) for case in labelled if case.logit is not None]
    why = Counter(case.refused or "without a prediction" for case in labelled if case.logit is None)
    flow = (
        Step(reason="without a label", left_out=len(rows) - len(labelled)),
        *(Step(reason=reason, left_out=n) for reason, n in sorted(why.items())),
    )
    cases = tuple(complete) if unit == "image" else per_patient(complete)
    return Cohort(
        unit=unit,
        rows=len(rows),
        flow=flow,
        images=len(complete),
        patients_named=len({case.patient_id for case in rows}),
        cases=cases,
        unknown_patients=sum(not case.is_patient_known for case in complete),
    )


def _refuse_parted(rows: Sequence[Case]) -> None:
    """A fit that has seen a patient's other image does not predict out of sample."""
    folds: dict[tuple[str, str], set[str]] = {}
    for case in rows:
        if case.fold is not None:
            folds.setdefault(("patient", case.patient_id), set()).add(case.fold)
            folds.setdefault(("group", case.cluster), set()).add(case.fold)
    for kind in ("patient", "group"):
        parted = sum(len(where) > 1 for (own, _), where in folds.items() if own == kind)
        if parted:
            raise PredictionsError(
                f"{parted} {kind}s have images in several folds: they were not held out; without `fold` no fold is claimed"
            )


def per_patient(cases: Sequence[Case]) -> tuple[Case, ...]:
    """One case per patient by PATIENT_RULE, in the order of their first images. Raises PredictionsError."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.patient_id, []).append(case)
    return tuple(_fused(images) for images in found.values())


def _fused(images: list[Case]) -> Case:
    first = images[0]
    if any(case.label_cls != first.label_cls for case in images):
        raise PredictionsError("a patient's images have different labels; evaluate with `--unit image`")
    return replace(
        first,
        logit=_over(max, (case.logit for case in images)),
        severity_logit=_over(max, (case.severity_logit for case in images)),
        t_score_pred=_over(_mean, (case.t_score_pred for case in images)),
    )


def _over(rule: Callable[[list[float]], float], given: Iterable[float | None]) -> float | None:
    known = [value for value in given if value is not None]
    return rule(known) if known else None


def _mean(given: list[float]) -> float:
    return sum(given) / len(given)


def with_family(case: Case) -> Case:
    """Where no family is named, the shape of the image is one: square, tall or wide."""
    if case.family is not None or case.size is None:
        return case
    return replace(case, family=family_of(*case.size))


def values(given: Iterable[float | None]) -> FloatArray:
    """(n,) float64; unknown is NaN."""
    return np.array([np.nan if value is None else value for value in given], np.float64)


def clusters_of(cases: Sequence[Case]) -> npt.NDArray[np.int64]:
    """(n,) a number per cluster."""
    return np.unique([case.cluster for case in cases], return_inverse=True)[1].astype(np.int64)


def with_severity(cases: Sequence[Case]) -> tuple[tuple[Case, ...], BoolArray]:
    """Cases with bone loss and a severity logit, and which of them are osteoporosis."""
    asked = tuple(case for case in cases if case.has_bone_loss and case.severity_logit is not None)
    return asked, np.array([case.label_cls == OSTEOPOROSIS for case in asked], np.bool_)
