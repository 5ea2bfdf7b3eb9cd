"""The making of rejection notes, as the worker sees it: where one is due, and the commit of what was built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from gateway.domain.assessment import StudyResult
from gateway.domain.attributes import InstanceDescription
from gateway.domain.delivery import ARRIVED, AttemptKind
from gateway.domain.identifiers import new_id
from gateway.domain.job import Claim
from gateway.domain.outcome import Release
from gateway.domain.retraction import REJECTION, RejectionReason, may_have_arrived, needs_note
from gateway.errors import NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import finish
from gateway.store.new_deliveries import make_due
from gateway.store.repeating import repeated
from gateway.store.result_sets import NewResult
from gateway.store.results import as_value
from gateway.store.retractions import deliveries_of, of_report
from gateway.store.send_records import send_record
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow, InstanceRow, ReportRow, ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DueRejection:
    """A report that was taken back."""

    results: tuple[StudyResult, ...]
    reason: RejectionReason
    retracted_at: datetime
    destinations: tuple[str, ...]
    """Those that have or may have the report, and no note about it yet."""
    wait_seconds: float
    """Until nothing of the report can be on its way any more; 0 = now. A note never overtakes what it rejects."""
    note_id: str | None
    """The note, where it has been built."""


class Rejections:
    """Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, assessment_set: str, *, lease_seconds: float) -> DueRejection:
        """NotFoundError for a report that has not been taken back."""
        with self._database.reading() as session:
            rows = session.scalars(of_report(assessment_set)).all()
            if not rows or rows[0].retracted_at is None or rows[0].rejection_reason is None:
                raise NotFoundError(assessment_set)
            return DueRejection(
                results=tuple(as_value(row) for row in rows),
                reason=RejectionReason(rows[0].rejection_reason),
                retracted_at=rows[0].retracted_at,
                destinations=_destinations(session, assessment_set),
                wait_seconds=_wait_seconds(session, assessment_set, lease_seconds),
                note_id=session.scalar(_note(assessment_set)),
            )

    def described(self, assessment_set: str) -> InstanceDescription:
        """What the rows know of the report's identity, where retention has removed its files: that of an image that it names, since
        others of the study may have come under another patient.
        """
        with self._database.reading() as session:
            row = session.scalar(_images(session, assessment_set).order_by(InstanceRow.received_at, InstanceRow.id).limit(1))
            if row is None:
                raise NotFoundError(assessment_set)
            return InstanceDescription(
                accession_number=row.accession_number,
                patient_id=row.patient_id,
                issuer_of_patient_id=row.issuer_of_patient_id,
                modality=row.modality,
                manufacturer=row.manufacturer,
                model=row.model,
                station=row.station,
                study_date=row.study_date,
            )

    @repeated
    def commit(self, claim: Claim, note: NewResult, due: DueRejection, *, config_hash: str) -> bool:
        """The note, its deliveries, and the end of the job. False: another worker has made it; nothing was kept."""
        try:
            with self._database.transaction() as session:
                rejected = session.scalars(of_report(claim.subject)).first()
                if rejected is None:
                    raise NotFoundError(claim.subject)
                session.add(_row(rejected, note, config_hash))
                session.flush()
                self._send(session, claim, note.result_id, due)
        except IntegrityError:
            with self._database.reading() as session:
                if session.scalar(_note(claim.subject)) is None:
                    raise
            return False
        return True

    @repeated
    def send(self, claim: Claim, note_id: str, due: DueRejection) -> None:
        """A note that exists goes to further destinations, or again to one that got the report after it; and the job ends."""
        with self._database.transaction() as session:
            self._send(session, claim, note_id, due)

    @staticmethod
    def _send(session: Session, claim: Claim, note_id: str, due: DueRejection) -> None:
        finish(session, claim, code="rejected" if due.destinations else "nothing_to_reject", actor=claim.owner)
        for destination in due.destinations:
            _queue(session, claim, note_id, destination)
        record(
            session,
            Event.REPORT_REJECTED,
            actor=claim.owner,
            study_instance_uid=claim.study_instance_uid,
            result_id=note_id,
            code=due.reason.value,
            count=len(due.destinations),
        )


