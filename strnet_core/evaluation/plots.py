"""The report's plots, as SVG texts that are the same for the same values."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from strnet_core.errors import ResearchExtraMissingError
from strnet_core.evaluation.agreement import Agreement
from strnet_core.evaluation.calibration import Calibration, probabilities
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.cohort import BoolArray, FloatArray, values
from strnet_core.evaluation.decision_curve import NetBenefit
from strnet_core.evaluation.discrimination import Discrimination
from strnet_core.evaluation.evaluation import Evaluation
from strnet_core.evaluation.prevalence import AtPrevalence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEGATIVE, _POSITIVE, _LINE, _FAINT = "#0072b2", "#d55e00", "#222222", "#999999"
"""Told apart by colour-blind readers; no green, which reads as healthy."""
_MARKERS = ("*", "o", "s", "D")
_SIZE_INCHES = (4.6, 3.8)
_BINS = 20


def plots(evaluation: Evaluation) -> dict[str, str]:
    """SVG by name; a plot of what could not be measured is not there. Raises ResearchExtraMissingError without matplotlib."""
    cases = evaluation.cohort.cases
    drawn = {
        "roc": _drawn(lambda axes: _roc(axes, evaluation.screening)),
        "precision_recall": _drawn(lambda axes: _precision_recall(axes, evaluation.screening)),
        "scores": _drawn(lambda axes: _scores(axes, evaluation, evaluation.cohort.truth)),
        "calibration": _drawn(lambda axes: _calibration(axes, evaluation.calibration)),
        "prevalence": _drawn(lambda axes: _prevalence(axes, evaluation.prevalence)),
        "decision_curve": _drawn(lambda axes: _decision_curve(axes, evaluation.decision_curve)),
    }
    severity, compared = evaluation.severity, evaluation.t_score
    if isinstance(severity, Discrimination):
        drawn["severity_roc"] = _drawn(lambda axes: _roc(axes, severity))
        drawn["severity_precision_recall"] = _drawn(lambda axes: _precision_recall(axes, severity))
    if isinstance(compared, Agreement):
        reference, predicted, loss = _pairs(cases)
        drawn["t_score"] = _drawn(lambda axes: _t_score(axes, reference, predicted, loss, compared))
        drawn["bland_altman"] = _drawn(lambda axes: _bland_altman(axes, reference, predicted, loss, compared))
    return drawn


def _drawn(draw: Callable[[Any], None]) -> str:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ResearchExtraMissingError("matplotlib") from error
    with rc_context({"svg.hashsalt": "strnet", "svg.fonttype": "path", "font.size": 9}), io.StringIO() as text:
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        return text.getvalue()


def _roc(axes: Axes, shown: Discrimination) -> None:
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle="--", linewidth=0.8, label="chance")
    axes.step(shown.roc.x, shown.roc.y, where="post", color=_LINE)
    for point, marker in zip(shown.points, _MARKERS, strict=False):
        sensitivity, specificity = point.bootstrap["sensitivity"].value, point.bootstrap["specificity"].value
        if sensitivity is not None and specificity is not None:
            axes.plot(1.0 - specificity, sensitivity, marker, color=_POSITIVE, markersize=8, label=_named(point.name, point.threshold))
    _square(axes, "1 - specificity", "sensitivity")
    axes.legend(loc="lower right", frameon=False)


def _precision_recall(axes: Axes, shown: Discrimination) -> None:
    prevalence = shown.areas.prevalence or 0.0
    axes.axhline(prevalence, color=_FAINT, linestyle="--", linewidth=0.8, label=f"prevalence {prevalence:.2f}")
    axes.step(shown.precision_recall.x, shown.precision_recall.y, where="post", color=_LINE)
    for point, marker in zip(shown.points, _MARKERS, strict=False):
        sensitivity, ppv = point.bootstrap["sensitivity"].value, point.bootstrap["ppv"].value
        if sensitivity is not None and ppv is not None:
            axes.plot(sensitivity, ppv, marker, color=_POSITIVE, markersize=8, label=_named(point.name, point.threshold))
    _square(axes, "sensitivity", "PPV")
    axes.legend(loc="lower left", frameon=False)


def _named(name: str, threshold: float | None) -> str:
    return name if threshold is None else f"{name}, {threshold:.2f}"


def _square(axes: Axes, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")


def _scores(axes: Axes, evaluation: Evaluation, truth: BoolArray) -> None:
    scores = 100.0 * probabilities(evaluation.cohort.logits)
    edges = np.linspace(0.0, 100.0, _BINS + 1)
    axes.hist(scores[~truth], bins=list(edges), color=_NEGATIVE, alpha=0.6, label="normal")
    axes.hist(scores[truth], bins=list(edges), color=_POSITIVE, alpha=0.6, label="bone loss")
    threshold = evaluation.screening.points[0].threshold
    if threshold is not None:
        axes.axvline(100.0 * threshold, color=_LINE, linestyle="--", label=f"threshold {100.0 * threshold:.0f}")
    axes.set(xlabel="score (0-100, not a probability)", ylabel=f"{evaluation.cohort.unit}s")
    axes.legend(frameon=False)


def _calibration(axes: Axes, shown: Calibration) -> None:
    axes.plot([0, 1], [0, 1], color=_FAINT, linestyle="--", linewidth=0.8)
    for each in shown.bins:
        observed = each.observed
        if observed.value is not None and observed.low is not None and observed.high is not None:
            axes.plot([each.mean_score] * 2, [observed.low, observed.high], color=_LINE, linewidth=0.8)
            axes.plot(each.mean_score, observed.value, "o", color=_POSITIVE)
    _square(axes, "mean score / 100 of the bin", "share with bone loss")


def _prevalence(axes: Axes, shown: tuple[AtPrevalence, ...]) -> None:
    where = [each.prevalence for each in shown]
    for label, colour, figures in (("PPV", _POSITIVE, [each.ppv for each in shown]), ("NPV", _NEGATIVE, [each.npv for each in shown])):
        measured = [(x, each) for x, each in zip(where, figures, strict=True) if each.value is not None]
        axes.plot([x for x, _ in measured], values(each.value for _, each in measured), "o-", color=colour, label=label)
        low, high = [each.low or 0.0 for _, each in measured], [each.high or 0.0 for _, each in measured]
        axes.fill_between([x for x, _ in measured], low, high, color=colour, alpha=0.15, linewidth=0)
    _square(axes, "prevalence of bone loss", "predictive value")
    axes.legend(frameon=False)


def _decision_curve(axes: Axes, shown: tuple[NetBenefit, ...]) -> None:
    where = [each.preference for each in shown]
    axes.axhline(0.0, color=_FAINT, linewidth=0.8, label="refer nobody")
    axes.plot(where, [each.everybody for each in shown], color=_NEGATIVE, linestyle="--", label="refer everybody")
    axes.plot(where, values(each.score.value for each in shown), color=_POSITIVE, label="refer by score")
    axes.fill_between(
        where, [each.score.low or 0.0 for each in shown], [each.score.high or 0.0 for each in shown], color=_POSITIVE, alpha=0.15
    )
    axes.set(xlabel="risk from which on one would refer", ylabel="net benefit")
    axes.legend(frameon=False)


def _pairs(cases: tuple[Case, ...]) -> tuple[FloatArray, FloatArray, BoolArray]:
    both = [case for case in cases if case.t_score is not None and case.t_score_pred is not None]
    return values(case.t_score for case in both), values(case.t_score_pred for case in both), np.array([c.has_bone_loss for c in both])


def _t_score(axes: Axes, reference: FloatArray, predicted: FloatArray, loss: BoolArray, shown: Agreement) -> None:
    ends = np.array([min(reference.min(), predicted.min()), max(reference.max(), predicted.max())])
    axes.plot(ends, ends, color=_FAINT, linestyle="--", linewidth=0.8, label="identity")
    axes.plot(ends, shown.fit_intercept + shown.fit_slope * ends, color=_LINE, label="least squares")
    _by_class(axes, reference, predicted, loss)
    axes.set(xlabel="T-score of the reference", ylabel="predicted T-score")
    axes.legend(frameon=False)


def _bland_altman(axes: Axes, reference: FloatArray, predicted: FloatArray, loss: BoolArray, shown: Agreement) -> None:
    _by_class(axes, (reference + predicted) / 2.0, predicted - reference, loss)
    axes.axhline(0.0, color=_FAINT, linewidth=0.8)
    for figure, style in ((shown.bias, "--"), (shown.lower_limit, ":"), (shown.upper_limit, ":")):
        axes.axhline(figure.value or 0.0, color=_LINE, linestyle=style)
        axes.axhspan(figure.low or 0.0, figure.high or 0.0, color=_FAINT, alpha=0.2, linewidth=0)
    axes.set(xlabel="mean of predicted and reference", ylabel="predicted less reference")
    axes.legend(frameon=False)


def _by_class(axes: Axes, across: FloatArray, up: FloatArray, loss: BoolArray) -> None:
    for label, colour, marker, members in (("normal", _NEGATIVE, "o", ~loss), ("bone loss", _POSITIVE, "^", loss)):
        axes.plot(across[members], up[members], marker, color=colour, alpha=0.6, markersize=4, label=label)
