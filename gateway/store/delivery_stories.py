"""What the store tells of deliveries: every attempt with its time and the destination's answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.delivery import DeliveryState
from gateway.domain.job import JobKind
from gateway.domain.story import AttemptStory, DeliveredStory, DeliveryStory
from gateway.store.database import Database
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow, JobRow, ResultRow


def list_deliveries(
    database: Database, *, studies: Sequence[str] | None, state: DeliveryState | None, destination: str | None, limit: int
) -> tuple[DeliveredStory, ...]:
    """The newest ones, oldest first. studies: only of these; None: of all."""
    job = select(func.max(JobRow.id)).where(JobRow.kind == JobKind.DELIVER_RESULT, JobRow.subject == DeliveryRow.id).scalar_subquery()
    wanted = select(DeliveryRow, ResultRow, job).join(ResultRow, ResultRow.id == DeliveryRow.result_id)
    if studies is not None:
        wanted = wanted.where(ResultRow.study_instance_uid.in_(studies))
    if state is not None:
        wanted = wanted.where(DeliveryRow.state == state)
    if destination is not None:
        wanted = wanted.where(DeliveryRow.destination == destination)
    newest = wanted.order_by(DeliveryRow.created_at.desc(), ResultRow.kind.desc(), DeliveryRow.id.desc()).limit(limit)
    with database.reading() as session:
        rows = session.execute(newest).all()
        return tuple(
            DeliveredStory(
                study_instance_uid=result.study_instance_uid,
                kind=result.kind,
                revision=result.revision,
                sop_instance_uid=result.sop_instance_uid,
                created_at=delivery.created_at,
                job_id=job_id,
                delivery=delivery_story(session, delivery),
            )
            for delivery, result, job_id in reversed(rows)
        )


def delivery_story(session: Session, row: DeliveryRow) -> DeliveryStory:
    return DeliveryStory(
        destination=row.destination,
        state=row.state,
        attempts=row.attempts,
        last_status=_hexadecimal(row.last_status),
        last_code=row.last_code,
        sent_at=row.sent_at,
        committed_at=row.committed_at,
        tried=attempt_stories(session, row.id),
    )


def attempt_stories(session: Session, delivery_id: str) -> tuple[AttemptStory, ...]:
    rows = session.scalars(select(DeliveryAttemptRow).where(DeliveryAttemptRow.delivery_id == delivery_id).order_by(DeliveryAttemptRow.id))
    return tuple(
        AttemptStory(
            kind=row.kind,
            started_at=row.started_at,
            ended_at=row.ended_at,
            code=row.code,
            dimse_status=_hexadecimal(row.dimse_status),
            transaction_uid=row.transaction_uid,
            reported_at=row.reported_at,
            failure_reason=_hexadecimal(row.failure_reason),
        )
        for row in rows
    )


def _hexadecimal(status: int | None) -> str | None:
    return None if status is None else f"{status:04X}"
