"""A person has a destination sent again what it took and does not have any more."""

from __future__ import annotations

from sqlalchemy import select

from gateway.domain.delivery import ARRIVED, DeliveryState
from gateway.domain.job import JobKind
from gateway.domain.operator import Operator
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.deliveries import locked_delivery
from gateway.store.job_queue import enqueue
from gateway.store.repeating import repeated
from gateway.store.tables import ResultRow


class Resending:
    """Each call one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated
    def send_again(self, delivery_id: str, operator: Operator) -> bool:
        """The same object once more, through the same gates as the first time. False: it is under way, was taken back, or its file is gone.

        Raises NotFoundError.
        """
        with self._database.transaction() as session:
            row = locked_delivery(session, delivery_id)
            result = session.scalars(select(ResultRow).where(ResultRow.id == row.result_id)).one()
            if row.state not in ARRIVED or result.retracted_at is not None or result.purged_at is not None:
                return False
            row.state = DeliveryState.PENDING
            enqueue(session, JobKind.DELIVER_RESULT, row.id, result.study_instance_uid, actor=operator.actor, lane=row.destination)
            record(
                session,
                Event.DELIVERY_RELEASED,
                actor=operator.actor,
                study_instance_uid=result.study_instance_uid,
                delivery_id=row.id,
                destination=row.destination,
                reason=operator.reason,
            )
            return True
