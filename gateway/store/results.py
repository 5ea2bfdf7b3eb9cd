"""Results and their deliveries, written in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.assessment import StudyResult
from gateway.domain.delivery import DeliveryState
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim, JobKind
from gateway.domain.outcome import Release
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import enqueue, finish
from gateway.store.tables import DeliveryRow, InstanceRow, ReportRow, ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResult:
    """One SR or SC instance that lies in the spool and has no row yet."""

    result_id: str
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResultSet:
    """All results of one set of assessments of a study."""

    study_instance_uid: str
    assessment_set: str
    results: tuple[NewResult, ...]
    inputs: Mapping[str, Any]
    """What they were made of, as JSON keeps it."""
    release: Release
    route: str
    flagged: bool
    revision: int
    predecessor_uid: str | None
    repeats_uid: str | None
    """The SR of another study that this result would only repeat."""
    bundle_hash: str
    config_hash: str
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientResult:
    """An SR that was released for a patient."""

    sop_instance_uid: str
    study_instance_uid: str
    flagged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A set of results with what it was made of; inputs None for one that an older release built."""

    study_instance_uid: str
    revision: int
    results: tuple[StudyResult, ...]
    inputs: Mapping[str, Any] | None


class Results:
    """The results of studies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def exists(self, assessment_set: str) -> bool:
        with self._database.reading() as session:
            return session.scalar(select(ResultRow.id).where(ResultRow.assessment_set == assessment_set).limit(1)) is not None

    def current_report(self, study_instance_uid: str) -> StudyResult | None:
        """The study's newest SR, whatever its release."""
        with self._database.reading() as session:
            row = session.scalar(
                select(ResultRow)
                .where(ResultRow.study_instance_uid == study_instance_uid, ResultRow.kind == "sr")
                .order_by(ResultRow.revision.desc())
                .limit(1)
            )
            return None if row is None else _result(row)

    def last_sent_report(self, study_instance_uid: str) -> StudyResult | None:
        """The newest SR that was released to destinations: the one that a revision replaces there."""
        with self._database.reading() as session:
            row = session.scalar(
                select(ResultRow)
                .where(ResultRow.study_instance_uid == study_instance_uid, ResultRow.kind == "sr", ResultRow.release == Release.SENT)
                .order_by(ResultRow.revision.desc())
                .limit(1)
            )
            return None if row is None else _result(row)

    def sent_to_patient(
        self, *, issuer_of_patient_id: str, patient_id: str, first_day: date, last_day: date, besides_study: str, flagged_only: bool
    ) -> PatientResult | None:
        """The newest SR released for a patient's other studies of these days (study date, both days included)."""
        studies = select(InstanceRow.study_instance_uid).where(
            InstanceRow.patient_id == patient_id,
            InstanceRow.issuer_of_patient_id == issuer_of_patient_id,
            InstanceRow.study_date.between(f"{first_day:%Y%m%d}", f"{last_day:%Y%m%d}"),
            InstanceRow.study_instance_uid != besides_study,
        )
        released = select(ResultRow).where(
            ResultRow.study_instance_uid.in_(studies), ResultRow.kind == "sr", ResultRow.release == Release.SENT
        )
        if flagged_only:
            released = released.where(ResultRow.flagged)
        with self._database.reading() as session:
            row = session.scalar(released.order_by(ResultRow.created_at.desc(), ResultRow.id.desc()).limit(1))
            if row is None:
                return None
            return PatientResult(sop_instance_uid=row.sop_instance_uid, study_instance_uid=row.study_instance_uid, flagged=row.flagged)

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
                    results=tuple(_result(row) for row in rows),
                    inputs=None if kept is None else kept.inputs,
                )

    def of_study(self, study_instance_uid: str) -> tuple[StudyResult, ...]:
        with self._database.reading() as session:
            rows = session.scalars(
                select(ResultRow).where(ResultRow.study_instance_uid == study_instance_uid).order_by(ResultRow.revision, ResultRow.kind)
            )
            return tuple(_result(row) for row in rows)

    def commit(self, claim: Claim, new: NewResultSet) -> bool:
        """One transaction: results, deliveries with their jobs, and the end of the report job. False: these results exist already."""
        try:
            with self._database.transaction() as session:
                finish(session, claim, code=new.release.value, actor=claim.owner)
                self._add(session, claim, new)
        except IntegrityError:
            if not self.exists(new.assessment_set):
                raise
            return False
        return True

    @staticmethod
    def _add(session: Session, claim: Claim, new: NewResultSet) -> None:
        now = datetime.now(UTC)
        session.add(
            ReportRow(assessment_set=new.assessment_set, study_instance_uid=new.study_instance_uid, inputs=dict(new.inputs), created_at=now)
        )
        session.add_all(_result_row(new, result, now) for result in new.results)
        session.flush()
        for result in new.results:
            record(
                session,
                Event.RESULT_BUILT,
                actor=claim.owner,
                study_instance_uid=new.study_instance_uid,
                result_id=result.result_id,
                sop_instance_uid=result.sop_instance_uid,
                release=new.release.value,
                predecessor_uid=new.predecessor_uid,
            )
        if new.release is Release.SENT:
            for result in new.results:
                for destination in new.destinations:
                    _queue_delivery(session, claim, result.result_id, destination, now)
        else:
            record(
                session,
                Event.RESULT_WITHHELD,
                actor=claim.owner,
                study_instance_uid=new.study_instance_uid,
                release=new.release.value,
                repeats_uid=new.repeats_uid,
            )


def _queue_delivery(session: Session, claim: Claim, result_id: str, destination: str, now: datetime) -> None:
    delivery_id = new_id()
    session.add(DeliveryRow(id=delivery_id, result_id=result_id, destination=destination, state=DeliveryState.PENDING, created_at=now))
    enqueue(session, JobKind.DELIVER_RESULT, delivery_id, claim.study_instance_uid, actor=claim.owner)
    record(
        session,
        Event.DELIVERY_QUEUED,
        actor=claim.owner,
        study_instance_uid=claim.study_instance_uid,
        delivery_id=delivery_id,
        result_id=result_id,
        destination=destination,
    )


def _result_row(new: NewResultSet, result: NewResult, now: datetime) -> ResultRow:
    return ResultRow(
        id=result.result_id,
        study_instance_uid=new.study_instance_uid,
        assessment_set=new.assessment_set,
        kind=result.kind,
        sop_class_uid=result.sop_class_uid,
        sop_instance_uid=result.sop_instance_uid,
        series_instance_uid=result.series_instance_uid,
        file=result.file,
        sha256=result.sha256,
        release=new.release,
        route=new.route,
        flagged=new.flagged,
        revision=new.revision,
        predecessor_uid=new.predecessor_uid,
        repeats_uid=new.repeats_uid,
        bundle_hash=new.bundle_hash,
        config_hash=new.config_hash,
        created_at=now,
    )


def _result(row: ResultRow) -> StudyResult:
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
    )
