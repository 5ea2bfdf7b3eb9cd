"""The questions that the audit store answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from gateway.domain.job import OF_INSTANCES, OPEN, JobKind, JobState
from gateway.domain.outcome import InstanceState
from gateway.domain.story import (
    Explanation,
    InstanceStory,
    JobStory,
    KneeStory,
    Ledger,
    ResultStory,
    Status,
    TimelineEntry,
)
from gateway.errors import NotFoundError
from gateway.store.alarms import standing_alarms
from gateway.store.case_stories import cases_of
from gateway.store.database import Database
from gateway.store.delivery_stories import delivery_story
from gateway.store.evidence import receipt_story, receipts_query
from gateway.store.job_stories import job_story, timeline_entry
from gateway.store.phantom_studies import counted
from gateway.store.self_tests import newest_of_each_worker
from gateway.store.tables import AssessmentRow, AuditEventRow, DeliveryRow, InstanceRow, JobRow, ReceiptRow, ResultRow


class Queries:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def status(self) -> Status:
        with self._database.reading() as session:
            oldest = session.scalar(select(func.min(JobRow.created_at)).where(JobRow.state.in_(OPEN)))
            return Status(
                ledgers=(_receipts_ledger(session), _instances_ledger(session), _knees_ledger(session)),
                jobs=_counts(session, JobRow.kind, JobRow.state),
                deliveries=_counts(session, DeliveryRow.destination, DeliveryRow.state),
                results=_counts(session, counted(ResultRow.study_instance_uid, ResultRow.kind), ResultRow.release),
                oldest_waiting_seconds=None if oldest is None else round((datetime.now(UTC) - oldest).total_seconds(), 1),
                alarms=standing_alarms(session),
                self_tests=newest_of_each_worker(session),
            )

    def explain(self, key: str) -> Explanation:
        """All about an accession number, a SOP, series or study instance UID, or one of our ids. NotFoundError for a stranger."""
        if not key.strip():
            raise NotFoundError("an empty key")
        with self._database.reading() as session:
            studies = _studies(session, key)
            instances = session.scalars(
                select(InstanceRow).where(_names_instance(key)).order_by(InstanceRow.received_at, InstanceRow.id)
            ).all()
            refusals = session.execute(
                receipts_query().where(
                    ReceiptRow.sop_instance_uid.in_([key, *(row.sop_instance_uid for row in instances)]), ReceiptRow.dimse_status != 0
                )
            ).all()
            results = session.scalars(
                select(ResultRow).where(ResultRow.study_instance_uid.in_(studies)).order_by(ResultRow.revision, ResultRow.kind)
            ).all()
            cases = cases_of(session, key, studies)
            if not instances and not refusals and not results and not cases:
                raise NotFoundError(key)
            jobs = session.scalars(
                select(JobRow).where(JobRow.study_instance_uid.in_(studies), JobRow.kind == JobKind.REPORT_STUDY).order_by(JobRow.id)
            ).all()
            return Explanation(
                key=key,
                instances=tuple(_instance_story(session, row) for row in instances),
                refusals=tuple(receipt_story(*row) for row in refusals),
                results=tuple(_result_story(session, row) for row in results),
                study_jobs=tuple(job_story(row) for row in jobs),
                cases=cases,
            )

    def studies(self, key: str) -> tuple[str, ...]:
        """Study instance UIDs under a key. NotFoundError for a stranger."""
        with self._database.reading() as session:
            found = tuple(dict.fromkeys(_studies(session, key))) if key.strip() else ()
        if not found:
            raise NotFoundError(key or "an empty key")
        return found

    def jobs(self, state: str) -> tuple[JobStory, ...]:
        """Jobs of one state, or all that are not done, oldest first, at most 500."""
        wanted = JobRow.state == state if state else JobRow.state != JobState.DONE
        with self._database.reading() as session:
            rows = session.scalars(select(JobRow).where(wanted).order_by(JobRow.id).limit(500))
            return tuple(job_story(row) for row in rows)

    def timeline(self, key: str) -> tuple[TimelineEntry, ...]:
        """Every audit event of the studies and instances under a key, in order. NotFoundError for a stranger."""
        with self._database.reading() as session:
            studies = _studies(session, key)
            ids = session.scalars(select(InstanceRow.id).where(_names_instance(key))).all()
            if not studies and not ids:
                raise NotFoundError(key)
            rows = session.scalars(
                select(AuditEventRow)
                .where(or_(AuditEventRow.study_instance_uid.in_(studies), AuditEventRow.instance_id.in_(ids)))
                .order_by(AuditEventRow.seq)
            )
            return tuple(timeline_entry(row) for row in rows)


def _counts(session: Session, *columns: Any) -> dict[str, int]:
    rows = session.execute(select(*columns, func.count()).group_by(*columns).order_by(*columns))
    return {" ".join(str(value) for value in row[:-1]): row[-1] for row in rows}


def _receipts_ledger(session: Session) -> Ledger:
    """Every C-STORE answered with success has its instance, or was one of our own results."""
    unexplained = session.scalar(
        select(func.count())
        .select_from(ReceiptRow)
        .where(ReceiptRow.dimse_status == 0, ReceiptRow.instance_id.is_(None), ReceiptRow.reason != "own_result")
    )
    return _ledger("receipts", _counts(session, ReceiptRow.reason), unexplained)


def _instances_ledger(session: Session) -> Ledger:
    """Every instance has an outcome, or an open job that will give it one."""
    open_job = exists().where(and_(JobRow.kind.in_(OF_INSTANCES), JobRow.subject == InstanceRow.id, JobRow.state.in_((*OPEN, "held"))))
    unexplained = session.scalar(select(func.count()).select_from(InstanceRow).where(InstanceRow.outcome.is_(None), ~open_job))
    outcome = counted(InstanceRow.study_instance_uid, InstanceRow.outcome)
    counts = {("open" if code == "None" else code): count for code, count in _counts(session, outcome).items()}
    return _ledger("instances", counts, unexplained)


def _knees_ledger(session: Session) -> Ledger:
    """Every assessed instance has its knees' decisions."""
    assessed = exists().where(AssessmentRow.instance_id == InstanceRow.id)
    unexplained = session.scalar(
        select(func.count()).select_from(InstanceRow).where(InstanceRow.state == InstanceState.ASSESSED, ~assessed)
    )
    return _ledger("knees", _counts(session, counted(AssessmentRow.study_instance_uid, AssessmentRow.decision)), unexplained)


