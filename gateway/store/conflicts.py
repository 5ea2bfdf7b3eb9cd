"""Instances in conflict: listed for a person, and decided by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from gateway.domain.alarm import AlarmCode
from gateway.domain.conflict import ConflictDecision, ConflictReason
from gateway.domain.correction import CaseReason, CaseRole, CaseState, Ruling
from gateway.domain.job import JobKind
from gateway.domain.outcome import InstanceOutcome, InstanceState
from gateway.domain.story import ConflictStory
from gateway.errors import ConflictError, OpenConflictError
from gateway.events import Event
from gateway.store.alarms import end_alarm
from gateway.store.audit_log import record
from gateway.store.cases import case_of, contested_with, held_case, note_instance, open_case, sender_of
from gateway.store.database import Database
from gateway.store.job_queue import enqueue, resume
from gateway.store.likeness import age_of, of_same_patient, twins_of
from gateway.store.repeating import repeated
from gateway.store.tables import AuditCaseRow, InstanceRow
from gateway.store.withdrawal import withdraw_reports


@dataclass(frozen=True, slots=True)
class _Choice:
    """stands: analysed as if it had come now; None where an assessed one stands as it is. kept: whose patient and study hold."""

    stands: InstanceRow | None
    kept: InstanceRow
    aside: Sequence[InstanceRow]


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

        Of an image that two patients claim, neither was assessed any more: KEEP_FIRST lets the earliest of the others stand. Reports
        of what is set aside are taken back where they name another patient or study than what stands.
        ConflictError when the instance is not in conflict (any more).
        """
        with self._database.transaction() as session:
            row = _locked(session, instance_id)
            contested = _rows(session, InstanceRow.id.in_(tuple(contested_with(session, row))), InstanceState.CONFLICT)
            firsts = _rows(session, _same_uid(row), InstanceState.ASSESSED)
            held = held_case(session, row)
            firsts += _stands_beside(session, row, firsts) if held else []
            choice = _choice(decision, row, firsts, contested)
            case = _end(session, held, row, actor=actor) if held else _opened(session, row, choice, actor=actor)
            for one in choice.aside:
                _set_aside(session, one, choice.kept, case, reason, actor=actor)
            if choice.stands is not None:
                _let_stand(session, choice.stands, held, actor=actor)
            for one in {each.id: each for each in (row, *firsts, *contested)}.values():
                _tell(session, one, case, decision, reason, actor=actor)
            for study in sorted({row.study_instance_uid, *(one.study_instance_uid for one in (*firsts, *contested))}):
                resume(session, JobKind.REPORT_STUDY, study, study, code=OpenConflictError.code, actor=actor)


def _choice(decision: ConflictDecision, row: InstanceRow, firsts: Sequence[InstanceRow], contested: Sequence[InstanceRow]) -> _Choice:
    if decision is ConflictDecision.KEEP_THIS:
        return _Choice(row, row, [*firsts, *contested])
    if not contested:
        return _Choice(None, firsts[0] if firsts else row, [row])
    first = min(contested, key=age_of)
    return _Choice(first, first, [row, *(one for one in contested if one is not first)])


def _locked(session: Session, instance_id: str) -> InstanceRow:
    row = session.scalar(select(InstanceRow).where(InstanceRow.id == instance_id).with_for_update())
    if row is None or row.state != InstanceState.CONFLICT:
        raise ConflictError(instance_id)
    return row


def _rows(session: Session, which: ColumnElement[bool], state: InstanceState) -> list[InstanceRow]:
    found = select(InstanceRow).where(which, InstanceRow.state == state).order_by(InstanceRow.id)
    return list(session.scalars(found.with_for_update()))


def _stands_beside(session: Session, row: InstanceRow, known: Sequence[InstanceRow]) -> list[InstanceRow]:
    """What was sent and stands, while this one from a file claims the image for another patient."""
    twins = (one for one in twins_of(session, row) if one.ruling is Ruling.FILE_WAITS and not one.is_set_aside)
    return [one.row for one in twins if one.row.state == InstanceState.ASSESSED and one.row not in known]


