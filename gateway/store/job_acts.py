"""What operators do with jobs. Each act is one transaction with its audit event, which names who and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.delivery import DeliveryState
from gateway.domain.job import JobAction, JobKind, JobState, operator_actions
from gateway.domain.operator import Operator
from gateway.errors import JobActionError, JobNotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_rows import move, record_job, waiting_twin
from gateway.store.repeating import repeated
from gateway.store.tables import AuditEventRow, DeliveryRow, JobRow


@dataclass(frozen=True, slots=True)
class _Act:
    """An act's events, and the state that it gives the delivery of a deliver_result job."""

    job_event: Event
    delivery_event: Event
    delivery_state: DeliveryState


_ACTS: Final = {
    JobAction.HOLD: _Act(Event.JOB_HELD, Event.DELIVERY_HELD, DeliveryState.HELD),
    JobAction.RELEASE: _Act(Event.JOB_RELEASED, Event.DELIVERY_RELEASED, DeliveryState.PENDING),
    JobAction.RETRY: _Act(Event.JOB_RETRIED, Event.DELIVERY_RELEASED, DeliveryState.PENDING),
    JobAction.CANCEL: _Act(Event.JOB_CANCELLED, Event.DELIVERY_CANCELLED, DeliveryState.CANCELLED),
}


class JobActs:
    """Raises JobNotFoundError, and JobActionError for what cannot be done with the job as it stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated
    def act(self, job_id: int, action: JobAction, operator: Operator) -> None:
        """HOLD: it does not run until it is released, and a worker that runs it now is not heard any more. RELEASE: a held or dead
        job goes back to the queue. RETRY: a dead job, or one that waits for its next attempt, is due now; both count its attempts
        anew. CANCEL: a delivery is not wanted any more, for good.
        """
        with self._database.transaction() as session:
            subject = session.scalar(select(JobRow.subject).where(JobRow.id == job_id))
            # the delivery before its job, as the sender locks them
            delivery = session.scalar(select(DeliveryRow).where(DeliveryRow.id == subject).with_for_update())
            row = session.scalar(select(JobRow).where(JobRow.id == job_id).with_for_update())
            if row is None:
                raise JobNotFoundError(str(job_id))
            before = JobState(row.state)
            if action not in operator_actions(JobKind(row.kind), before):
                raise JobActionError(f"{action} of a job that is {before}, {row.kind}")
            _apply(session, row, action)
            act = _ACTS[action]
            record_job(session, act.job_event, row, actor=operator.actor, reason=operator.reason)
            if row.kind == JobKind.DELIVER_RESULT and delivery is not None:
                _tell(session, row, delivery, act, operator)


def let_go_at(session: Session, kind: JobKind, subject: str) -> datetime | None:
    """When an operator last released or retried a job of this kind and subject: what was learned before that is not acted on again."""
    jobs = session.execute(select(JobRow.id, JobRow.study_instance_uid).where(JobRow.kind == kind, JobRow.subject == subject)).all()
    if not jobs:
        return None
    acts = select(AuditEventRow).where(
        AuditEventRow.study_instance_uid == jobs[0].study_instance_uid, AuditEventRow.event.in_((Event.JOB_RELEASED, Event.JOB_RETRIED))
    )
    known = {job.id for job in jobs}
    return max((row.at for row in session.scalars(acts) if row.detail.get("job_id") in known), default=None)


def _apply(session: Session, row: JobRow, action: JobAction) -> None:
    now = datetime.now(UTC)
    if action in (JobAction.RELEASE, JobAction.RETRY):
        if waiting_twin(session, row):
            raise JobActionError("the same work waits as another job already")
        row.attempts = row.lease_expiries = 0
        row.next_at, row.finished_at = now, None
    move(row, action)
    row.fence += 1
    if action is JobAction.CANCEL:
        row.finished_at = now


def _tell(session: Session, row: JobRow, delivery: DeliveryRow, act: _Act, operator: Operator) -> None:
    delivery.state = act.delivery_state
    record(
        session,
        act.delivery_event,
        actor=operator.actor,
        study_instance_uid=row.study_instance_uid,
        delivery_id=delivery.id,
        destination=delivery.destination,
        reason=operator.reason,
    )