def _ledger(name: str, counts: dict[str, int], unexplained: int | None) -> Ledger:
    return Ledger(name=name, total=sum(counts.values()), counts=counts, unexplained=unexplained or 0)


def _names_instance(key: str) -> Any:
    return or_(
        InstanceRow.accession_number == key,
        InstanceRow.sop_instance_uid == key,
        InstanceRow.series_instance_uid == key,
        InstanceRow.study_instance_uid == key,
        InstanceRow.id == key,
    )


def _studies(session: Session, key: str) -> Sequence[str]:
    of_instances = session.scalars(select(InstanceRow.study_instance_uid).where(_names_instance(key)).distinct()).all()
    of_results = session.scalars(select(ResultRow.study_instance_uid).where(ResultRow.sop_instance_uid == key)).all()
    return [*of_instances, *of_results]


def _instance_story(session: Session, row: InstanceRow) -> InstanceStory:
    receipts = session.execute(receipts_query().where(ReceiptRow.instance_id == row.id)).all()
    knees = session.scalars(
        select(AssessmentRow).where(AssessmentRow.instance_id == row.id).order_by(AssessmentRow.created_at, AssessmentRow.position)
    )
    jobs = session.scalars(select(JobRow).where(JobRow.subject == row.id).order_by(JobRow.id))
    return InstanceStory(
        instance_id=row.id,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        modality=row.modality,
        state=row.state,
        outcome=row.outcome,
        reason=row.outcome_reason,
        route=row.route,
        received_at=row.received_at,
        decided_at=row.decided_at,
        purged_at=row.purged_at,
        receipts=tuple(receipt_story(*receipt) for receipt in receipts),
        knees=tuple(_knee_story(knee) for knee in knees),
        jobs=tuple(job_story(job) for job in jobs),
    )


def _knee_story(row: AssessmentRow) -> KneeStory:
    return KneeStory(
        position=row.position,
        laterality=row.laterality,
        decision=row.decision,
        laterality_source=row.laterality_source,
        score=None if row.score is None else round(row.score, 2),
        threshold=None if row.threshold is None else round(100 * row.threshold, 2),
        quality_flags=tuple(row.quality_flags),
        measures=dict(row.measures),
        pixel_notes=tuple(row.pixel_notes),
        engine_profile=row.engine_profile,
        judged_at=row.created_at,
        settings_hash=row.shaping_hash,
    )


def _result_story(session: Session, row: ResultRow) -> ResultStory:
    deliveries = session.scalars(select(DeliveryRow).where(DeliveryRow.result_id == row.id).order_by(DeliveryRow.destination))
    return ResultStory(
        kind=row.kind,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        revision=row.revision,
        release=row.release,
        flagged=row.flagged,
        predecessor_uid=row.predecessor_uid,
        repeats_uid=row.repeats_uid,
        created_at=row.created_at,
        purged_at=row.purged_at,
        retracted_at=row.retracted_at,
        rejection_reason=row.rejection_reason,
        deliveries=tuple(delivery_story(session, delivery) for delivery in deliveries),
    )
