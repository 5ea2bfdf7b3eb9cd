"""Rows of the queue: the conditions that its indexes are made for, and the moves that every transition goes through."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.orm import Session

from gateway.domain.job import CLAIMABLE, OF_INSTANCES, JobAction, JobState, after
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.tables import JobRow

# states as literals: with a bound parameter neither database can tell that the partial index covers the condition
IS_WAITING: Final[ColumnElement[bool]] = JobRow.state.in_([literal_column(f"'{state}'") for state in CLAIMABLE])
IS_RUNNING: Final[ColumnElement[bool]] = JobRow.state == literal_column(f"'{JobState.RUNNING}'")

LEASE_EXPIRIES: Final = "lease_expiries"
"""`last_code` of a job that is held because the processes that ran it vanished."""


def move(row: JobRow, action: JobAction) -> None:
    """ValueError for a transition that the table does not have. Out of RUNNING nobody holds the job."""
    row.state = after(JobState(row.state), action)
    if row.state != JobState.RUNNING:
        row.lease_owner = row.lease_until = None


def wait_again(session: Session, row: JobRow, action: JobAction, *, actor: str, next_at: datetime, now: datetime) -> bool:
    """Back to the queue by `action`. False: while the job ran, the same one was queued anew, and this one ended as superseded."""
    if waiting_twin(session, row):
        move(row, JobAction.FINISH)
        row.finished_at, row.last_code = now, "superseded"
        record_job(session, Event.JOB_DONE, row, actor=actor, code="superseded")
        return False
    move(row, action)
    row.next_at = next_at
    return True


def waiting_twin(session: Session, row: JobRow) -> bool:
    """True when another job of this kind and subject waits: two waiting ones cannot be."""
    twin = select(JobRow.id).where(JobRow.kind == row.kind, JobRow.subject == row.subject, IS_WAITING, JobRow.id != row.id)
    return session.scalar(twin) is not None


def record_job(
    session: Session,
    event: Event,
    row: JobRow,
    *,
    actor: str,
    code: str | None = None,
    attempts: int | None = None,
    reason: str | None = None,
) -> None:
    """The transition's audit event, in its transaction."""
    record(
        session,
        event,
        actor=actor,
        study_instance_uid=row.study_instance_uid,
        instance_id=row.subject if row.kind in OF_INSTANCES else None,
        job_id=row.id,
        job_kind=row.kind,
        code=code,
        attempts=attempts,
        reason=reason,
    )
