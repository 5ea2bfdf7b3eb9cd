"""Knees and DXA results of one person, near each other in time; every knee that is left out is counted with its reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strnet_core.errors import CountsError, ExportTableError
from strnet_core.evaluation.case import Case
from strnet_core.evaluation.cohort import Step
from strnet_core.evaluation.dxa import DxaTable, Exam, by_subject
from strnet_core.evaluation.site_export import SiteExport, SiteKnee

NO_PATIENT = "the image names no patient"
NO_DATE = "the image names no study date"
NOT_THERE = "the patient has no usable DXA"
AMBIGUOUS = "the patient id stands for several issuers"
OUT_OF_WINDOW = "no DXA within the window"
OTHER_STUDY = "another study of the patient lies nearer to a DXA"
REASONS = (NO_PATIENT, NO_DATE, NOT_THERE, AMBIGUOUS, OUT_OF_WINDOW, OTHER_STUDY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """cases: of each patient the knees of one study, labelled by one DXA."""

    cases: tuple[Case, ...]
    knees: int
    flow: tuple[Step, ...]
    """The knees left out, by the first reason that holds."""
    days: tuple[int, ...]
    """Of each patient: the DXA's day less the study's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    knee: SiteKnee
    exam: Exam
    days: int


def join(export: SiteExport, table: DxaTable, *, window_days: int, key: bytes | None = None) -> Joined:
    """The DXA nearest to the study; of two equally near ones the earlier, which no flag can have brought about.

    By patient id and issuer where the export has them, else by `key`. Raises ExportTableError where it has neither.
    """
    exams = _Exams(export, table, key)
    left: Counter[str] = Counter()
    matches: list[_Match] = []
    for knee in export.knees:
        found = exams.of(knee)
        match = _nearest(knee, found, window_days) if not isinstance(found, str) else found
        if isinstance(match, str):
            left[match] += 1
        else:
            matches.append(match)
    chosen = _one_study_each(matches)
    left[OTHER_STUDY] += len(matches) - len(chosen)
    if len(chosen) + left.total() != len(export.knees):
        raise CountsError(f"{len(chosen)} joined and {left.total()} left out are not {len(export.knees)} knees")
    return Joined(
        cases=tuple(_case(match) for match in chosen),
        knees=len(export.knees),
        flow=tuple(Step(reason=reason, left_out=left[reason]) for reason in REASONS),
        days=tuple({match.knee.subject: match.days for match in chosen}.values()),
    )


class _Exams:
    """Examinations of a knee's patient, or why there are none."""

    def __init__(self, export: SiteExport, table: DxaTable, key: bytes | None) -> None:
        self._table = table
        self._keyed: Mapping[str, tuple[Exam, ...]] | None = None
        if not export.has_identifiers:
            if key is None:
                raise ExportTableError("it names no patients: export with --with-identifiers, or with --key-file and give the key here")
            self._keyed = by_subject(table, key)
        issuers = defaultdict(set)
        for knee in export.knees:
            issuers[knee.patient_id].add(knee.issuer)
        self._several = {patient for patient, found in issuers.items() if len(found) > 1}

    def of(self, knee: SiteKnee) -> tuple[Exam, ...] | str:
        if not knee.subject or (self._keyed is None and not knee.patient_id):
            return NO_PATIENT
        if knee.study_date is None:
            return NO_DATE
        return self._keyed.get(knee.subject, NOT_THERE) if self._keyed is not None else self._by_id(knee)

    def _by_id(self, knee: SiteKnee) -> tuple[Exam, ...] | str:
        by_issuer = self._table.exams.get(knee.patient_id, {})
        if knee.issuer and knee.issuer in by_issuer:
            return by_issuer[knee.issuer]
        # one side names no issuer: the id alone must then mean one person on either side
        comparable = [exams for issuer, exams in by_issuer.items() if not (issuer and knee.issuer)]
        if comparable and (len(by_issuer) > 1 or knee.patient_id in self._several):
            return AMBIGUOUS
        return comparable[0] if comparable else NOT_THERE


def _nearest(knee: SiteKnee, exams: Sequence[Exam], window_days: int) -> _Match | str:
    if knee.study_date is None:
        return NO_DATE
    taken = knee.study_date
    near = [(abs((exam.day - taken).days), exam.day, exam) for exam in exams if abs((exam.day - taken).days) <= window_days]
    if not near:
        return OUT_OF_WINDOW
    _, day, exam = min(near, key=lambda each: each[:2])
    return _Match(knee=knee, exam=exam, days=(day - taken).days)


def _one_study_each(matches: Sequence[_Match]) -> list[_Match]:
    """Of each patient the study nearest to its DXA, assessed ones first; of equals the earlier."""
    best: dict[str, tuple[bool, int, str, str]] = {}
    for match in matches:
        rank = _rank(match)
        best[match.knee.subject] = min(best.get(match.knee.subject, rank), rank)
    return [match for match in matches if _rank(match)[1:] == best[match.knee.subject][1:]]


def _rank(match: _Match) -> tuple[bool, int, str, str]:
    return match.knee.logit is None, abs(match.days), str(match.knee.study_date), match.knee.study


def _case(match: _Match) -> Case:
    knee = match.knee
    return Case(
        image=knee.image,
        patient_id=knee.subject,
        label_cls=match.exam.label_cls,
        t_score=match.exam.t_score,
        age=knee.age,
        sex=knee.sex,
        bmi=knee.bmi,
        logit=knee.logit,
        severity_logit=knee.severity_logit,
        t_score_pred=knee.t_score_pred,
        family=knee.device or None,
        refused="" if knee.logit is not None else knee.decision,
    )
