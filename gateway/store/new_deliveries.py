"""A result on its way out, in the caller's transaction: whether its bundle may still speak, where it may not go, and its deliveries."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.bundle_state import BundleState
from gateway.domain.delivery import DeliveryState
from gateway.domain.identifiers import new_id
from gateway.domain.job import JobKind
from gateway.errors import BundleRetiredError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.job_queue import enqueue
from gateway.store.tables import AuditEventRow, BundleVersionRow, DeliveryRow, ResultRow


def check_not_retired(session: Session, bundle_hash: str) -> None:
    """A recall of the bundle comes before this transaction or after it."""
    state = session.scalar(select(BundleVersionRow.state).where(BundleVersionRow.bundle_hash == bundle_hash).with_for_update(read=True))
    if state == BundleState.RETIRED:
        raise BundleRetiredError(bundle_hash)


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


def queue_delivery(session: Session, result_id: str, study_instance_uid: str, destination: str, *, actor: str) -> None:
    row = DeliveryRow(id=new_id(), result_id=result_id, destination=destination, created_at=datetime.now(UTC))
    session.add(row)
    make_due(session, row, study_instance_uid, actor=actor)


def make_due(session: Session, row: DeliveryRow, study_instance_uid: str, *, actor: str, code: str | None = None) -> None:
    """A new delivery, or one that had ended, is pending, with a job. code: why it is so again."""
    row.state = DeliveryState.PENDING
    enqueue(session, JobKind.DELIVER_RESULT, row.id, study_instance_uid, actor=actor, lane=row.destination)
    record(
        session,
        Event.DELIVERY_QUEUED,
        actor=actor,
        study_instance_uid=study_instance_uid,
        delivery_id=row.id,
        result_id=row.result_id,
        destination=row.destination,
        code=code,
    )
