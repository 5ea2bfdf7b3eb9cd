"""What the store tells of a job."""

from __future__ import annotations

from sqlalchemy import select

from gateway.domain.job import OPEN, SENDERS_KINDS, JobKind, JobState, operator_actions
from gateway.domain.story import JobExplanation, JobStory, TimelineEntry
from gateway.errors import JobNotFoundError
from gateway.store.database import Database
from gateway.store.delivery_stories import attempt_stories
from gateway.store.tables import AuditEventRow, JobRow


def explain_job(database: Database, job_id: int) -> JobExplanation:
    """A job with its audit events, in order. JobNotFoundError for a number that no job has."""
    with database.reading() as session:
        row = session.get(JobRow, job_id)
        if row is None:
            raise JobNotFoundError(str(job_id))
        of_study = select(AuditEventRow).where(AuditEventRow.study_instance_uid == row.study_instance_uid).order_by(AuditEventRow.seq)
        return JobExplanation(
            job=job_story(row),
            actions=tuple(action.value for action in operator_actions(JobKind(row.kind), JobState(row.state))),
            events=tuple(timeline_entry(event) for event in session.scalars(of_study) if event.detail.get("job_id") == job_id),
            tried=attempt_stories(session, row.subject) if row.kind in SENDERS_KINDS else (),
        )


def job_story(row: JobRow) -> JobStory:
    return JobStory(
        job_id=row.id,
        kind=row.kind,
        study_instance_uid=row.study_instance_uid,
        next_at=row.next_at if row.state in OPEN else None,
        state=row.state,
        attempts=row.attempts,
        lease_expiries=row.lease_expiries,
        last_code=row.last_code,
        subject=row.subject,
        created_at=row.created_at,
        first_claimed_at=row.first_claimed_at,
        finished_at=row.finished_at,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
    )


def timeline_entry(row: AuditEventRow) -> TimelineEntry:
    return TimelineEntry(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        event=row.event,
        detail={**row.detail, **({"instance_id": row.instance_id} if row.instance_id else {})},
    )
