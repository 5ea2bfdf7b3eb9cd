"""What can be told without looking at bone: age and BMI alone, image family alone, image size alone.

A network that is not clearly better than these may have learned them. Each is a logistic regression whose scores are out of fold,
by the cases' own folds where all have one, so that it is judged on the same terms as the network. Classes are weighed equally:
else each fold's scores would move with the share of positives that was left to fit on, always the wrong way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from strnet_core.evaluation.bootstrap import DEFAULT_RESAMPLING, Resampling
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.cohort import clusters_of, values
from strnet_core.evaluation.discrimination import Areas, Question, areas, difference, specificity_at
from strnet_core.evaluation.estimate import Estimate
from strnet_core.evaluation.threshold import MINIMUM_SENSITIVITY

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
FOLDS = 5
AGE_AND_BMI, FAMILY, SIZE = "age and BMI", "image family", "image size"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """A baseline beside the network, both on those cases that have what the baseline needs."""

    name: str
    n: int
    folds: str
    """Whose folds: of the table, or made here."""
    missing: str = ""
    """Why it could not be made; empty where it could."""
    areas: Areas | None = None
    network: Areas | None = None
    difference: Estimate | None = None
    """AUROC of the network less the baseline's, paired."""
    specificity: Estimate | None = None
    """At a sensitivity of 0.86 by its own best cut: optimistic, for both alike."""
    network_specificity: Estimate | None = None
    apparent_auroc: float | None = None
    """Fitted and judged on the same cases, so too good: held out, what tells nothing falls below 0.5, not to it."""
    scores: FloatArray = field(repr=False, default_factory=lambda: np.empty(0))
    """(cases,) out-of-fold logits; NaN for cases without what it needs."""


def baselines(cases: Sequence[Case], question: Question, resampling: Resampling = DEFAULT_RESAMPLING) -> tuple[Baseline, ...]:
    """All that the cases hold the covariates for; the others say why not."""
    made = {AGE_AND_BMI: _age_and_bmi, FAMILY: _family, SIZE: _image_size}
    return tuple(_beside(name, features(cases), cases, question, resampling) for name, features in made.items())


def _age_and_bmi(cases: Sequence[Case]) -> FloatArray:
    return np.column_stack((values(case.age for case in cases), values(case.bmi for case in cases)))


def _family(cases: Sequence[Case]) -> FloatArray:
    """One column per family; NaN where unknown."""
    names = sorted({case.family for case in cases if case.family is not None})
    columns = [[float(case.family == name) if case.family is not None else np.nan for case in cases] for name in names]
    return np.array(columns, np.float64).reshape(len(names), len(cases)).T


def _image_size(cases: Sequence[Case]) -> FloatArray:
    """Logarithms of columns and rows."""
    return np.array([np.log(case.size) if case.size is not None else (np.nan, np.nan) for case in cases], np.float64)


def _beside(name: str, features: FloatArray, cases: Sequence[Case], question: Question, resampling: Resampling) -> Baseline:
    known: BoolArray = np.asarray(np.isfinite(features).all(axis=1) if features.shape[1] else np.zeros(len(cases)), np.bool_)
    n = int(known.sum())
    if n == 0:
        return Baseline(name=name, n=0, folds="", missing="no case has it")
    if np.ptp(features[known], axis=0).max() == 0.0:
        return Baseline(name=name, n=n, folds="", missing="it is the same for all cases")
    chosen = [case for case, there in zip(cases, known, strict=True) if there]
    asked = question.among(known)
    parts, whose = _parts(chosen, asked.truth)
    if not parts:
        return Baseline(name=name, n=n, folds="", missing=asked.too_few() or "too few cases of a class to hold some out")
    found = _out_of_fold(features[known], asked.truth, parts)
    of_baseline = Question(truth=asked.truth, logits=found, clusters=asked.clusters, classes=asked.classes)
    scores = np.full(len(cases), np.nan)
    scores[known] = found
    return Baseline(
        name=name,
        n=n,
        folds=whose,
        areas=areas(of_baseline, resampling),
        network=areas(asked, resampling),
        difference=difference(asked, found, resampling),
        specificity=specificity_at(of_baseline, float(MINIMUM_SENSITIVITY)),
        network_specificity=specificity_at(asked, float(MINIMUM_SENSITIVITY)),
        apparent_auroc=_apparent(features[known], asked.truth),
        scores=scores,
    )


_Parts = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]


def _parts(cases: Sequence[Case], truth: BoolArray) -> tuple[_Parts, str]:
    """Indices to fit on and to hold out; by the table's folds if each case has one and no fold's others lack a class."""
    from sklearn.model_selection import PredefinedSplit, StratifiedGroupKFold

    folds = [case.fold for case in cases]
    if None not in folds and len(set(folds)) > 1:
        split = list(PredefinedSplit(np.unique([str(fold) for fold in folds], return_inverse=True)[1]).split())
        if all(truth[fit].any() and not truth[fit].all() for fit, _ in split):
            return split, "folds of the table"
    clusters = clusters_of(cases)
    count = min(FOLDS, np.unique(clusters[truth]).size, np.unique(clusters[~truth]).size)
    if count < 2:  # noqa: PLR2004
        return [], ""
    made = list(StratifiedGroupKFold(count, shuffle=True, random_state=0).split(clusters, truth, clusters))
    usable = all(truth[fit].any() and not truth[fit].all() for fit, _ in made)
    return (made, f"{count} folds made here, clusters kept together") if usable else ([], "")


def _out_of_fold(features: FloatArray, truth: BoolArray, parts: _Parts) -> FloatArray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.empty(truth.size)
    for fit, held_out in parts:
        model: Any = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
        scores[held_out] = model.fit(features[fit], truth[fit]).decision_function(features[held_out])
    return scores


def _apparent(features: FloatArray, truth: BoolArray) -> float:
    """AUROC on the very cases that it was fitted on."""
    from sklearn.metrics import roc_auc_score

    every = np.arange(truth.size)
    return float(roc_auc_score(truth, _out_of_fold(features, truth, [(every, every)])))
