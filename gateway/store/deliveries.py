"""Deliveries: what the sender needs, and what it learned from the peer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import select

from gateway.domain.delivery import DeliveryState, Verdict
from gateway.domain.job import Claim
from gateway.domain.outcome import Policy
from gateway.errors import NotFoundError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import fail, finish
from gateway.store.repeating import repeated
from gateway.store.tables import BundleVersionRow, DeliveryRow, ReportRow, ResultRow

_EVENTS: Final = {Verdict.SENT: Event.DELIVERY_SENT, Verdict.RETRY: Event.DELIVERY_RETRY, Verdict.DEAD: Event.DELIVERY_DEAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDelivery:
    """One result on its way to one destination."""

    delivery_id: str
    destination: str
    state: str
    created_at: datetime
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    file: str
    sha256: str
    release: str
    routes: tuple[str, ...]
    """All that brought the study's images."""
    policy: Policy
    """That it was released under."""
    intended_use: str
    """Of the bundle that made the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one attempt came to. dimse_status is the peer's, None when it gave none."""

    verdict: Verdict
    code: str
    dimse_status: int | None = None
    retry_in_seconds: float | None = None


class Deliveries:
    """The sender's side of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, delivery_id: str) -> PendingDelivery:
        with self._database.reading() as session:
            found = session.execute(
                select(DeliveryRow, ResultRow, BundleVersionRow, ReportRow)
                .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
                .join(ReportRow, ReportRow.assessment_set == ResultRow.assessment_set, isouter=True)
                .join(BundleVersionRow, BundleVersionRow.bundle_hash == ResultRow.bundle_hash)
                .where(DeliveryRow.id == delivery_id)
            ).one_or_none()
            if found is None:
                raise NotFoundError(delivery_id)
            delivery, result, bundle, report = found
            return PendingDelivery(
                delivery_id=delivery.id,
                destination=delivery.destination,
                state=delivery.state,
                created_at=delivery.created_at,
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                study_instance_uid=result.study_instance_uid,
                file=result.file,
                sha256=result.sha256,
                release=result.release,
                routes=(result.route,) if report is None else tuple(report.routes),
                policy=Policy.ALL if report is None else Policy(report.policy),
                intended_use=bundle.intended_use,
            )

    @repeated
    def record(self, claim: Claim, attempt: Attempt) -> None:
        """One transaction: the delivery's state, the peer's status, and the job's."""
        with self._database.transaction() as session:
            row = session.scalar(select(DeliveryRow).where(DeliveryRow.id == claim.subject).with_for_update())
            if row is None:
                raise NotFoundError(claim.subject)
            row.attempts += 1
            row.last_status, row.last_code = attempt.dimse_status, attempt.code
            if attempt.verdict is Verdict.SENT:
                row.state, row.sent_at = DeliveryState.SENT, datetime.now(UTC)
                finish(session, claim, code=attempt.code, actor=claim.owner)
            elif attempt.verdict is Verdict.DEAD:
                row.state = DeliveryState.DEAD
                fail(session, claim, code=attempt.code, retry_in_seconds=None)
            else:
                fail(session, claim, code=attempt.code, retry_in_seconds=attempt.retry_in_seconds)
            record(
                session,
                _EVENTS[attempt.verdict],
                actor=claim.owner,
                study_instance_uid=claim.study_instance_uid,
                delivery_id=row.id,
                destination=row.destination,
                code=attempt.code,
                dimse_status=None if attempt.dimse_status is None else f"{attempt.dimse_status:04X}",
                attempts=row.attempts,
            )
