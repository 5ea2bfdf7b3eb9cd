"""Everything that is measured of one set of predictions, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from strnet_core.bundle import decision_logit
from strnet_core.evaluation.agreement import Agreement, agreement
from strnet_core.evaluation.baselines import AGE_AND_BMI, Baseline, baselines
from strnet_core.evaluation.bootstrap import Resampling
from strnet_core.evaluation.calibration import Calibration, calibration, probabilities
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.characteristics import Characteristics, characteristics
from strnet_core.evaluation.cohort import PATIENT_RULE, BoolArray, Cohort, Unit, clusters_of, cohort_of, values, with_severity
from strnet_core.evaluation.confusion import Classes
from strnet_core.evaluation.decision_curve import NetBenefit, decision_curve
from strnet_core.evaluation.discrimination import Discrimination, OperatingPoint, Question, decided_point, discriminate, operating_point
from strnet_core.evaluation.prevalence import DEFAULT_PREVALENCES, AtPrevalence, at_prevalences
from strnet_core.evaluation.published import small_classes
from strnet_core.evaluation.subgroups import Subgroup, subgroups
from strnet_core.evaluation.threshold import MINIMUM_SENSITIVITY, Found, Stability, cross_fitted, search, search_as_released, stability
from strnet_core.evaluation.within_folds import DISAGREEMENT, WithinFolds, within_folds

PAPER_THRESHOLD = 0.44


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What an evaluation is asked. Thresholds are scores in (0, 1)."""

    unit: Unit = "patient"
    threshold: float | None = None
    """None: the one that is searched on the cases is used, and said to be optimistic."""
    threshold_origin: str = "given"
    severity_threshold: float = 0.5
    """The released code's."""
    prevalences: tuple[float, ...] = DEFAULT_PREVALENCES
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdSearch:
    """The paper's rule on these cases."""

    found: Found
    as_released: Found
    stability: Stability
    fold_thresholds: tuple[float, ...]
    """Chosen for each fold by the others; empty without folds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The whole report. A part that cannot be measured is the sentence that says why."""

    settings: EvaluationSettings
    cohort: Cohort
    characteristics: Characteristics
    screening: Discrimination
    within_folds: WithinFolds | None
    """None where not every case has a fold, or all have one."""
    search: ThresholdSearch
    per_image: Discrimination | None
    """The images one by one, where the unit is the patient and some have several."""
    severity: Discrimination | str
    t_score: Agreement | str
    calibration: Calibration
    prevalence: tuple[AtPrevalence, ...]
    decision_curve: tuple[NetBenefit, ...]
    baselines: tuple[Baseline, ...]
    subgroups: tuple[Subgroup, ...]
    notes: tuple[str, ...]


def evaluate(rows: Sequence[Case], settings: EvaluationSettings) -> Evaluation:
    """Measure everything that the rows hold. Raises OneClassError, TooFewCasesError, PredictionsError and CountsError."""
    cohort = cohort_of(rows, settings.unit)
    cases, resampling = cohort.cases, settings.resampling
    question = screening_question(cohort)
    searched, extra = _search(cases, question, resampling)
    screening = discriminate(question, (*_points(question, searched.found, settings), *extra), resampling)
    primary = screening.points[0]
    threshold = primary.threshold if primary.threshold is not None else searched.found.threshold
    decided = _decided(question, threshold)
    compared = baselines(cases, question, resampling)
    by_age = next(each for each in compared if each.name == AGE_AND_BMI)
    folds = within_folds(cases, question, {each.name: each.scores for each in compared if not each.missing}, resampling)
    groups = subgroups(cases, question, decided, None if by_age.missing else by_age.scores, resampling)
    return Evaluation(
        settings=settings,
        cohort=cohort,
        characteristics=characteristics(cases),
        screening=screening,
        within_folds=folds,
        search=searched,
        per_image=_per_image(rows, cohort, threshold, settings),
        severity=decide_severity(cases, settings),
        t_score=compare_t_scores(cases),
        calibration=calibration(question.truth, question.logits),
        prevalence=at_prevalences(primary.counts, settings.prevalences, resampling.seed),
        decision_curve=decision_curve(question, resampling),
        baselines=compared,
        subgroups=groups,
        notes=(*_notes(cohort, screening, settings, searched, compared, groups), *_notes_on_folds(folds)),
    )


def screening_question(cohort: Cohort) -> Question:
    """Whether there is bone loss, asked of each case of a cohort."""
    return Question(truth=cohort.truth, logits=cohort.logits, clusters=clusters_of(cohort.cases), classes=Classes(unit=cohort.unit))


def _decided(question: Question, threshold: float) -> BoolArray:
    return question.logits >= decision_logit(threshold)


def _points(question: Question, found: Found, settings: EvaluationSettings) -> tuple[OperatingPoint, ...]:
    """The given threshold first, then the searched one, then the paper's."""
    asked = [(found.threshold, "searched", "searched on these very cases: optimistic")]
    if settings.threshold is not None:
        asked.insert(0, (settings.threshold, "given", settings.threshold_origin))
    asked.append((PAPER_THRESHOLD, "paper", "the paper's 0.44, which belongs to one unpublished checkpoint: for comparison only"))
    return tuple(operating_point(question, threshold, name, origin, settings.resampling) for threshold, name, origin in asked)


