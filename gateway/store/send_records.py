"""What is known of a delivery's attempts, those that nobody knows the end of included."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.delivery import AttemptKind
from gateway.domain.job import JobKind
from gateway.domain.retraction import SendRecord
from gateway.events import Event
from gateway.store.tables import AuditEventRow, DeliveryAttemptRow, DeliveryRow, JobRow

_NOT_TRIED: Final = ("superseded", "retracted")
"""Codes of jobs that ended before the network was asked."""


def send_record(session: Session, delivery: DeliveryRow, study_instance_uid: str) -> tuple[SendRecord, datetime | None]:
    """And when its job was last claimed, where the end of a claim is not known: something may be on its way since then.

    A claim ends in an attempt's row, or was put back or ended before the network was asked; every other one may have sent something.
    """
    jobs = set(session.scalars(select(JobRow.id).where(JobRow.kind == JobKind.DELIVER_RESULT, JobRow.subject == delivery.id)))
    events = select(AuditEventRow).where(
        AuditEventRow.study_instance_uid == study_instance_uid,
        AuditEventRow.event.in_((Event.JOB_CLAIMED, Event.JOB_POSTPONED, Event.JOB_DONE)),
    )
    of_delivery = [row for row in session.scalars(events) if row.detail.get("job_id") in jobs]
    claimed = [row.at for row in of_delivery if row.event == Event.JOB_CLAIMED]
    untried = [
        row
        for row in of_delivery
        if row.event == Event.JOB_POSTPONED or (row.event == Event.JOB_DONE and row.detail.get("code") in _NOT_TRIED)
    ]
    attempts = session.execute(
        select(DeliveryAttemptRow.code, DeliveryAttemptRow.dimse_status).where(
            DeliveryAttemptRow.delivery_id == delivery.id, DeliveryAttemptRow.kind == AttemptKind.SEND
        )
    ).all()
    unanswered = max(0, len(claimed) - len(untried) - len(attempts))
    known = SendRecord(
        state=delivery.state,
        was_sent=delivery.sent_at is not None,
        attempts=tuple((row.code, row.dimse_status) for row in attempts),
        unanswered=unanswered,
    )
    return known, max(claimed) if unanswered else None
