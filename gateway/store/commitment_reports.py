"""Storage commitment reports, whichever process receives them: only they make a delivery `committed`."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.confirmation import CommitmentReport, ReportAnswer, followup_of
from gateway.domain.delivery import DeliveryState
from gateway.domain.job import JobKind
from gateway.events import ALERT_CODES, Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import pull_forward
from gateway.store.repeating import repeated
from gateway.store.tables import DeliveryAttemptRow, DeliveryRow, ResultRow

_MAY_BE_COMMITTED: Final = (DeliveryState.SENT, DeliveryState.FOUND)


class CommitmentReports:
    """Each report is one transaction with its audit event."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    @repeated
    def take(self, report: CommitmentReport | None, *, destinations: Collection[str], ae_title: str) -> ReportAnswer:
        """destinations: those that the reporting application entity may speak for; report None: it could not be read.

        A report to an older request counts as much as one to the newest. The same report again changes nothing.
        """
        with self._database.transaction() as session:
            if report is None:
                return self._refuse(session, ReportAnswer.UNREADABLE, ae_title)
            attempt = session.scalar(select(DeliveryAttemptRow).where(DeliveryAttemptRow.transaction_uid == report.transaction_uid))
            if attempt is None:
                return self._refuse(session, ReportAnswer.UNKNOWN_TRANSACTION, ae_title)
            # the delivery before its jobs, as the sender locks them
            delivery = session.scalars(select(DeliveryRow).where(DeliveryRow.id == attempt.delivery_id).with_for_update()).one()
            if delivery.destination not in destinations:
                return self._refuse(session, ReportAnswer.FOREIGN_PEER, ae_title, delivery)
            result = session.scalars(select(ResultRow).where(ResultRow.id == delivery.result_id)).one()
            reason = report.failed.get(result.sop_instance_uid)
            if reason is None and result.sop_instance_uid not in report.committed:
                return self._refuse(session, ReportAnswer.INSTANCE_MISSING, ae_title, delivery)
            if attempt.reported_at is None:
                self._keep(session, attempt, delivery, result.study_instance_uid, reason)
            return ReportAnswer.TAKEN

    def _keep(
        self, session: Session, attempt: DeliveryAttemptRow, delivery: DeliveryRow, study_instance_uid: str, reason: int | None
    ) -> None:
        now = datetime.now(UTC)
        attempt.reported_at, attempt.failure_reason = now, reason
        if reason is not None:
            # the job keeps its time: a destination that refuses at once would be asked again at once
            self._tell(session, Event.COMMITMENT_FAILED, delivery, study_instance_uid, reason)
            return
        if delivery.state in _MAY_BE_COMMITTED:
            delivery.state, delivery.committed_at = DeliveryState.COMMITTED, now
            self._tell(session, Event.DELIVERY_COMMITTED, delivery, study_instance_uid, None)
        # the sender settles the rest
        pull_forward(session, JobKind.CONFIRM_DELIVERY, delivery.id)

    def _tell(self, session: Session, event: Event, delivery: DeliveryRow, study_instance_uid: str, reason: int | None) -> None:
        record(
            session,
            event,
            actor=self._actor,
            study_instance_uid=study_instance_uid,
            delivery_id=delivery.id,
            destination=delivery.destination,
            code=None if reason is None else followup_of(reason)[1],
            dimse_status=None if reason is None else f"{reason:04X}",
        )

    def _refuse(self, session: Session, answer: ReportAnswer, ae_title: str, delivery: DeliveryRow | None = None) -> ReportAnswer:
        record(
            session,
            Event.COMMITMENT_REFUSED,
            actor=self._actor,
            calling_ae_title=ae_title,
            code=answer.value,
            delivery_id=delivery.id if delivery else None,
            destination=delivery.destination if delivery else None,
            **(ALERT_CODES if answer is ReportAnswer.FOREIGN_PEER else {}),
        )
        return answer
