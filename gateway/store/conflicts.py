"""Instances in conflict: listed for a person, and decided by one."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway.domain.conflict import ConflictDecision, ConflictReason
from gateway.domain.job import JobKind
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.domain.story import ConflictStory
from gateway.errors import ConflictError, OpenConflictError
from gateway.events import Event
from gateway.store.audit_log import record
from gateway.store.database import Database
from gateway.store.job_queue import enqueue, resume
from gateway.store.repeating import repeated
from gateway.store.tables import AssociationRow, InstanceRow


class Conflicts:
    """Reads and decides; each decision is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, *, limit: int = 500) -> tuple[ConflictStory, ...]:
        """What waits for a person, oldest first."""
        query = select(InstanceRow).where(InstanceRow.state == InstanceState.CONFLICT).order_by(InstanceRow.received_at).limit(limit)
        with self._database.reading() as session:
            return tuple(_story(session, row) for row in session.scalars(query))

    @repeated
    def decide(self, instance_id: str, decision: ConflictDecision, reason: ConflictReason, *, actor: str) -> None:
        """Sets one of the two aside. The other one stands, or is analysed as if it had come now; the studies of both are reported anew.

        ConflictError when the instance is not in conflict (any more).
        """
        with self._database.transaction() as session:
            row = _locked(session, instance_id)
            firsts = _assessed(session, row)
            aside = firsts if decision is ConflictDecision.KEEP_THIS else [row]
            for one in aside:
                one.state, one.outcome = InstanceState.NOT_ASSESSED, InstanceOutcome.EXCLUDED_CONFLICT
                one.outcome_reason, one.decided_at = reason.value, datetime.now(UTC)
            if decision is ConflictDecision.KEEP_THIS:
                row.state, row.outcome, row.outcome_reason, row.decided_at = InstanceState.STORED, None, None, None
                # the analysis job reads this row's file, and the rows set aside are no rivals any more
                session.flush()
                enqueue(session, JobKind.ANALYZE_INSTANCE, row.id, row.study_instance_uid, actor=actor)
            for one in (row, *firsts):
                record(
                    session,
                    Event.CONFLICT_DECIDED,
                    actor=actor,
                    instance_id=one.id,
                    study_instance_uid=one.study_instance_uid,
                    sop_instance_uid=one.sop_instance_uid,
                    code=decision.value,
                    reason=reason.value,
                )
            for study in sorted({row.study_instance_uid, *(one.study_instance_uid for one in firsts)}):
                resume(session, JobKind.REPORT_STUDY, study, study, code=OpenConflictError.code, actor=actor)


def _locked(session: Session, instance_id: str) -> InstanceRow:
    row = session.scalar(select(InstanceRow).where(InstanceRow.id == instance_id).with_for_update())
    if row is None or row.state != InstanceState.CONFLICT:
        raise ConflictError(instance_id)
    return row


def _assessed(session: Session, row: InstanceRow) -> list[InstanceRow]:
    """The data sets of the same SOP Instance UID that stand in a report."""
    same = select(InstanceRow).where(
        InstanceRow.sop_instance_uid == row.sop_instance_uid, InstanceRow.id != row.id, InstanceRow.state == InstanceState.ASSESSED
    )
    return list(session.scalars(same.order_by(InstanceRow.id).with_for_update()))


def _story(session: Session, row: InstanceRow) -> ConflictStory:
    first = session.scalars(
        select(InstanceRow)
        .where(InstanceRow.sop_instance_uid == row.sop_instance_uid, InstanceRow.id != row.id, InstanceRow.state == InstanceState.ASSESSED)
        .order_by(InstanceRow.received_at)
        .limit(1)
    ).one_or_none()
    return ConflictStory(
        instance_id=row.id,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        reason=row.outcome_reason,
        received_at=row.received_at,
        calling_ae_title=_sender(session, row),
        first_instance_id=first.id if first else None,
        first_study_instance_uid=first.study_instance_uid if first else None,
        first_received_at=first.received_at if first else None,
        first_calling_ae_title=_sender(session, first) if first else "",
    )


def _sender(session: Session, row: InstanceRow) -> str:
    association = session.get(AssociationRow, row.first_association_id) if row.first_association_id else None
    return association.calling_ae_title if association else ""
