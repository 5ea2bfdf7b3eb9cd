"""Results as they were kept, for reading; what makes them is `result_sets`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from gateway.domain.assessment import StudyResult
from gateway.domain.bundle_state import BundleState
from gateway.domain.delivery import ARRIVED
from gateway.domain.finding import Laterality
from gateway.domain.outcome import KneeDecision, Release
from gateway.domain.retraction import REJECTION, RejectionReason
from gateway.domain.told import ToldKnee, ToldReport
from gateway.store.database import Database
from gateway.store.tables import BundleVersionRow, DeliveryRow, ReportRow, ResultRow

_STANDS: Final = ResultRow.retracted_at.is_(None)
_IS_REPORTED: Final = ResultRow.kind != REJECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A set of results with what it was made of; inputs None for one that an older release built."""

    study_instance_uid: str
    revision: int
    results: tuple[StudyResult, ...]
    inputs: Mapping[str, Any] | None
    assessment_set: str
    rejection: tuple[RejectionReason, datetime] | None = None
    """Why and when it was taken back."""


class Results:
    """The results of studies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, assessment_set: str) -> str | None:
        """`exists` for results that were made already, `retracted` for those that were also taken back: neither is made again."""
        with self._database.reading() as session:
            row = session.scalar(select(ResultRow).where(ResultRow.assessment_set == assessment_set, _IS_REPORTED).limit(1))
            if row is None:
                return None
            return "exists" if row.retracted_at is None else "retracted"

    def bundle_is_retired(self, bundle_hash: str) -> bool:
        with self._database.reading() as session:
            return session.scalar(select(BundleVersionRow.state).where(BundleVersionRow.bundle_hash == bundle_hash)) == BundleState.RETIRED

    def last_revision(self, study_instance_uid: str) -> int:
        """0 for a study without a report. Reports that were taken back count: a number is given once."""
        of_study = select(func.max(ResultRow.revision)).where(ResultRow.study_instance_uid == study_instance_uid)
        with self._database.reading() as session:
            return session.scalar(of_study) or 0

    def last_sent_report(self, study_instance_uid: str) -> StudyResult | None:
        """The newest SR that was released to destinations and not taken back: the one that a revision replaces there."""
        released = (ResultRow.kind == "sr", ResultRow.release == Release.SENT, _STANDS)
        with self._database.reading() as session:
            row = session.scalar(
                select(ResultRow)
                .where(ResultRow.study_instance_uid == study_instance_uid, *released)
                .order_by(ResultRow.revision.desc())
                .limit(1)
            )
            return None if row is None else as_value(row)

    def told_to_patient(self, patient_digest: str, *, besides_study: str) -> tuple[ToldReport, ...]:
        """Of each other study of a patient the newest report that was released and stands, newest study first, and where it arrived."""
        newest = (
            select(ResultRow.study_instance_uid, func.max(ResultRow.revision).label("revision"))
            .where(ResultRow.kind == "sr", ResultRow.release == Release.SENT, _STANDS, ResultRow.study_instance_uid != besides_study)
            .group_by(ResultRow.study_instance_uid)
            .subquery()
        )
        found = (
            select(ResultRow, ReportRow)
            .join(ReportRow, ReportRow.assessment_set == ResultRow.assessment_set)
            .join(newest, and_(newest.c.study_instance_uid == ResultRow.study_instance_uid, newest.c.revision == ResultRow.revision))
            .where(ResultRow.kind == "sr", ReportRow.patient_digest == patient_digest)
            .order_by(ResultRow.created_at.desc(), ResultRow.id.desc())
        )
        with self._database.reading() as session:
            return tuple(_told_report(session, result, report) for result, report in session.execute(found))

    def kept_reports(self, study_instance_uids: Sequence[str] | None) -> Iterator[KeptReport]:
        """Sets of results with their inputs, oldest first, one transaction each. None: of every study."""
        wanted = select(ResultRow.assessment_set).where(ResultRow.kind == "sr").order_by(ResultRow.created_at, ResultRow.id)
        if study_instance_uids is not None:
            wanted = wanted.where(ResultRow.study_instance_uid.in_(study_instance_uids))
        with self._database.reading() as session:
            sets = session.scalars(wanted).all()
        for assessment_set in sets:
            with self._database.reading() as session:
                rows = session.scalars(select(ResultRow).where(ResultRow.assessment_set == assessment_set).order_by(ResultRow.kind)).all()
                kept = session.get(ReportRow, assessment_set)
                yield KeptReport(
                    study_instance_uid=rows[0].study_instance_uid,
                    revision=rows[0].revision,
                    results=tuple(as_value(row) for row in rows),
                    inputs=None if kept is None else kept.inputs,
                    assessment_set=assessment_set,
                    rejection=_rejection(rows),
                )

    def of_study(self, study_instance_uid: str) -> tuple[StudyResult, ...]:
        with self._database.reading() as session:
            rows = session.scalars(
                select(ResultRow).where(ResultRow.study_instance_uid == study_instance_uid).order_by(ResultRow.revision, ResultRow.kind)
            )
            return tuple(as_value(row) for row in rows)


def _told_report(session: Session, result: ResultRow, report: ReportRow) -> ToldReport:
    arrived = select(DeliveryRow.destination).where(DeliveryRow.result_id == result.id, DeliveryRow.state.in_(ARRIVED))
    return ToldReport(
        sop_instance_uid=result.sop_instance_uid,
        study_date=datetime.strptime(report.study_date, "%Y%m%d").date() if report.study_date else None,  # noqa: DTZ007  a date
        knees=tuple(
            ToldKnee(side=Laterality(knee["side"]), decision=KneeDecision(knee["decision"]), image=knee["image"])
            for knee in report.told["knees"]
        ),
        arrived=frozenset(session.scalars(arrived)),
    )


def _rejection(rows: Sequence[ResultRow]) -> tuple[RejectionReason, datetime] | None:
    return next(
        ((RejectionReason(row.rejection_reason), row.retracted_at) for row in rows if row.retracted_at and row.rejection_reason), None
    )


def as_value(row: ResultRow) -> StudyResult:
    return StudyResult(
        result_id=row.id,
        study_instance_uid=row.study_instance_uid,
        assessment_set=row.assessment_set,
        kind=row.kind,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        series_instance_uid=row.series_instance_uid,
        file=row.file,
        sha256=row.sha256,
        release=row.release,
        revision=row.revision,
        purged=row.purged_at is not None,
    )
