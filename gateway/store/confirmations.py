"""The sender's side of confirmations: what is asked, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.delivery import AttemptKind, DeliveryState
from gateway.domain.job import Claim, JobAction, JobKind
from gateway.errors import NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.deliveries import locked_delivery
from gateway.store.job_queue import enqueue, fail, finish, put_back
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow, ResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingConfirmation:
    """A sent result that a destination is to confirm."""

    delivery_id: str
    destination: str
    state: DeliveryState
    created_at: datetime
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    asked: int
    """Requests since it was last sent."""
    failure_reason: int | None
    """Of the report to the newest request; None without one."""


class Confirmations:
    """Each call one transaction. LeaseLostError when the job is another's by now."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, delivery_id: str) -> PendingConfirmation:
        with self._database.reading() as session:
            found = session.execute(
                select(DeliveryRow, ResultRow).join(ResultRow, ResultRow.id == DeliveryRow.result_id).where(DeliveryRow.id == delivery_id)
            ).one_or_none()
            if found is None:
                raise NotFoundError(delivery_id)
            delivery, result = found
            asked, newest = _asked(session, delivery_id)
            return PendingConfirmation(
                delivery_id=delivery.id,
                destination=delivery.destination,
                state=DeliveryState(delivery.state),
                created_at=delivery.created_at,
                study_instance_uid=result.study_instance_uid,
                series_instance_uid=result.series_instance_uid,
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                asked=asked,
                failure_reason=None if newest is None else newest.failure_reason,
            )

    def begin(self, claim: Claim, kind: AttemptKind, transaction_uid: str | None = None) -> int:
        """Before the network is asked: a report may come before the answer. Returns the attempt's number."""
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            row = DeliveryAttemptRow(
                delivery_id=delivery.id, kind=kind, actor=claim.owner, started_at=datetime.now(UTC), transaction_uid=transaction_uid
            )
            session.add(row)
            delivery.transaction_uid = transaction_uid or delivery.transaction_uid
            session.flush()
            return row.id

    def wait(self, claim: Claim, attempt: int, *, code: str, dimse_status: int | None, seconds: float) -> None:
        """Asked, and not confirmed yet: the destination is asked again after so long, or looked at once it reports."""
        with self._database.transaction() as session:
            locked_delivery(session, claim.subject)
            row = _ended(session, attempt, code, dimse_status)
            # the report may have come before the answer to the request
            put_back(
                session, claim, JobAction.POSTPONE, Event.JOB_POSTPONED, seconds=0.0 if row.reported_at is not None else seconds, code=code
            )

    def found(self, claim: Claim, attempt: int, *, dimse_status: int | None) -> None:
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            _ended(session, attempt, "found", dimse_status)
            if delivery.state == DeliveryState.SENT:
                delivery.state = DeliveryState.FOUND
            finish(session, claim, code="found", actor=claim.owner)
            _tell(session, Event.DELIVERY_FOUND, claim, delivery, "found")

    def send_again(self, claim: Claim, *, code: str, attempt: int | None, dimse_status: int | None) -> None:
        """The destination has it no longer, or never had it: the same object once more. attempt: the one that told so, if just made."""
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            if attempt is not None:
                _ended(session, attempt, code, dimse_status)
            finish(session, claim, code=code, actor=claim.owner)
            delivery.state = DeliveryState.PENDING
            enqueue(session, JobKind.DELIVER_RESULT, delivery.id, claim.study_instance_uid, actor=claim.owner, lane=delivery.destination)
            _tell(session, Event.DELIVERY_RESENT, claim, delivery, code)

    def settle(self, claim: Claim, *, code: str) -> None:
        """Nothing is left to ask."""
        with self._database.transaction() as session:
            finish(session, claim, code=code, actor=claim.owner)

    def give_up(self, claim: Claim, *, code: str) -> None:
        """It stays sent and is not confirmed: an alarm. `jobs retry` asks again."""
        with self._database.transaction() as session:
            delivery = locked_delivery(session, claim.subject)
            fail(session, claim, code=code, retry_in_seconds=None)
            _tell(session, Event.DELIVERY_UNCONFIRMED, claim, delivery, code)


def _asked(session: Session, delivery_id: str) -> tuple[int, DeliveryAttemptRow | None]:
    of_delivery = select(DeliveryAttemptRow).where(DeliveryAttemptRow.delivery_id == delivery_id)
    last_sent = session.scalar(
        select(func.max(DeliveryAttemptRow.id)).where(
            DeliveryAttemptRow.delivery_id == delivery_id, DeliveryAttemptRow.kind == AttemptKind.SEND
        )
    )
    since = session.scalars(of_delivery.where(DeliveryAttemptRow.id > (last_sent or 0)).order_by(DeliveryAttemptRow.id)).all()
    return len(since), since[-1] if since else None


def _ended(session: Session, attempt: int, code: str, dimse_status: int | None) -> DeliveryAttemptRow:
    row = session.scalars(select(DeliveryAttemptRow).where(DeliveryAttemptRow.id == attempt)).one()
    row.ended_at, row.code, row.dimse_status = datetime.now(UTC), code, dimse_status
    return row


def _tell(session: Session, event: Event, claim: Claim, delivery: DeliveryRow, code: str) -> None:
    record(
        session,
        event,
        actor=claim.owner,
        study_instance_uid=claim.study_instance_uid,
        delivery_id=delivery.id,
        destination=delivery.destination,
        code=code,
    )
