"""Taking a report back: what is pending of it is cancelled, and where it is or may be a rejection note becomes due (ADR 0031)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from gateway.domain.delivery import ARRIVED, DeliveryState
from gateway.domain.job import SENDERS_KINDS, JobAction, JobKind, JobState, after
from gateway.domain.outcome import Release
from gateway.domain.retraction import REJECTION, RejectionReason, needs_note
from gateway.errors import NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.job_queue import enqueue
from gateway.store.job_rows import move, record_job
from gateway.store.send_records import send_record
from gateway.store.tables import DeliveryRow, InstanceRow, JobRow, ResultRow
from gateway.store.turns import let_go_older

RETRACTED: Final = "retracted"
"""The code of a delivery, and of its job, that ended because its report was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraction:
    """What `retract` did. already: it had been taken back before, and nothing was changed."""

    assessment_set: str
    study_instance_uid: str
    already: bool
    cancelled: int = 0
    """Deliveries that are not made any more."""
    note_is_due: bool = False
    """A rejection note follows by itself, to each destination that has or may have the report."""


def retract(session: Session, *, assessment_set: str, reason: RejectionReason, actor: str, cause: str) -> Retraction:
    """In the caller's transaction. cause: a code or ticket for the audit, such as `recall` or `INC-4711`.

    NotFoundError for a report that does not exist. What is being sent at this moment is not interrupted: its end is waited for, and a
    success leads to a note as well.
    """
    found = session.scalar(select(ResultRow.study_instance_uid).where(ResultRow.assessment_set == assessment_set).limit(1))
    if found is None:
        raise NotFoundError(assessment_set)
    lock_study(session, found)
    rows = session.scalars(of_report(assessment_set).with_for_update()).all()
    if rows[0].retracted_at is not None:
        return Retraction(assessment_set=assessment_set, study_instance_uid=found, already=True)
    now = datetime.now(UTC)
    for row in rows:
        row.retracted_at, row.rejection_reason = now, reason
    record(
        session,
        Event.REPORT_RETRACTED,
        actor=actor,
        study_instance_uid=found,
        sop_instance_uid=_named(rows).sop_instance_uid,
        code=reason.value,
        reason=cause,
    )
    deliveries = session.scalars(deliveries_of(assessment_set).with_for_update()).all()
    cancelled = sum(_cancel(session, delivery, found, actor) for delivery in deliveries)
    is_due = any(needs_note(send_record(session, delivery)[0]) for delivery in deliveries)
    if is_due:
        enqueue(session, JobKind.REJECT_REPORT, assessment_set, found, actor=actor)
    session.flush()
    let_go_older(session, found, rows[0].revision, actor=actor)
    _report_repeats(session, _named(rows).sop_instance_uid, actor)
    return Retraction(assessment_set=assessment_set, study_instance_uid=found, already=False, cancelled=cancelled, note_is_due=is_due)


def _report_repeats(session: Session, sop_instance_uid: str, actor: str) -> None:
    """Studies whose report was withheld because this one had told as much: it is looked at again."""
    wanted = select(ResultRow.study_instance_uid).where(
        ResultRow.repeats_uid == sop_instance_uid, ResultRow.release == Release.WITHHELD_REPEAT, ResultRow.retracted_at.is_(None)
    )
    for study in session.scalars(wanted.distinct().order_by(ResultRow.study_instance_uid)):
        enqueue(session, JobKind.REPORT_STUDY, study, study, actor=actor)


def is_retracted(session: Session, sop_instance_uid: str | None) -> bool:
    """Of a report, by its SR. Locked where the transaction writes: it is taken back before that, or after it and finds what was written."""
    found = select(ResultRow.retracted_at).where(ResultRow.sop_instance_uid == sop_instance_uid).with_for_update(read=True)
    return sop_instance_uid is not None and session.scalar(found) is not None


def standing_reports(session: Session, study_instance_uid: str) -> tuple[str, ...]:
    """The assessment sets of a study's reports that have not been taken back, oldest revision first."""
    rows = session.execute(
        select(ResultRow.assessment_set, ResultRow.revision)
        .where(
            ResultRow.study_instance_uid == study_instance_uid,
            ResultRow.kind != REJECTION,
            ResultRow.retracted_at.is_(None),
        )
        .distinct()
        .order_by(ResultRow.revision)
    )
    return tuple(row.assessment_set for row in rows)


def follow_up(session: Session, delivery: DeliveryRow, study_instance_uid: str, assessment_set: str, *, actor: str) -> None:
    """A delivery of a report that has been taken back has ended after all: a note is due, or due there too, if it may be there."""
    if needs_note(send_record(session, delivery)[0]):
        enqueue(session, JobKind.REJECT_REPORT, assessment_set, study_instance_uid, actor=actor)


def lock_study(session: Session, study_instance_uid: str) -> None:
    """Taking back and the making of reports of one study come one after the other."""
    first = select(InstanceRow.id).where(InstanceRow.study_instance_uid == study_instance_uid).order_by(InstanceRow.id).limit(1)
    session.scalar(first.with_for_update())


def of_report(assessment_set: str) -> Select[ResultRow]:
    """The results of a report without its rejection note."""
    return select(ResultRow).where(ResultRow.assessment_set == assessment_set, ResultRow.kind != REJECTION).order_by(ResultRow.id)


def deliveries_of(assessment_set: str) -> Select[DeliveryRow]:
    """Those of a report, without its rejection note's."""
    results = select(ResultRow.id).where(ResultRow.assessment_set == assessment_set, ResultRow.kind != REJECTION)
    return select(DeliveryRow).where(DeliveryRow.result_id.in_(results)).order_by(DeliveryRow.id)


def _named(rows: Sequence[ResultRow]) -> ResultRow:
    """The one that the audit names: the SR."""
    return next((row for row in rows if row.kind == "sr"), rows[0])


def _cancel(session: Session, delivery: DeliveryRow, study_instance_uid: str, actor: str) -> bool:
    """True when it will not be made any more. One that is being sent stays as it is: its end, or the gate of its next attempt, sees it."""
    jobs = session.scalars(
        select(JobRow).where(JobRow.kind.in_(SENDERS_KINDS), JobRow.subject == delivery.id).order_by(JobRow.id).with_for_update()
    ).all()
    for job in jobs:
        if _can_be_cancelled(job):
            move(job, JobAction.CANCEL)
            job.fence += 1
            job.finished_at, job.last_code = datetime.now(UTC), RETRACTED
            record_job(session, Event.JOB_CANCELLED, job, actor=actor, code=RETRACTED)
    is_sending = any(job.kind == JobKind.DELIVER_RESULT and job.state == JobState.RUNNING for job in jobs)
    if is_sending or delivery.state in (*ARRIVED, DeliveryState.CANCELLED):
        return False
    cancel_delivery(session, delivery, study_instance_uid, actor=actor)
    return True


def cancel_delivery(session: Session, delivery: DeliveryRow, study_instance_uid: str, *, actor: str) -> None:
    delivery.state, delivery.last_code = DeliveryState.CANCELLED, RETRACTED
    record(
        session,
        Event.DELIVERY_CANCELLED,
        actor=actor,
        study_instance_uid=study_instance_uid,
        delivery_id=delivery.id,
        destination=delivery.destination,
        code=RETRACTED,
    )


def _can_be_cancelled(job: JobRow) -> bool:
    try:
        after(JobState(job.state), JobAction.CANCEL)
    except ValueError:
        return False
    return True
