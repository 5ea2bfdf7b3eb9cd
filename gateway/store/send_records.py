"""What is known of a delivery's attempts, those that nobody knows the end of included."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.delivery import AttemptKind
from gateway.domain.retraction import SendRecord
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow


def send_record(session: Session, delivery: DeliveryRow) -> tuple[SendRecord, datetime | None]:
    """And when the newest attempt began whose end is not known: something may be on its way since then.

    Nothing goes out before its attempt has a row (`Deliveries.begin`), and none begins once the report was taken back.
    """
    attempts = session.execute(
        select(DeliveryAttemptRow.code, DeliveryAttemptRow.dimse_status, DeliveryAttemptRow.started_at, DeliveryAttemptRow.ended_at).where(
            DeliveryAttemptRow.delivery_id == delivery.id, DeliveryAttemptRow.kind == AttemptKind.SEND
        )
    ).all()
    under_way = [row.started_at for row in attempts if row.ended_at is None]
    known = SendRecord(
        state=delivery.state,
        was_sent=delivery.sent_at is not None,
        attempts=tuple((row.code, row.dimse_status) for row in attempts if row.ended_at is not None),
        unanswered=len(under_way),
    )
    return known, max(under_way, default=None)