def _same_uid(row: InstanceRow) -> ColumnElement[bool]:
    return and_(InstanceRow.sop_instance_uid == row.sop_instance_uid, InstanceRow.id != row.id)


def _end(session: Session, case: AuditCaseRow, row: InstanceRow, *, actor: str) -> AuditCaseRow:
    case.state = CaseState.DECIDED
    record(session, Event.CASE_DECIDED, actor=actor, study_instance_uid=row.study_instance_uid, case_id=case.id)
    end_alarm(session, AlarmCode.IDENTITY_CONTESTED, case.id, actor=actor)
    return case


def _opened(session: Session, row: InstanceRow, choice: _Choice, *, actor: str) -> AuditCaseRow | None:
    """A case where a report of another patient or study is about to be taken back; None where nothing is."""
    if not any(_is_foreign(one, choice.kept) for one in choice.aside):
        return None
    known = case_of(session, (row.sop_instance_uid,), (row.id,))
    return known or open_case(session, CaseReason.OPERATOR, opened_by=actor, actor=actor, study_instance_uid=row.study_instance_uid)


def _is_foreign(one: InstanceRow, kept: InstanceRow) -> bool:
    return one.study_instance_uid != kept.study_instance_uid or not of_same_patient(one, kept)


def _set_aside(
    session: Session, one: InstanceRow, kept: InstanceRow, case: AuditCaseRow | None, reason: ConflictReason, *, actor: str
) -> None:
    one.state, one.outcome = InstanceState.NOT_ASSESSED, InstanceOutcome.EXCLUDED_CONFLICT
    one.outcome_reason, one.decided_at = reason.value, datetime.now(UTC)
    session.flush()
    if case is not None:
        note_instance(session, case, CaseRole.SET_ASIDE, reason.value, one, cause=None)
        if _is_foreign(one, kept):
            withdraw_reports(session, case, one, reason.rejection, actor=actor)


def _let_stand(session: Session, one: InstanceRow, case: AuditCaseRow | None, *, actor: str) -> None:
    one.state, one.outcome, one.outcome_reason, one.decided_at = InstanceState.STORED, None, None, None
    if case is not None:
        note_instance(session, case, CaseRole.STANDS, CaseReason.OPERATOR, one, cause=None)
    # the analysis job reads this row's file, and the rows set aside are no rivals any more
    session.flush()
    enqueue(session, JobKind.ANALYZE_INSTANCE, one.id, one.study_instance_uid, actor=actor)


def _tell(
    session: Session, one: InstanceRow, case: AuditCaseRow | None, decision: ConflictDecision, reason: ConflictReason, *, actor: str
) -> None:
    record(
        session,
        Event.CONFLICT_DECIDED,
        actor=actor,
        instance_id=one.id,
        study_instance_uid=one.study_instance_uid,
        sop_instance_uid=one.sop_instance_uid,
        case_id=case.id if case else None,
        code=decision.value,
        reason=reason.value,
    )


def _story(session: Session, row: InstanceRow) -> ConflictStory:
    others = or_(and_(_same_uid(row), InstanceRow.state == InstanceState.ASSESSED), InstanceRow.id.in_(tuple(contested_with(session, row))))
    first = session.scalars(select(InstanceRow).where(others).order_by(InstanceRow.received_at, InstanceRow.id).limit(1)).one_or_none()
    case = case_of(session, (), (row.id,))
    return ConflictStory(
        instance_id=row.id,
        case_id=case.id if case else None,
        sop_instance_uid=row.sop_instance_uid,
        study_instance_uid=row.study_instance_uid,
        reason=row.outcome_reason,
        received_at=row.received_at,
        calling_ae_title=sender_of(session, row),
        first_instance_id=first.id if first else None,
        first_study_instance_uid=first.study_instance_uid if first else None,
        first_received_at=first.received_at if first else None,
        first_calling_ae_title=sender_of(session, first) if first else "",
    )
