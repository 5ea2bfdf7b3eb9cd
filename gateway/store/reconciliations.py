"""What is known here of what a PACS holds, and the record of each comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.delivery import ARRIVED
from gateway.domain.reconciliation import Reconciled, SentResult
from gateway.domain.retraction import REJECTION
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import DeliveryRow, InstanceRow, ReconciliationRow, ResultRow

_AT_ONCE: Final = 500
"""UIDs in one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """The newest comparison with a destination."""

    began_at: datetime
    code: str | None
    not_received: frozenset[str]
    not_found: tuple[str, ...]


class Reconciliations:
    """Rows of `reconciliation`, and the two questions that a comparison asks of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, sop_instance_uids: Sequence[str]) -> frozenset[str]:
        """Those of them that were received here, or made here."""
        found: set[str] = set()
        with self._database.reading() as session:
            for part in _parts(sop_instance_uids):
                for column in (InstanceRow.sop_instance_uid, ResultRow.sop_instance_uid):
                    found.update(session.scalars(select(column).where(column.in_(part))))
        return frozenset(found)

    def arrived(self, destination: str, *, since: datetime, before: datetime, besides: Sequence[str] = ()) -> tuple[SentResult, ...]:
        """Results that the destination took in that time, oldest first; besides: deliveries that are asked about whatever their time."""
        wanted = (
            select(DeliveryRow, ResultRow)
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            # what was taken back may be hidden there, and so may the note that did it
            .where(
                DeliveryRow.destination == destination,
                DeliveryRow.state.in_(ARRIVED),
                ResultRow.retracted_at.is_(None),
                ResultRow.kind != REJECTION,
            )
            .order_by(DeliveryRow.sent_at, DeliveryRow.id)
        )
        in_time = (DeliveryRow.sent_at >= since) & (DeliveryRow.sent_at < before)
        found: dict[str, SentResult] = {}
        with self._database.reading() as session:
            for condition in (in_time, *(DeliveryRow.id.in_(part) for part in _parts(besides))):
                for delivery, result in session.execute(wanted.where(condition)):
                    found[delivery.id] = _sent(delivery, result)
        return tuple(found.values())

    def latest(self, destination: str) -> EarlierRun | None:
        with self._database.reading() as session:
            row = _latest(session, destination)
            return None if row is None else _earlier(row)

    def add(self, found: Reconciled, *, began_at: datetime, actor: str) -> None:
        """One transaction: the row, and an event for each finding that the comparison before did not have."""
        with self._database.transaction() as session:
            row = _latest(session, found.destination)
            before = None if row is None else _earlier(row)
            session.add(_row(found, began_at, actor))
            _record(session, found, before, actor)


def _row(found: Reconciled, began_at: datetime, actor: str) -> ReconciliationRow:
    return ReconciliationRow(
        destination=found.destination,
        actor=actor,
        first_day=f"{found.period.first:%Y%m%d}",
        last_day=f"{found.period.last:%Y%m%d}",
        began_at=began_at,
        ended_at=datetime.now(UTC),
        studies=found.studies,
        knee_series=found.knee_series,
        results=found.results,
        not_received=[series.series_instance_uid for series in found.not_received],
        not_found=[result.delivery_id for result in found.not_found],
        complete=found.complete,
        code=found.code,
    )


def _record(session: Session, found: Reconciled, before: EarlierRun | None, actor: str) -> None:
    told_series = before.not_received if before else frozenset()
    told_deliveries = frozenset(before.not_found if before else ())
    for series in found.not_received:
        if series.series_instance_uid not in told_series:
            record(
                session,
                Event.RECONCILE_NOT_RECEIVED,
                actor=actor,
                study_instance_uid=series.study_instance_uid,
                series_instance_uid=series.series_instance_uid,
                destination=found.destination,
                count=len(series.sop_instance_uids),
            )
    for result in found.not_found:
        if result.delivery_id not in told_deliveries:
            record(
                session,
                Event.RECONCILE_NOT_FOUND,
                actor=actor,
                study_instance_uid=result.study_instance_uid,
                sop_instance_uid=result.sop_instance_uid,
                result_id=result.result_id,
                delivery_id=result.delivery_id,
                destination=found.destination,
            )
    record(
        session,
        Event.RECONCILE_DONE if found.code is None else Event.RECONCILE_FAILED,
        actor=actor,
        destination=found.destination,
        count=found.studies,
        code=found.code or ("complete" if found.complete else "at_least"),
    )


def _latest(session: Session, destination: str) -> ReconciliationRow | None:
    newest = select(ReconciliationRow).where(ReconciliationRow.destination == destination)
    return session.scalar(newest.order_by(ReconciliationRow.began_at.desc(), ReconciliationRow.id.desc()).limit(1))


def _earlier(row: ReconciliationRow) -> EarlierRun:
    return EarlierRun(began_at=row.began_at, code=row.code, not_received=frozenset(row.not_received), not_found=tuple(row.not_found))


def _sent(delivery: DeliveryRow, result: ResultRow) -> SentResult:
    return SentResult(
        delivery_id=delivery.id,
        result_id=result.id,
        study_instance_uid=result.study_instance_uid,
        series_instance_uid=result.series_instance_uid,
        sop_instance_uid=result.sop_instance_uid,
    )


def _parts(uids: Iterable[str]) -> Iterable[list[str]]:
    left = iter(uids)
    while part := list(islice(left, _AT_ONCE)):
        yield part
