"""Discrimination fold by fold: logits of different fits lie at different levels, and pooling them measures that, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from strnet_core.evaluation.bootstrap import DEFAULT_RESAMPLING, Resampling, auprc_resampled, auroc_resampled, draws, interval
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.discrimination import BoolArray, FloatArray, Question, areas
from strnet_core.evaluation.estimate import Estimate, unmeasured

DISAGREEMENT = 0.05
"""Of pooled and within-fold AUROC, beyond which a reader is warned."""
_Drawn = npt.NDArray[np.uint16]
_Measure = Callable[[Question, BoolArray, _Drawn], tuple[float, FloatArray]]
"""Of a fold's question, which of all cases are its own, and its draws: the point and its resamples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldAreas:
    """One fold by itself."""

    name: str
    positives: int
    negatives: int
    auroc: Estimate
    auprc: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinFolds:
    """Means over the folds that have enough of both classes, each fold with one weight; folds are drawn apart."""

    folds: tuple[FoldAreas, ...]
    auroc: Estimate
    auprc: Estimate
    differences: Mapping[str, Estimate]
    """By baseline: mean of the folds' AUROC of the network less the baseline's, paired."""
    disagreement: float | None
    """Pooled AUROC less the mean within folds."""


def within_folds(
    cases: Sequence[Case], question: Question, scores: Mapping[str, FloatArray], resampling: Resampling = DEFAULT_RESAMPLING
) -> WithinFolds | None:
    """Of cases that all have a fold, of at least two; else None. `scores` are (cases,) of each baseline, NaN where unknown."""
    names = [case.fold for case in cases]
    if None in names or len(set(names)) < 2:  # noqa: PLR2004
        return None
    folds = np.array([str(name) for name in names])
    chosen = {str(name): np.asarray(folds == name, np.bool_) for name in np.unique(folds)}
    auroc = _mean(question, chosen, _auroc, resampling)
    pooled = areas(question, resampling).auroc.value
    return WithinFolds(
        folds=tuple(_fold(name, question.among(where), resampling) for name, where in chosen.items()),
        auroc=auroc,
        auprc=_mean(question, chosen, _auprc, resampling),
        differences={name: _gain(question, chosen, baseline, resampling) for name, baseline in scores.items()},
        disagreement=None if pooled is None or auroc.value is None else pooled - auroc.value,
    )


def _fold(name: str, question: Question, resampling: Resampling) -> FoldAreas:
    found = areas(question, resampling)
    positives = int(question.truth.sum())
    return FoldAreas(name=name, positives=positives, negatives=question.truth.size - positives, auroc=found.auroc, auprc=found.auprc)


def _gain(question: Question, chosen: Mapping[str, BoolArray], baseline: FloatArray, resampling: Resampling) -> Estimate:
    def measure(asked: Question, where: BoolArray, drawn: _Drawn) -> tuple[float, FloatArray]:
        own, resampled = _auroc(asked, where, drawn)
        other, theirs = _auroc(replace(asked, logits=baseline[where]), where, drawn)
        return own - other, resampled - theirs

    known = np.isfinite(baseline)
    return _mean(question, {name: where & known for name, where in chosen.items()}, measure, resampling)


def _auroc(question: Question, _: BoolArray, drawn: _Drawn) -> tuple[float, FloatArray]:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(question.truth, question.logits)), auroc_resampled(question.truth, question.logits, drawn)


def _auprc(question: Question, _: BoolArray, drawn: _Drawn) -> tuple[float, FloatArray]:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(question.truth, question.logits)), auprc_resampled(question.truth, question.logits, drawn)


def _mean(question: Question, chosen: Mapping[str, BoolArray], measure: _Measure, resampling: Resampling) -> Estimate:
    points, resamples = [], []
    for number, where in enumerate(chosen.values()):
        asked = question.among(where)
        if asked.too_few():
            continue
        # a seed of its own, or folds of one size would all be drawn alike
        drawn = draws(asked.truth, asked.clusters, replace(resampling, seed=resampling.seed + number))
        point, resampled = measure(asked, where, drawn)
        points.append(point)
        resamples.append(resampled)
    if len(points) < 2:  # noqa: PLR2004
        return unmeasured("fewer than two folds with enough of both classes")
    told = f"mean of {len(points)} of {len(chosen)} folds, {resampling.method} within each"
    return interval(float(np.mean(points)), np.mean(resamples, axis=0), told, "")
