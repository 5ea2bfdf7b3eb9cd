"""Counts of the store for metrics. One pass over each table: seconds apart, not milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.figures import Counts, Figures
from gateway.domain.job import OPEN
from gateway.store.database import Database
from gateway.store.phantom_studies import counted
from gateway.store.self_tests import newest_of_each_worker
from gateway.store.tables import AlarmRow, DeliveryRow, InstanceRow, JobRow, ReceiptRow


def read_figures(database: Database) -> Figures:
    """DatabaseUnavailableError when it cannot be asked."""
    with database.reading() as session:
        oldest = session.scalar(select(func.min(JobRow.created_at)).where(JobRow.state.in_(OPEN)))
        receipts = session.execute(
            select(ReceiptRow.dimse_status, ReceiptRow.reason, func.count()).group_by(ReceiptRow.dimse_status, ReceiptRow.reason)
        )
        return Figures(
            receipts=tuple(sorted((status, reason, count) for status, reason, count in receipts)),
            instances=_counts(session, counted(InstanceRow.study_instance_uid, InstanceRow.state)),
            jobs=_counts(session, JobRow.kind, JobRow.state),
            deliveries=_counts(session, DeliveryRow.destination, DeliveryRow.state),
            oldest_open_job_seconds=0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds(),
            alarms=_counts(session, AlarmRow.code, AlarmRow.subject),
            self_tests=tuple(
                (found.worker, found.passed, (datetime.now(UTC) - found.ended_at).total_seconds())
                for found in newest_of_each_worker(session)
            ),
        )


def _counts(session: Session, *columns: Any) -> Counts:
    rows = session.execute(select(*columns, func.count()).group_by(*columns).order_by(*columns))
    return tuple((tuple(str(value) for value in row[:-1]), row[-1]) for row in rows)
