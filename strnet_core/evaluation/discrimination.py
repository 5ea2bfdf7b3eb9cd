"""A yes-or-no question answered by a logit: areas, curves, and what follows at a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from strnet_core.bundle import decision_logit
from strnet_core.evaluation.bootstrap import (
    DEFAULT_RESAMPLING,
    Resampling,
    auprc_resampled,
    auroc_resampled,
    draws,
    interval,
    rates_resampled,
)
from strnet_core.evaluation.confusion import (
    DEFAULT_CLASSES,
    RATES,
    Classes,
    Confusion,
    confusion_of,
    point_rates,
    proportions,
    why_unmeasured,
)
from strnet_core.evaluation.estimate import Estimate, unmeasured

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
MINIMUM_FOR_AREA = 5
"""Of each class; the area of fewer is a matter of single cases."""
SMALL_CLASS = 50
"""Below this many of a class a reader is warned."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """References and logits of the same cases."""

    truth: BoolArray
    """(n,) whether the condition is there."""
    logits: FloatArray
    """(n,) finite; larger speaks for the condition. Any score that orders cases will do for areas."""
    clusters: npt.NDArray[np.int64]
    """(n,) cases of one number are not independent."""
    classes: Classes = DEFAULT_CLASSES

    def __post_init__(self) -> None:
        if not self.truth.shape == self.logits.shape == self.clusters.shape or not np.isfinite(self.logits).all():
            raise ValueError("one finite logit and one cluster per reference")

    def among(self, chosen: BoolArray) -> Question:
        """The same question of some of the cases."""
        return Question(truth=self.truth[chosen], logits=self.logits[chosen], clusters=self.clusters[chosen], classes=self.classes)

    def too_few(self) -> str:
        """Why no area can be measured; empty where it can."""
        for called, there in ((self.classes.positive, self.truth), (self.classes.negative, ~self.truth)):
            n = int(there.sum())
            if n < MINIMUM_FOR_AREA:
                unit = self.classes.unit + ("" if n in (0, 1) else "s")
                return f"no {called} {unit}" if n == 0 else f"only {n} {called} {unit}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Discrimination without a threshold."""

    auroc: Estimate
    auprc: Estimate
    prevalence: float | None
    """Share with the condition: the AUPRC of a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Decisions at one threshold."""

    name: str
    threshold: float | None
    """None where several thresholds were used (one per fold)."""
    origin: str
    """Where the threshold comes from, and whether its figures are optimistic."""
    counts: Confusion
    bootstrap: Mapping[str, Estimate]
    """Each of `confusion.RATES` with the stratified bootstrap's interval."""
    wilson: Mapping[str, Estimate]
    """The proportions among them with Wilson's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of a ROC curve (1 - specificity, sensitivity) or a precision-recall curve (sensitivity, PPV)."""

    x: tuple[float, ...] = field(repr=False)
    y: tuple[float, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrimination:
    """One question, answered: areas, curves, decisions."""

    classes: Classes
    positives: int
    negatives: int
    areas: Areas
    roc: Curve
    precision_recall: Curve
    points: tuple[OperatingPoint, ...]
    """The first is the primary one."""


def areas(question: Question, resampling: Resampling = DEFAULT_RESAMPLING) -> Areas:
    """AUROC and AUPRC with stratified bootstrap intervals; missing where a class has fewer than MINIMUM_FOR_AREA."""
    prevalence = float(question.truth.mean()) if question.truth.size else None
    why = question.too_few()
    if why:
        return Areas(auroc=unmeasured(why), auprc=unmeasured(why), prevalence=prevalence)
    from sklearn.metrics import average_precision_score, roc_auc_score

    truth, logits = question.truth, question.logits
    drawn = draws(truth, question.clusters, resampling)
    return Areas(
        auroc=interval(float(roc_auc_score(truth, logits)), auroc_resampled(truth, logits, drawn), resampling.method, ""),
        auprc=interval(float(average_precision_score(truth, logits)), auprc_resampled(truth, logits, drawn), resampling.method, ""),
        prevalence=prevalence,
    )


def operating_point(
    question: Question, threshold: float, name: str, origin: str, resampling: Resampling = DEFAULT_RESAMPLING
) -> OperatingPoint:
    """Decisions at a threshold in (0, 1), compared as logits in float64 like the gateway's; equality counts."""
    return decided_point(question, question.logits >= decision_logit(threshold), name, origin, resampling, threshold=threshold)


def decided_point(
    question: Question,
    decided: BoolArray,
    name: str,
    origin: str,
    resampling: Resampling = DEFAULT_RESAMPLING,
    *,
    threshold: float | None = None,
) -> OperatingPoint:
    """Given decisions, wherever they come from."""
    counts = confusion_of(question.truth, decided)
    counts.check_totals(positives=int(question.truth.sum()), n=question.truth.size)
    resampled = rates_resampled(question.truth, decided, draws(question.truth, question.clusters, resampling))
    points = point_rates(counts)
    return OperatingPoint(
        name=name,
        threshold=threshold,
        origin=origin,
        counts=counts,
        bootstrap={
            rate: interval(points[rate], resampled[rate], resampling.method, why_unmeasured(rate, counts, question.classes))
            for rate in RATES
        },
        wilson=proportions(counts, "Wilson", question.classes),
    )


def specificity_at(question: Question, sensitivity: float) -> Estimate:
    """The largest specificity at which at least this sensitivity is reached, over all cuts: for scores without a threshold."""
    why = question.too_few()
    if why:
        return unmeasured(why)
    from sklearn.metrics import roc_curve

    false_positive, reached, _ = roc_curve(question.truth, question.logits, drop_intermediate=False)
    return Estimate(value=float(1.0 - false_positive[reached >= sensitivity].min()))


def difference(question: Question, other: Sequence[float] | FloatArray, resampling: Resampling = DEFAULT_RESAMPLING) -> Estimate:
    """AUROC of the question's logits less that of other scores of the same cases, resampled together."""
    why = question.too_few()
    if why:
        return unmeasured(why)
    from sklearn.metrics import roc_auc_score

    truth, scores = question.truth, np.asarray(other, np.float64)
    drawn = draws(truth, question.clusters, resampling)
    resampled = auroc_resampled(truth, question.logits, drawn) - auroc_resampled(truth, scores, drawn)
    return interval(
        float(roc_auc_score(truth, question.logits) - roc_auc_score(truth, scores)), resampled, f"paired {resampling.method}", ""
    )


def roc(question: Question) -> Curve:
    """Of a question with both classes."""
    from sklearn.metrics import roc_curve

    x, y, _ = roc_curve(question.truth, question.logits)
    return Curve(x=tuple(map(float, x)), y=tuple(map(float, y)))


def precision_recall(question: Question) -> Curve:
    """Of a question with both classes."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(question.truth, question.logits)
    return Curve(x=tuple(map(float, recall)), y=tuple(map(float, precision)))


def discriminate(question: Question, points: tuple[OperatingPoint, ...], resampling: Resampling) -> Discrimination:
    """Everything of a question with both classes."""
    return Discrimination(
        classes=question.classes,
        positives=int(question.truth.sum()),
        negatives=int((~question.truth).sum()),
        areas=areas(question, resampling),
        roc=roc(question),
        precision_recall=precision_recall(question),
        points=points,
    )
