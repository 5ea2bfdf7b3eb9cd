"""Results of the constancy self-test, and the operator's word on one that deviated."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway.domain.alarm import AlarmCode
from gateway.domain.operator import Operator
from gateway.domain.self_test import SelfTestResult
from gateway.errors import SelfTestError
from gateway.events import Event
from gateway.store.alarms import end_alarm
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.tables import SelfTestRow


class SelfTests:
    """Rows of `self_test`. They stand beside the ledgers: a phantom is no instance, and none of its files has a row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, result: SelfTestResult, *, actor: str) -> None:
        """With its audit event, in one transaction."""
        with self._database.transaction() as session:
            session.add(
                SelfTestRow(
                    id=result.self_test_id,
                    worker=result.worker,
                    bundle_hash=result.bundle_hash,
                    engine_profile=result.profile,
                    phantoms=result.phantoms,
                    deviations=list(result.deviations),
                    logit_difference=result.logit_difference,
                    saliency_difference=result.saliency_difference,
                    started_at=result.started_at,
                    ended_at=result.ended_at,
                )
            )
            record(
                session,
                Event.SELF_TEST_PASSED if result.passed else Event.SELF_TEST_DEVIATED,
                actor=actor,
                bundle_hash=result.bundle_hash,
                code=result.profile or None,
                count=result.phantoms,
                reason=" ".join(result.deviations) or None,
            )

    def latest(self, worker: str, bundle_hash: str) -> SelfTestResult | None:
        """Of this worker with this bundle: another bundle is another algorithm."""
        with self._database.reading() as session:
            row = session.scalar(
                select(SelfTestRow)
                .where(SelfTestRow.worker == worker, SelfTestRow.bundle_hash == bundle_hash)
                .order_by(SelfTestRow.ended_at.desc(), SelfTestRow.id)
                .limit(1)
            )
            return None if row is None else _result(row)

    def is_accepted(self, self_test_id: str) -> bool:
        with self._database.reading() as session:
            return session.scalar(select(SelfTestRow.accepted_at).where(SelfTestRow.id == self_test_id)) is not None

    def of_each_worker(self) -> tuple[SelfTestResult, ...]:
        """The latest one of every worker, by its name."""
        with self._database.reading() as session:
            return newest_of_each_worker(session)

    def accept(self, worker: str, operator: Operator) -> SelfTestResult:
        """Lets analyses go on although the worker's latest self-test deviated, and ends its alarm. SelfTestError where it did not."""
        with self._database.transaction() as session:
            row = session.scalar(
                select(SelfTestRow)
                .where(SelfTestRow.worker == worker)
                .order_by(SelfTestRow.ended_at.desc(), SelfTestRow.id)
                .limit(1)
                .with_for_update()
            )
            if row is None or not _result(row).stops_analyses:
                raise SelfTestError(worker)
            row.accepted_at, row.accepted_by = datetime.now(UTC), operator.actor
            record(session, Event.SELF_TEST_ACCEPTED, actor=operator.actor, bundle_hash=row.bundle_hash, reason=operator.reason)
            end_alarm(session, AlarmCode.CONSTANCY, worker, actor=operator.actor)
            return _result(row)


def newest_of_each_worker(session: Session) -> tuple[SelfTestResult, ...]:
    newest = select(SelfTestRow.worker, func.max(SelfTestRow.ended_at).label("ended_at")).group_by(SelfTestRow.worker).subquery()
    rows = session.scalars(
        select(SelfTestRow)
        .join(newest, (SelfTestRow.worker == newest.c.worker) & (SelfTestRow.ended_at == newest.c.ended_at))
        .order_by(SelfTestRow.worker, SelfTestRow.id)
    )
    return tuple({row.worker: _result(row) for row in rows}.values())


def _result(row: SelfTestRow) -> SelfTestResult:
    return SelfTestResult(
        self_test_id=row.id,
        worker=row.worker,
        bundle_hash=row.bundle_hash,
        profile=row.engine_profile,
        phantoms=row.phantoms,
        deviations=tuple(row.deviations),
        logit_difference=row.logit_difference,
        saliency_difference=row.saliency_difference,
        started_at=row.started_at,
        ended_at=row.ended_at,
        accepted_at=row.accepted_at,
        accepted_by=row.accepted_by,
    )
