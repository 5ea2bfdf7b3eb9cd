"""Results and their deliveries, written in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.assessment import StudyResult
from gateway.domain.bundle_state import BundleState
from gateway.domain.delivery import ARRIVED, DeliveryState
from gateway.domain.finding import Laterality
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim, JobKind
from gateway.domain.outcome import RELEASABLE_AS_SENT, SET_ASIDE, InstanceOutcome, KneeDecision, Policy, Release
from gateway.domain.retraction import REJECTION, RejectionReason
from gateway.domain.told import ToldKnee, ToldReport
from gateway.errors import BundleRetiredError, RevisionTakenError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import enqueue, finish
from gateway.store.repeating import repeated
from gateway.store.retractions import is_retracted, lock_study
from gateway.store.tables import AuditEventRow, BundleVersionRow, DeliveryRow, InstanceRow, RecalledStudyRow, ReportRow, ResultRow

_STANDS: Final = ResultRow.retracted_at.is_(None)
_IS_REPORTED: Final = ResultRow.kind != REJECTION


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

    def current_report(self, study_instance_uid: str) -> StudyResult | None:
        """The study's newest SR that has not been taken back, whatever its release."""
        with self._database.reading() as session:
            row = session.scalar(
                select(ResultRow)
                .where(ResultRow.study_instance_uid == study_instance_uid, ResultRow.kind == "sr", _STANDS)
                .order_by(ResultRow.revision.desc())
                .limit(1)
            )
            return None if row is None else as_value(row)

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

    @repeated
    def commit(self, claim: Claim, new: NewResultSet) -> Release | None:
        """One transaction: results, deliveries with their jobs, and the end of the report job. None: these results exist already.

        Returns the release: of a study that was recalled nothing goes out. RevisionTakenError: another worker has made this revision
        since it was looked up, or an image or the predecessor of it was taken back; BundleRetiredError: the bundle was. Nothing was kept.
        """
        try:
            with self._database.transaction() as session:
                lock_study(session, new.study_instance_uid)
                check_not_retired(session, new.bundle_hash)
                if new.release in RELEASABLE_AS_SENT and session.get(RecalledStudyRow, new.study_instance_uid) is not None:
                    new = replace(new, release=Release.WITHHELD_RECALLED)
                finish(session, claim, code=new.release.value, actor=claim.owner)
                _check_standing(session, new)
                if new.repeats_uid is not None and is_retracted(session, new.repeats_uid):
                    raise RevisionTakenError
                self._add(session, claim, new)
        except IntegrityError as error:
            if self.standing(new.assessment_set) is not None:
                return None
            if self.last_revision(new.study_instance_uid) >= new.revision:
                raise RevisionTakenError from error
            raise
        return new.release

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
                    queue_delivery(session, result.result_id, new.study_instance_uid, destination, actor=claim.owner)
        else:
            record(
                session,
                Event.RESULT_WITHHELD,
                actor=claim.owner,
                study_instance_uid=new.study_instance_uid,
                release=new.release.value,
                repeats_uid=new.repeats_uid,
            )
        # whatever the release: these do not get it by an operator's release either
        for destination in new.closed:
            record(
                session,
                Event.RESULT_WITHHELD,
                actor=claim.owner,
                study_instance_uid=new.study_instance_uid,
                sop_instance_uid=next(result.sop_instance_uid for result in new.results if result.kind == "sr"),
                release=Release.WITHHELD_NOT_LIVE.value,
                destination=destination,
            )


def closed_to(session: Session, report: ResultRow) -> frozenset[str]:
    """The destinations that the bundle of a report, named by its SR, could not speak to when it was made (ADR 0033)."""
    told = session.scalars(
        select(AuditEventRow.detail).where(
            AuditEventRow.study_instance_uid == report.study_instance_uid, AuditEventRow.event == Event.RESULT_WITHHELD
        )
    )
    return frozenset(
        detail["destination"] for detail in told if "destination" in detail and detail.get("sop_instance_uid") == report.sop_instance_uid
    )


def _check_standing(session: Session, new: NewResultSet) -> None:
    """No report is kept of an image that was rejected or contested while it was built, and none that names a predecessor which was
    taken back meanwhile; it is built anew without it."""
    ids = [image["instance_id"] for image in new.inputs.get("images", ())]
    gone = select(InstanceRow.outcome).where(InstanceRow.id.in_(ids)).order_by(InstanceRow.id).with_for_update(read=True)
    if any(outcome in (*SET_ASIDE, InstanceOutcome.CONFLICT) for outcome in session.scalars(gone)):
        raise RevisionTakenError
    predecessor = select(ResultRow.retracted_at).where(ResultRow.sop_instance_uid == new.predecessor_uid)
    if new.predecessor_uid is not None and session.scalar(predecessor) is not None:
        raise RevisionTakenError


def check_not_retired(session: Session, bundle_hash: str) -> None:
    """A recall of the bundle comes before this transaction or after it."""
    state = session.scalar(select(BundleVersionRow.state).where(BundleVersionRow.bundle_hash == bundle_hash).with_for_update(read=True))
    if state == BundleState.RETIRED:
        raise BundleRetiredError(bundle_hash)


def queue_delivery(session: Session, result_id: str, study_instance_uid: str, destination: str, *, actor: str) -> None:
    delivery_id, now = new_id(), datetime.now(UTC)
    session.add(DeliveryRow(id=delivery_id, result_id=result_id, destination=destination, state=DeliveryState.PENDING, created_at=now))
    enqueue(session, JobKind.DELIVER_RESULT, delivery_id, study_instance_uid, actor=actor, lane=destination)
    record(
        session,
        Event.DELIVERY_QUEUED,
        actor=actor,
        study_instance_uid=study_instance_uid,
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
