"""Results and their deliveries, written in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.assessment import StudyResult
from gateway.domain.delivery import ARRIVED, DeliveryState
from gateway.domain.finding import Laterality
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim, JobKind
from gateway.domain.outcome import KneeDecision, Policy, Release
from gateway.domain.told import ToldKnee, ToldReport
from gateway.errors import RevisionTakenError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import enqueue, finish
from gateway.store.repeating import repeated
from gateway.store.tables import DeliveryRow, ReportRow, ResultRow


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
    patient_digest: str | None
    study_date: date | None
    told: tuple[ToldKnee, ...]
    release: Release
    route: str
    routes: tuple[str, ...]
    """All routes that brought the study's images; `route` is the strictest of them."""
    policy: Policy
    flagged: bool
    revision: int
    predecessor_uid: str | None
    repeats_uid: str | None
    """The SR of another study that this result would only repeat."""
    bundle_hash: str
    config_hash: str
    destinations: tuple[str, ...]
    closed: tuple[str, ...] = ()
    """Of the route's destinations those that only a live bundle may send to, and this one is not."""


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

    def told_to_patient(self, patient_digest: str, *, besides_study: str) -> tuple[ToldReport, ...]:
        """Of each other study of a patient the newest report that was released, newest study first, and where it has arrived."""
        newest = (
            select(ResultRow.study_instance_uid, func.max(ResultRow.revision).label("revision"))
            .where(ResultRow.kind == "sr", ResultRow.release == Release.SENT, ResultRow.study_instance_uid != besides_study)
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
                    results=tuple(_result(row) for row in rows),
                    inputs=None if kept is None else kept.inputs,
                )

    def of_study(self, study_instance_uid: str) -> tuple[StudyResult, ...]:
        with self._database.reading() as session:
            rows = session.scalars(
                select(ResultRow).where(ResultRow.study_instance_uid == study_instance_uid).order_by(ResultRow.revision, ResultRow.kind)
            )
            return tuple(_result(row) for row in rows)

    @repeated
    def commit(self, claim: Claim, new: NewResultSet) -> bool:
        """One transaction: results, deliveries with their jobs, and the end of the report job. False: these results exist already.

        RevisionTakenError: another worker has made this revision since it was looked up; nothing was kept.
        """
        try:
            with self._database.transaction() as session:
                finish(session, claim, code=new.release.value, actor=claim.owner)
                self._add(session, claim, new)
        except IntegrityError as error:
            if self.exists(new.assessment_set):
                return False
            current = self.current_report(new.study_instance_uid)
            if current is not None and current.revision >= new.revision:
                raise RevisionTakenError from error
            raise
        return True

    @staticmethod
    def _add(session: Session, claim: Claim, new: NewResultSet) -> None:
        now = datetime.now(UTC)
        session.add(_report_row(new, now))
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
            for destination in new.closed:
                record(
                    session,
                    Event.RESULT_WITHHELD,
                    actor=claim.owner,
                    study_instance_uid=new.study_instance_uid,
                    release=Release.WITHHELD_NOT_LIVE.value,
                    destination=destination,
                )
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
    enqueue(session, JobKind.DELIVER_RESULT, delivery_id, claim.study_instance_uid, actor=claim.owner, lane=destination)
    record(
        session,
        Event.DELIVERY_QUEUED,
        actor=claim.owner,
        study_instance_uid=claim.study_instance_uid,
        delivery_id=delivery_id,
        result_id=result_id,
        destination=destination,
    )


def _report_row(new: NewResultSet, now: datetime) -> ReportRow:
    return ReportRow(
        assessment_set=new.assessment_set,
        study_instance_uid=new.study_instance_uid,
        patient_digest=new.patient_digest,
        study_date=f"{new.study_date:%Y%m%d}" if new.study_date else "",
        policy=new.policy,
        routes=list(new.routes),
        told={"knees": [{"side": knee.side, "decision": knee.decision, "image": knee.image} for knee in new.told]},
        inputs=dict(new.inputs),
        created_at=now,
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
        purged=row.purged_at is not None,
    )
