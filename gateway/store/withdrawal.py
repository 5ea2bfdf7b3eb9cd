"""Taking an image out of what stands: its outcome, its waiting jobs, and every report that rests on it. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.job import OF_INSTANCES, JobAction, JobKind, JobState
from gateway.domain.outcome import InstanceOutcome
from gateway.domain.retraction import RejectionReason
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.job_queue import enqueue
from gateway.store.job_rows import move, record_job
from gateway.store.retractions import retract
from gateway.store.tables import AuditCaseRow, InstanceRow, JobRow, ReportRow, ResultRow

_WAITING = (JobState.QUEUED, JobState.RETRY, JobState.HELD)


def set_aside(
    session: Session,
    case: AuditCaseRow,
    row: InstanceRow,
    outcome: InstanceOutcome,
    reason: str,
    *,
    rejection: RejectionReason,
    actor: str,
    report_after: timedelta = timedelta(0),
) -> None:
    """reason: the code in the row; rejection: of the notes for what was sent; report_after: when the study is reported without it.

    The row is locked by the caller. A job that runs on it goes on: its end finds what was decided here.
    """
    row.state, row.outcome, row.outcome_reason, row.decided_at = outcome.state, outcome, reason, datetime.now(UTC)
    session.flush()
    record(
        session,
        Event.CORRECTION_APPLIED,
        actor=actor,
        instance_id=row.id,
        study_instance_uid=row.study_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        case_id=case.id,
        code=outcome.value,
        reason=reason,
    )
    _cancel_jobs(session, row, actor=actor)
    withdraw_reports(session, case, row, rejection, actor=actor)
    study = row.study_instance_uid
    enqueue(session, JobKind.REPORT_STUDY, study, study, actor=actor, next_at=datetime.now(UTC) + report_after)


def withdraw_reports(session: Session, case: AuditCaseRow, row: InstanceRow, rejection: RejectionReason, *, actor: str) -> None:
    """Every report that names the image, of whatever revision: what waits is cancelled, what was sent is rejected there."""
    for assessment_set in _reports_with(session, row):
        retract(session, assessment_set=assessment_set, reason=rejection, actor=actor, cause=case.id)


def _reports_with(session: Session, row: InstanceRow) -> Iterator[str]:
    """One without the record of its images (an older release built it) counts as naming all of its study."""
    of_study = (
        select(ResultRow.assessment_set, ReportRow)
        .join(ReportRow, ReportRow.assessment_set == ResultRow.assessment_set, isouter=True)
        .where(ResultRow.study_instance_uid == row.study_instance_uid, ResultRow.kind == "sr")
        .order_by(ResultRow.revision)
    )
    for assessment_set, report in session.execute(of_study):
        images = None if report is None else report.inputs.get("images")
        if images is None or any(image.get("instance_id") == row.id for image in images):
            yield assessment_set


def _cancel_jobs(session: Session, row: InstanceRow, *, actor: str) -> None:
    """Those that nobody runs and nobody is about to run."""
    waiting = select(JobRow).where(JobRow.kind.in_(OF_INSTANCES), JobRow.subject == row.id, JobRow.state.in_(_WAITING))
    for job in session.scalars(waiting.with_for_update(skip_locked=True)):
        move(job, JobAction.CANCEL)
        job.fence += 1
        job.finished_at, job.last_code = datetime.now(UTC), row.outcome
        record_job(session, Event.JOB_CANCELLED, job, actor=actor, reason=row.outcome)