def _queue(session: Session, claim: Claim, note_id: str, destination: str) -> None:
    row = session.scalar(
        select(DeliveryRow).where(DeliveryRow.result_id == note_id, DeliveryRow.destination == destination).with_for_update()
    )
    if row is None:
        row = DeliveryRow(id=new_id(), result_id=note_id, destination=destination, created_at=datetime.now(UTC))
        session.add(row)
    make_due(session, row, claim.study_instance_uid, actor=claim.owner)


def _images(session: Session, assessment_set: str) -> Select[InstanceRow]:
    """Of a report; all of its study where an older release built it, which kept no record of them."""
    report = session.get(ReportRow, assessment_set)
    if report is None:
        of_set = select(ResultRow.study_instance_uid).where(ResultRow.assessment_set == assessment_set)
        return select(InstanceRow).where(InstanceRow.study_instance_uid.in_(of_set))
    return select(InstanceRow).where(InstanceRow.id.in_([image["instance_id"] for image in report.inputs["images"]]))


def _row(rejected: ResultRow, note: NewResult, config_hash: str) -> ResultRow:
    return ResultRow(
        id=note.result_id,
        study_instance_uid=rejected.study_instance_uid,
        assessment_set=rejected.assessment_set,
        kind=note.kind,
        sop_class_uid=note.sop_class_uid,
        sop_instance_uid=note.sop_instance_uid,
        series_instance_uid=note.series_instance_uid,
        file=note.file,
        sha256=note.sha256,
        release=Release.SENT,
        route=rejected.route,
        flagged=False,
        revision=rejected.revision,
        bundle_hash=rejected.bundle_hash,
        config_hash=config_hash,
        created_at=datetime.now(UTC),
    )


def _note(assessment_set: str) -> Select[str]:
    return select(ResultRow.id).where(ResultRow.assessment_set == assessment_set, ResultRow.kind == REJECTION)


def _destinations(session: Session, assessment_set: str) -> tuple[str, ...]:
    deliveries = session.scalars(deliveries_of(assessment_set)).all()
    wanted = {delivery.destination for delivery in deliveries if needs_note(send_record(session, delivery)[0])}
    noted = session.scalars(
        select(DeliveryRow).join(ResultRow, ResultRow.id == DeliveryRow.result_id).where(ResultRow.id.in_(_note(assessment_set)))
    )
    standing = {
        note.destination
        for note in noted
        if note.sent_at is None or note.sent_at >= _last_arrival(session, [d for d in deliveries if d.destination == note.destination])
    }
    return tuple(sorted(wanted - standing))


def _last_arrival(session: Session, deliveries: list[DeliveryRow]) -> datetime:
    """The end of the newest attempt that may have brought something there."""
    attempts = session.scalars(select(DeliveryAttemptRow).where(DeliveryAttemptRow.delivery_id.in_([one.id for one in deliveries])))
    ends = [
        attempt.ended_at
        for attempt in attempts
        if attempt.kind == AttemptKind.SEND and attempt.ended_at and may_have_arrived(attempt.code, attempt.dimse_status)
    ]
    return max(ends, default=datetime.min.replace(tzinfo=UTC))


def _wait_seconds(session: Session, assessment_set: str, lease_seconds: float) -> float:
    """Nothing goes out after the lease of the claim that sends it, whoever holds the job by then; it began before the attempt."""
    now, waits = datetime.now(UTC), [0.0]
    for delivery in session.scalars(deliveries_of(assessment_set)):
        _, began_at = send_record(session, delivery)
        if began_at is not None and delivery.state not in ARRIVED:
            waits.append((began_at + timedelta(seconds=lease_seconds) - now).total_seconds())
    return max(waits)