def _search(cases: Sequence[Case], question: Question, resampling: Resampling) -> tuple[ThresholdSearch, tuple[OperatingPoint, ...]]:
    """The search, and where there are folds the decisions of the thresholds that each fold's others chose."""
    released = search_as_released(question.truth, probabilities(question.logits).astype(np.float32))
    thresholds: tuple[float, ...] = ()
    points: tuple[OperatingPoint, ...] = ()
    folds = _folds(cases, question.truth)
    if folds is not None:
        decided, thresholds = cross_fitted(question, folds)
        origin = f"searched for each of {len(thresholds)} folds on the others ({min(thresholds):.2f} to {max(thresholds):.2f})"
        points = (decided_point(question, decided, "cross-fitted", origin, resampling),)
    searched = ThresholdSearch(
        found=search(question), as_released=released, stability=stability(question, resampling), fold_thresholds=thresholds
    )
    return searched, points


def _folds(cases: Sequence[Case], truth: BoolArray) -> npt.NDArray[np.int64] | None:
    """A number per case; None unless every case has a fold and the others of each have both classes."""
    names = [case.fold for case in cases]
    if None in names or len(set(names)) < 2:  # noqa: PLR2004
        return None
    folds = np.unique([str(name) for name in names], return_inverse=True)[1].astype(np.int64)
    others = [truth[folds != fold] for fold in np.unique(folds)]
    return folds if all(other.any() and not other.all() for other in others) else None


def _per_image(rows: Sequence[Case], cohort: Cohort, threshold: float, settings: EvaluationSettings) -> Discrimination | None:
    if cohort.unit == "image" or cohort.images == len(cohort.cases):
        return None
    question = screening_question(cohort_of(rows, "image"))
    point = operating_point(question, threshold, "primary", "the same threshold, image by image", settings.resampling)
    return discriminate(question, (point,), settings.resampling)


def decide_severity(cases: Sequence[Case], settings: EvaluationSettings) -> Discrimination | str:
    """Osteoporosis among bone loss; a sentence where it cannot be measured."""
    asked, truth = with_severity(cases)
    classes = Classes(positive="osteoporosis", negative="osteopenia", unit=settings.unit)
    logits = values(case.severity_logit for case in asked)
    question = Question(truth=truth, logits=logits, clusters=clusters_of(asked) if asked else np.empty(0, np.int64), classes=classes)
    if not asked or question.too_few():
        return f"severity cannot be measured: {question.too_few() if asked else 'no severity logits'}"
    point = operating_point(question, settings.severity_threshold, "given", "the bundle's, or the released code's 0.5", settings.resampling)
    return discriminate(question, (point,), settings.resampling)


def compare_t_scores(cases: Sequence[Case]) -> Agreement | str:
    """Of the cases that have both T-scores; a sentence where they cannot be compared."""
    reference, predicted = values(case.t_score for case in cases), values(case.t_score_pred for case in cases)
    both = np.isfinite(reference) & np.isfinite(predicted)
    found = agreement(reference[both], predicted[both])
    return f"T-scores cannot be compared: {found}" if isinstance(found, str) else found


def _notes(
    cohort: Cohort,
    screening: Discrimination,
    settings: EvaluationSettings,
    searched: ThresholdSearch,
    compared: Sequence[Baseline],
    groups: Sequence[Subgroup],
) -> tuple[str, ...]:
    """What a reader must not overlook."""
    notes = list(small_classes(screening.positives, screening.negatives, screening.classes))
    if cohort.unknown_patients:
        notes.append(
            f"the patient of {cohort.unknown_patients} of {cohort.images} images is unknown: their group, or else their film, counts "
            "as one; two films of a patient may then stand apart, and folds may share patients"
        )
    if cohort.unit == "patient" and cohort.images != len(cohort.cases):
        notes.append(f"{cohort.images} images of {len(cohort.cases)} patients; a patient's score is: {PATIENT_RULE}")
    if settings.threshold is None:
        notes.append("no threshold was given: figures at the searched one are optimistic, since the same cases chose it")
    if not searched.found.feasible:
        notes.append(f"no threshold of the grid keeps a sensitivity of {float(MINIMUM_SENSITIVITY)}: the one of best balance is shown")
    for each in compared:
        gain = each.difference
        if gain is not None and gain.low is not None and gain.low <= 0.0:
            notes.append(f"not shown to be better than {each.name} alone: the interval of the AUROC's difference reaches 0")
    notes += [f"{group.dimension} {group.name}: {note}" for group in groups for note in group.notes]
    return tuple(notes)


def _notes_on_folds(folds: WithinFolds | None) -> tuple[str, ...]:
    if folds is None:
        return ()
    notes = []
    if folds.disagreement is not None and abs(folds.disagreement) > DISAGREEMENT:
        notes.append(
            f"the AUROC of all folds together differs by {folds.disagreement:+.3f} from the mean within folds: the fits' logits lie at "
            "different levels, so pooled figures and thresholds measure that too; read the figures within folds"
        )
    for name, gain in folds.differences.items():
        if gain.low is not None and gain.low <= 0.0:
            notes.append(f"not shown to be better than {name} alone within folds: the interval of the AUROC's difference reaches 0")
    return tuple(notes)
